/**
 * What a server that is not S3 must be good for: the store contract but for the guards it is known to lack, and an
 * object put and got by Sealift itself, which says what was not confirmed and lets nobody's object be replaced.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, ListMultipartUploadsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEngine, type Engine, rawAesKeyring } from '../../src/index.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { type Guard, storeContract } from '../stores/contract.ts';

export interface Server {
  url: string;
  close(): Promise<void>;
}

/** Both the id and the secret. */
export const ACCESS_KEY = 'testing';
const BUCKET = 'sealift';
const PART_SIZE = 5 * MiB;

export function serverStory(name: string, startServer: () => Promise<Server>, lacks: readonly Guard[]): void {
  describe(name, () => {
    let server: Server;
    let s3: S3Client;
    let engine: Engine;
    const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));

    beforeAll(async () => {
      server = await startServer();
      vi.stubEnv('AWS_ENDPOINT_URL', server.url);
      vi.stubEnv('AWS_REGION', 'us-east-1');
      vi.stubEnv('AWS_ACCESS_KEY_ID', ACCESS_KEY);
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', ACCESS_KEY);
      vi.stubEnv('AWS_MAX_ATTEMPTS', '2');
      s3 = new S3Client({ forcePathStyle: true });
      await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
      const keyring = rawAesKeyring({ namespace: 'test', name: 'server', key: randomBytes(32) });
      engine = createEngine({ keyring, stateDir: join(folder, 'state'), threads: 1, lanes: 1 });
    }, 180_000);
    afterAll(async () => {
      await engine.close();
      s3.destroy();
      await server.close();
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    });

    storeContract(
      name,
      async () => {
        const store = new S3Store(await resolveS3Settings({ bucket: BUCKET }));
        return { store, minPartSize: PART_SIZE, close: async () => store.close() };
      },
      { lacks },
    );

    function plotOf(key: string, size: number) {
      const source = join(folder, key);
      writeFileSync(source, randomBytes(size));
      return { source, target: `s3://${BUCKET}/${key}`, partSize: PART_SIZE };
    }

    it.each([
      ['small', MiB, 'put-confirmed'],
      ['in parts', 2.5 * PART_SIZE, 'complete-confirmed'],
    ] as const)('an object goes up and comes back: %s', async (key, size, confirmed) => {
      const plot = plotOf(key, size);
      const { warnings, etag } = await engine.put(plot);
      expect(warnings).toEqual(lacks.includes(confirmed) ? [expect.stringContaining('confirmed no checksum')] : []);
      expect(etag).toMatch(/^"[0-9a-f-]+"$/);
      const back = join(folder, `${key} back`);
      await engine.get({ source: plot.target, target: back });
      expect(readFileSync(back).equals(readFileSync(plot.source))).toBe(true);
      await expect(engine.put(plot)).rejects.toMatchObject({ code: 'target-exists' });
    });

    it("somebody's object that comes while parts are sent is left alone", async () => {
      const plot = plotOf('theirs', 1.5 * PART_SIZE);
      const theirs = { Bucket: BUCKET, Key: 'theirs', Body: 'theirs' };
      const onEvent = ({ type }: { type: string }) => void (type === 'start' && arrive());
      const arrived = Promise.withResolvers<unknown>();
      const arrive = () => s3.send(new PutObjectCommand(theirs)).then(arrived.resolve, arrived.reject);
      // A source that waits for them: a pipe ends when they have come.
      async function* source() {
        yield randomBytes(1.2 * PART_SIZE);
        await arrived.promise;
        yield randomBytes(MiB);
      }
      await expect(engine.put({ ...plot, source: source(), onEvent })).rejects.toMatchObject({ code: 'target-exists' });
      const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: 'theirs' }));
      expect(Uploads).toEqual([]);
    });

    it('an object is replaced with --overwrite, or it is told that the server cannot', async () => {
      const plot = plotOf('replaced', MiB);
      await engine.put(plot);
      writeFileSync(plot.source, randomBytes(MiB));
      const replaced = engine.put({ ...plot, overwrite: true });
      if (!lacks.includes('put-if-match')) await replaced;
      else await expect(replaced).rejects.toMatchObject({ code: 'store-error' });
    });
  });
}
