/** A store that keeps to a bandwidth is a store as any other, and every byte of a body counts, both ways. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bandwidth, limitBandwidth } from '../../src/limits/bandwidth.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { DirectoryStore } from '../../src/stores/directory.ts';
import { LimitedStore } from '../../src/stores/limited.ts';
import { readWhole } from '../../src/stores/object-stream.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { GiB, MiB } from '../../src/units.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';
import { put, storeContract } from './contract.ts';

const RATE = MiB;

/** A bandwidth on a clock that the sleepers themselves move on: it stands where all that was taken has had its time. */
function countedBandwidth(): { bandwidth: Bandwidth; bytes: () => number } {
  let ns = 1_000_000_000n;
  const start = ns;
  const clock = {
    nowNs: () => ns,
    async sleep(ms: number) {
      ns += BigInt(Math.round(ms * 1e6));
    },
  };
  const bandwidth = new Bandwidth(limitBandwidth(RATE), clock);
  return { bandwidth, bytes: () => (Number(ns - start) / 1e9) * RATE };
}

const directory = mkdtempSync(join(tmpdir(), 'sealift-test-'));
let stage: Stage;
let s3: S3Store;
beforeAll(async () => {
  stage = await openStage();
  const access = await resolveS3Settings({ bucket: BUCKET });
  s3 = new S3Store({ ...access, settings: { ...access.settings, maxAttempts: 2 } });
});
afterAll(async () => {
  s3.close();
  await stage.close();
  rmSync(directory, { recursive: true });
});

storeContract('a directory within a bandwidth', async () => {
  const store = new LimitedStore(new DirectoryStore({ directory }), new Bandwidth(limitBandwidth(GiB)));
  return { store, minPartSize: 64 * 1024, flat: true, close: async () => {} };
});

const BODY = Buffer.alloc(5 * MiB, 'body');
/** Time that was not used before is worth 100 ms, and the last chunk, of up to 256 KiB, has not had its time yet. */
const SLACK = 0.4 * RATE;

describe.each(['S3', 'a directory'])('%s', (name) => {
  const inner = () => (name === 'S3' ? s3 : new DirectoryStore({ directory }));

  test('every byte sent and read counts', async () => {
    const { bandwidth, bytes } = countedBandwidth();
    const store = new LimitedStore(inner(), bandwidth);
    const expectCounted = (size: number) => {
      expect(bytes()).toBeGreaterThan(size - SLACK);
      expect(bytes()).toBeLessThanOrEqual(size);
    };

    await put(store, 'counted', BODY);
    expectCounted(BODY.length);
    const uploadId = await store.createUpload('parts', { metadata: {} });
    await store.sendPart('parts', { uploadId, number: 1, offset: 0, body: BODY, crc32: crc32(BODY) });
    expectCounted(2 * BODY.length);
    const read = await readWhole(await store.read('counted', { first: 0, last: BODY.length - 1 }));
    expect(read.equals(BODY)).toBe(true);
    expectCounted(3 * BODY.length);
    await store.head('counted');
    await store.abortUpload('parts', uploadId);
    expectCounted(3 * BODY.length);
  });
});

test('bytes that are sent again count again', async () => {
  const { bandwidth, bytes } = countedBandwidth();
  stage.sandbox.setFaults('PutObject:1=lose-answer');
  await put(new LimitedStore(s3, bandwidth), 'again', BODY);
  expect(bytes()).toBeGreaterThan(2 * BODY.length - SLACK);
});
