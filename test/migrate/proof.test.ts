/** What a migration wrote is proven: all of it, or a sample; what is gone, replaced or of an older time is found. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobEvent } from '../../src/job.ts';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import type { ProofRequest } from '../../src/migrate/proof.ts';
import { chosen, sampleCount } from '../../src/migrate/sample.ts';
import { BUCKET, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});

afterAll(() => stage.close());

const names = Array.from({ length: 12 }, (_, index) => `f${index}`);
const large = Buffer.alloc(PART_SIZE + 17, 'large');

function treeOf(name: string): string {
  const source = join(stage.folder, name);
  mkdirSync(source);
  for (const file of names) writeFileSync(join(source, file), `content of ${file}`);
  writeFileSync(join(source, 'large'), large);
  return source;
}

async function migrated(source: string, target: string, overwrite = false): Promise<string> {
  const { job, failed } = await stage.shared.migrate({ source, target, partSize: PART_SIZE, overwrite });
  expect(failed).toBe(0);
  return job;
}

async function prove(job: string, request: Partial<ProofRequest> = {}) {
  const told: string[] = [];
  const onEvent = (event: JobEvent) => {
    if (event.type === 'object') told.push(`${event.name} ${event.code ?? event.outcome}`);
  };
  const result = await stage.shared.prove({ job, onEvent, ...request });
  return { result, told: told.sort() };
}

const Bucket = BUCKET;

test('what is as it was written is proven; an older version put back, or a missing object, is not', async () => {
  const source = treeOf('proven');
  const target = `s3://${BUCKET}/proven/`;
  const job = await migrated(source, target);
  const { result, told } = await prove(job);
  expect(result).toMatchObject({ command: 'verify', job, objects: 13, failed: 0, failures: {}, warnings: [] });
  expect(result.plainBytes).toBe(large.length + names.reduce((sum, name) => sum + `content of ${name}`.length, 0));
  expect(told).toEqual([...names, 'large'].map((name) => `${name} done`).sort());

  const old = await stage.s3.send(new GetObjectCommand({ Bucket, Key: 'proven/f3' }));
  const body = await old.Body!.transformToByteArray();
  // Of the same size: nothing but its identity tells it from the one that takes its place.
  writeFileSync(join(source, 'f3'), 'CONTENT OF F3');
  await migrated(source, target, true);
  expect((await prove(job)).result).toMatchObject({ objects: 1, sample: { of: 1 } });
  await stage.s3.send(new PutObjectCommand({ Bucket, Key: 'proven/f3', Body: body, Metadata: old.Metadata }));
  expect((await stage.shared.verify({ source: `${target}f3` })).plainBytes).toBe(13);
  const replaced = await prove(job);
  expect(replaced.result).toMatchObject({ objects: 0, failed: 1, failures: { 'object-changed': 1 }, plainBytes: 0 });

  await stage.s3.send(new DeleteObjectCommand({ Bucket, Key: 'proven/f3' }));
  expect((await prove(job)).told).toEqual(['f3 object-not-found']);
});

test.each(['messageId', 'sealiftId', 'sealedSize', 'etag'] as const)('another %s is another object', async (fact) => {
  const source = treeOf(fact);
  for (const name of [...names.slice(1), 'large']) rmSync(join(source, name));
  const job = await migrated(source, `s3://${BUCKET}/${fact}/`);
  expect((await prove(job)).told).toEqual(['f0 done']);
  {
    using ledger = BulkLedger.open(join(stage.folder, 'state'), job);
    const [row] = ledger.inState('done');
    await ledger.write([{ ...row!, target: { ...row!.target!, [fact]: fact === 'sealedSize' ? 1 : 'another' } }]);
  }
  expect((await prove(job)).told).toEqual(['f0 object-changed']);
});

test('in a directory too, where a folder may be gone with its object', async () => {
  const source = treeOf('disk');
  mkdirSync(join(source, 'sub'));
  writeFileSync(join(source, 'sub', 'a b%'), '');
  const disk = join(stage.folder, 'on disk');
  const job = await migrated(source, `${pathToFileURL(disk).href}/`);
  expect((await prove(job)).result).toMatchObject({ objects: 14, failed: 0 });
  rmSync(join(disk, 'sub'), { recursive: true });
  expect((await prove(job)).result).toMatchObject({ objects: 13, failed: 1 });
});

test('what would keep all from being opened is no failure of theirs; what is not to be proven is refused', async () => {
  const source = treeOf('refused');
  const job = await migrated(source, `s3://${BUCKET}/refused/`);
  const stop = AbortSignal.abort();
  await expect(prove(job, { signal: stop })).rejects.toMatchObject({ code: 'interrupted' });
  stage.sandbox.setFaults('GetObject(key=refused/f5):*=NoSuchBucket');
  await expect(prove(job)).rejects.toMatchObject({ code: 'bucket-not-found' });
  stage.sandbox.setFaults('GetObject(key=refused/f5):*=500');
  expect((await prove(job)).result).toMatchObject({ objects: 12, failed: 1, failures: { 'store-unavailable': 1 } });
  stage.sandbox.setFaults('');
  {
    using _held = BulkLedger.open(join(stage.folder, 'state'), job);
    await expect(prove(job)).rejects.toMatchObject({ code: 'job-busy' });
  }
  const back = await stage.shared.migrate({
    source: `s3://${BUCKET}/refused/`,
    target: join(stage.folder, 'restored'),
  });
  await expect(prove(back.job)).rejects.toMatchObject({ code: 'usage' });
});

describe('a sample', () => {
  const rows = (count: number) => Array.from({ length: count }, (_, index) => index);

  test('has as many as were asked for, in order, and the same ones again by its seed', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(220), fc.string(), (of, asked, seed) => {
        const count = sampleCount({ count: asked }, of);
        const sample = [...chosen(rows(of), { count, of, seed })];
        expect(sample).toHaveLength(Math.min(of, asked));
        expect(sample).toEqual([...new Set(sample)].sort((a, b) => a - b));
        expect([...chosen(rows(of), { count, of, seed })]).toEqual(sample);
      }),
    );
  });

  test('gives each row the same chance', () => {
    const taken = rows(20).fill(0);
    for (let seed = 0; seed < 1000; seed++) {
      for (const row of chosen(rows(20), { count: 5, of: 20, seed: String(seed) })) taken[row]!++;
    }
    // 250 are to be expected of each, give or take 14: the seeds are fixed, and so is what comes of them.
    for (const times of taken) expect(Math.abs(times - 250)).toBeLessThan(70);
  });

  test('is a share of all, rounded up', () => {
    expect(sampleCount({ share: 0.01 }, 12)).toBe(1);
    expect(sampleCount({ share: 0.01 }, 1000)).toBe(10);
    expect(sampleCount({ share: 1 }, 7)).toBe(7);
    expect(sampleCount('all', 7)).toBe(7);
    expect(sampleCount({ share: 0.5 }, 0)).toBe(0);
  });

  test('is all that is fetched', async () => {
    const job = await migrated(treeOf('sampled'), `s3://${BUCKET}/sampled/`);
    stage.requests.length = 0;
    const { result, told } = await prove(job, { sample: { share: 0.2 }, seed: 'a' });
    expect(result).toMatchObject({ objects: 3, sample: { objects: 3, of: 13, seed: 'a' } });
    expect(new Set(stage.requests.map(({ key }) => key)).size).toBe(3);
    expect((await prove(job, { sample: { count: 3 }, seed: 'a' })).told).toEqual(told);
    const other = (await prove(job, { sample: { count: 3 } })).result.sample!.seed;
    expect(other).toMatch(/^[0-9a-f]{10}$/);
  });
});
