/** Migrations from bucket to bucket, and all the way round: a directory, a bucket, another bucket, a directory again. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type JobEvent, kmsKeyring, type MigrateRequest } from '../../src/index.ts';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { BASE_SIZE, CARRY_SIZE, THREAD_SIZE } from '../../src/parts/memory.ts';
import { BUCKET, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

const OLD = 'old';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  await stage.s3.send(new CreateBucketCommand({ Bucket: OLD }));
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const LARGE = Buffer.alloc(2 * PART_SIZE, 'large');

const store = (Key: string, Body: string | Buffer, headers: object = {}) =>
  stage.s3.send(new PutObjectCommand({ Bucket: OLD, Key, Body: Buffer.from(Body), ...headers }));

/** Carries all of a folder of the old bucket into one of the new. */
async function carry(folder: string, request: Partial<MigrateRequest> = {}) {
  const failures: Record<string, string> = {};
  const onEvent = (event: JobEvent) => {
    if (event.type === 'object' && event.outcome === 'failed') failures[event.name] = event.code!;
  };
  const ends = { source: `s3://${OLD}/${folder}`, target: `s3://${BUCKET}/${folder}` };
  return { result: await stage.shared.migrate({ ...ends, onEvent, ...request }), failures };
}

async function opened(key: string): Promise<string> {
  const chunks: Buffer[] = [];
  await stage.shared.get({
    source: `s3://${BUCKET}/${key}`,
    target: async (bytes) => void chunks.push(Buffer.from(bytes)),
  });
  return Buffer.concat(chunks).toString();
}

test('plain objects are sealed, small and large, with what is kept with them', async () => {
  const headers = { ContentType: 'text/csv', Metadata: { color: 'blue' }, Tagging: 'team=archive' };
  const objects = { 'plain/a': 'one', 'plain/b/empty': '', 'plain/b/two': Buffer.alloc(300, 2).toString() };
  for (const [key, body] of Object.entries(objects)) await store(key, body, headers);
  await store('plain/large', LARGE);
  const { result, failures } = await carry('plain/');
  expect(failures).toEqual({});
  expect(result).toMatchObject({ objects: 4, failed: 0, plainBytes: LARGE.length + 303, warnings: [] });
  for (const [key, body] of Object.entries(objects)) {
    expect(await opened(key)).toBe(body);
    const { ContentType, Metadata } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
    const { ETag } = await stage.s3.send(new HeadObjectCommand({ Bucket: OLD, Key: key }));
    expect(ContentType).toBe('text/csv');
    expect(Metadata).toMatchObject({
      color: 'blue',
      'sealift-source-etag': JSON.parse(ETag!),
      'sealift-source-size': `${body.length}`,
    });
    const { TagSet } = await stage.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key: key }));
    expect(TagSet).toEqual([{ Key: 'team', Value: 'archive' }]);
  }
  expect((await opened('plain/large')) === LARGE.toString()).toBe(true);
});

test('memory in which nothing could be carried is refused before there is a job', async () => {
  await store('memory/a', 'one');
  // A file as small would have room.
  const maxMemory = BASE_SIZE + THREAD_SIZE + CARRY_SIZE;
  const keyring = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId] });
  await using small = stage.engine(stage.plot('memory', 0), { keyring, maxMemory });
  const ends = { source: `s3://${OLD}/memory/`, target: `s3://${BUCKET}/memory/` };
  await expect(small.migrate(ends)).rejects.toMatchObject({ code: 'memory-too-small', exit: 2 });
  expect(await small.jobs()).not.toContainEqual(expect.objectContaining({ source: ends.source }));
});

test('the same is skipped without being fetched, another is replaced only if asked', async () => {
  for (const key of ['again/a', 'again/b']) await store(key, key);
  await store('again/large', LARGE);
  await carry('again/');
  await store('again/b', 'changed since');
  const before = stage.requests.length;
  const again = await carry('again/');
  expect(again.result).toMatchObject({ objects: 0, skipped: 2, failed: 1 });
  expect(again.failures).toEqual({ b: 'target-exists' });
  const gets = stage.requests
    .slice(before)
    .filter(({ operation, bucket }) => operation === 'GetObject' && bucket === OLD);
  expect(gets.map(({ key }) => key)).toEqual(['again/b']);
  expect((await carry('again/', { overwrite: true })).result).toMatchObject({ objects: 1, skipped: 2 });
  expect(await opened('again/b')).toBe('changed since');
});

test('one that cannot be opened stops no other', async () => {
  const source = join(stage.folder, 'file');
  writeFileSync(source, 'sealed');
  const put = (key: string, how = {}) => stage.shared.put({ source, target: `s3://${OLD}/mixed/${key}`, ...how });
  await put('frames');
  await put('s3ec', { format: 's3ec' });
  await put('beside', { format: 's3ec', instructionFile: true });
  await put('signed', { sign: true });
  const damaged = await stage.s3.send(new HeadObjectCommand({ Bucket: OLD, Key: 'mixed/frames' }));
  await store('mixed/damaged', Buffer.alloc(500, 7), { Metadata: damaged.Metadata });
  await store('mixed/plain', 'plain');
  const { result, failures } = await carry('mixed/');
  expect(failures).toEqual({ damaged: 'bad-header' });
  // The instruction file is of no use any more.
  expect(result).toMatchObject({ objects: 5, failed: 1, skipped: 1 });
  for (const key of ['frames', 's3ec', 'beside', 'signed']) expect(await opened(`mixed/${key}`)).toBe('sealed');
  expect(await opened('mixed/plain')).toBe('plain');
});

test('one under a key of somebody else, or with more metadata than go over, stops no other', async () => {
  const source = join(stage.folder, 'file');
  writeFileSync(source, 'sealed');
  const { kmsKeyId } = stage.sandbox;
  await using engine = stage.engine(
    { stateDir: join(stage.folder, 'foreign state') },
    { keyring: kmsKeyring({ keyIds: [kmsKeyId] }) },
  );
  for (const key of ['ours', 'theirs']) await engine.put({ source, target: `s3://${OLD}/foreign/${key}` });
  const theirs = await stage.s3.send(new GetObjectCommand({ Bucket: OLD, Key: 'foreign/theirs' }));
  const other = kmsKeyId.replace(/.{12}$/, '0'.repeat(12));
  const bytes = Buffer.from(await theirs.Body!.transformToByteArray())
    .toString('latin1')
    .replace(kmsKeyId, other);
  await store('foreign/theirs', Buffer.from(bytes, 'latin1'), { Metadata: theirs.Metadata });
  // All that S3 takes.
  await store('foreign/full', 'full', { Metadata: { note: 'x'.repeat(2040) } });
  for (const target of [`s3://${BUCKET}/foreign/`, join(stage.folder, 'foreign back')]) {
    const failures: Record<string, string> = {};
    const onEvent = (event: JobEvent) => {
      if (event.type === 'object' && event.outcome === 'failed') failures[event.name] = event.code!;
    };
    const ends = { source: `s3://${OLD}/foreign/`, target };
    const result = await engine.migrate({ ...ends, onEvent, opener: kmsKeyring({ keyIds: [] }) });
    expect(result).toMatchObject({ objects: 1, failed: 2 });
    const full = target.startsWith('s3:') ? 'metadata-too-large' : 'not-sealed';
    expect(failures).toEqual({ theirs: 'wrong-key', full });
  }
});

test('one that is replaced after it was listed is sealed as it is now, once all the rest is through', async () => {
  await store('replaced/a', 'first');
  stage.strike(`HeadObject(bucket=${OLD},key=replaced/a):1=slow@1GiB/s`, async () => {
    stage.sandbox.setFaults('');
    await store('replaced/a', 'other');
  });
  expect(await carry('replaced/')).toMatchObject({ failures: {}, result: { objects: 1, plainBytes: 5 } });
  expect(await opened('replaced/a')).toBe('other');
});

test('its bytes have the checksum that S3 keeps, or it is not sealed', async () => {
  await store('corrupt/a', 'first', { ChecksumAlgorithm: 'CRC32' });
  stage.sandbox.setFaults(`GetObject(bucket=${OLD},key=corrupt/a):*=corrupt@2`);
  expect((await carry('corrupt/')).failures).toEqual({ a: 'checksum-mismatch' });
  await expect(opened('corrupt/a')).rejects.toMatchObject({ code: 'object-not-found' });
});

test('the ledger knows what is sent before it is', async () => {
  await store('early/a', 'early');
  const known: string[] = [];
  stage.strike(`PutObject(bucket=${BUCKET},key=early/a):1=slow@1GiB/s`, () => {
    const job = jobIdOf({ command: 'migrate', source: `s3://${OLD}/early/`, target: `s3://${BUCKET}/early/` });
    using db = new DatabaseSync(join(stage.folder, 'state', `${job}.db`), { readOnly: true });
    const row = db.prepare('SELECT state, target FROM objects').get() as { state: string; target: string };
    known.push(row.state, JSON.parse(row.target ?? '{}').sealiftId);
  });
  await carry('early/');
  const { Metadata } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'early/a' }));
  expect(known).toEqual(['sending', Metadata!['sealift-id']]);
});

test('killed before the ledger heard of what was sent, it looks for it, and seals the rest anew', async () => {
  for (const key of ['killed/a', 'killed/b', 'killed/c']) await store(key, key);
  const { result } = await carry('killed/');
  {
    using ledger = BulkLedger.open(join(stage.folder, 'state'), result.job);
    ledger.reopen();
    const [a, b, c] = ledger.inState('done');
    const { sealiftId, format, sealedSize } = a!.target!;
    await ledger.write([
      { ...a!, state: 'sending', target: { sealiftId, format, sealedSize } },
      { ...b!, state: 'sending', target: { sealiftId: 'f0'.repeat(16), format, sealedSize } },
      // It had not come so far that it had an id.
      { ...c!, state: 'sending', target: undefined },
    ]);
  }
  await stage.s3.send(
    new DeleteObjectsCommand({
      Bucket: BUCKET,
      Delete: { Objects: ['b', 'c'].map((name) => ({ Key: `killed/${name}` })) },
    }),
  );
  const before = stage.requests.length;
  expect((await carry('killed/')).result).toMatchObject({ objects: 3, failed: 0, skipped: 0 });
  const sent = stage.requests.slice(before).filter(({ operation }) => operation === 'PutObject');
  expect(sent.map(({ key }) => key).sort()).toEqual(['killed/b', 'killed/c']);
  for (const key of ['killed/a', 'killed/b', 'killed/c']) expect(await opened(key)).toBe(key);
});

/** Every file of a tree with all that is kept of it. */
function filesIn(folder: string) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return names.flatMap((name) => {
    const stats = lstatSync(join(folder, name));
    const kept = { name, mode: stats.mode & 0o777, mtimeMs: Math.round(stats.mtimeMs) };
    return stats.isFile() ? [{ ...kept, bytes: readFileSync(join(folder, name)) }] : [];
  });
}

test('all the way round, under KMS: the tree is equal, by few calls', async () => {
  const tree = join(stage.folder, 'round');
  for (let number = 0; number < 120; number++) {
    const path = join(tree, `${number % 7}`, `file ${number}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.alloc(number * 97, number));
  }
  writeFileSync(join(tree, 'large'), LARGE);
  const keyring = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId] });
  await using engine = stage.engine({ stateDir: join(stage.folder, 'round state') }, { keyring });
  const ways = [tree, `s3://${OLD}/round/`, `s3://${BUCKET}/round/`, join(stage.folder, 'round back')];
  for (const [index, target] of ways.slice(1).entries()) {
    const before = stage.requests.length;
    // As the command line asks for it: whichever keys of KMS the objects name.
    const result = await engine.migrate({ source: ways[index]!, target, opener: kmsKeyring({ keyIds: [] }) });
    expect(result).toMatchObject({ objects: 121, failed: 0, skipped: 0, warnings: [] });
    const calls = stage.requests.slice(before).filter(({ service }) => service === 'kms');
    expect(calls.length).toBeLessThanOrEqual(10);
    expect(result.kmsCalls).toBe(calls.length);
  }
  expect(filesIn(ways[3]!)).toEqual(filesIn(tree));
});
