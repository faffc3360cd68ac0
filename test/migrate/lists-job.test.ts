/** Lists of objects drive a job: what an inventory or a manifest names is in the other place afterwards, and nothing else. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MigrateRequest } from '../../src/engine/api.ts';
import type { JobEvent } from '../../src/job.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';
import { encodeKey, type InventoryFiles, inventoryOf } from './inventory.ts';

let stage: Stage;
/** By key. */
const etags = new Map<string, string>();
const keys = ['a+b %.txt', 'photos/1.jpg', 'photos/2.jpg', 'photos/é\n', 'unlisted'];

beforeAll(async () => {
  stage = await openStage();
  for (const key of keys) {
    const { ETag } = await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: `of ${key}` }));
    etags.set(key, ETag!.replaceAll('"', ''));
  }
});
afterAll(() => stage.close());

async function migrate(source: string, name: string, request: Partial<MigrateRequest> = {}) {
  const failed: Record<string, string> = {};
  const onEvent = (event: JobEvent) => {
    if (event.type === 'object' && event.outcome === 'failed') failed[event.name] = event.code!;
  };
  const target = `s3://${BUCKET}/to/${name}/`;
  const result = await stage.shared.migrate({ source, target, onEvent, ...request });
  const Prefix = `to/${name}/`;
  const { Contents = [] } = await stage.s3.send(
    new ListObjectsV2Command({ Bucket: BUCKET, Prefix, EncodingType: 'url' }),
  );
  const there = Contents.map(({ Key }) => decodeURIComponent(Key!.replaceAll('+', ' ')).slice(Prefix.length));
  const back = join(stage.folder, 'back');
  for (const key of there) {
    rmSync(back, { force: true });
    await stage.shared.get({ source: target + key, target: back });
    expect(readFileSync(back, 'utf8')).toBe(`of ${key}`);
  }
  return { result, there, failed };
}

async function upload(files: InventoryFiles): Promise<string> {
  for (const [Key, Body] of files) await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  return `s3://${BUCKET}/${files[0]![0]}`;
}

test.each(['CSV', 'Parquet'] as const)('an inventory in %s', async (format) => {
  const listed = keys.slice(0, -1).map((key) => ({ key, size: Buffer.byteLength(`of ${key}`), etag: etags.get(key)! }));
  // As it was when the list was made, and is no more; and what is no more at all.
  const changed = { key: 'unlisted', size: 1, etag: '0'.repeat(32) };
  const gone = { ...changed, key: 'gone' };
  const manifest = await upload(inventoryOf(format, [listed.slice(0, 2), [...listed.slice(2), changed, gone]]));
  const { there, failed } = await migrate(manifest, format, { filter: { exclude: ['2.jpg'] } });
  expect(there.sort()).toEqual(['a+b %.txt', 'photos/1.jpg', 'photos/é\n', 'unlisted']);
  expect(failed).toEqual({ gone: 'object-not-found' });
});

test('a manifest of S3 Batch Operations, and a list of names', async () => {
  const folder = join(stage.folder, 'lists');
  mkdirSync(folder);
  const csv = join(folder, 'batch.csv');
  const lines = [...keys.slice(0, 2), 'gone'].map((key) => `${BUCKET},${encodeKey(key)}\n`);
  writeFileSync(csv, lines.join(''));
  const batch = await migrate(csv, 'batch');
  expect(batch.there.sort()).toEqual(['a+b %.txt', 'photos/1.jpg']);
  expect(batch.failed).toEqual({ gone: 'object-not-found' });
  const names = async function* () {
    yield Buffer.from('1.jpg\0');
  };
  const target = `s3://${BUCKET}/to/named/`;
  const { objects } = await stage.shared.migrate({ source: `s3://${BUCKET}/photos`, target, names });
  expect(objects).toBe(1);
});
