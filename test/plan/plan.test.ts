/** A plan against what then happens, on the sandbox: parts, requests and KMS calls are the very same. */
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DeleteBucketPolicyCommand,
  PutBucketEncryptionCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kmsKeyring } from '../../src/engine/keys.ts';
import type { Engine } from '../../src/engine.ts';
import type { JobResult, Place } from '../../src/job.ts';
import { atRestOf } from '../../src/plan/at-rest.ts';
import type { ServerEncryption } from '../../src/stores/encryption.ts';
import { resolveStore } from '../../src/stores/open.ts';
import { MiB } from '../../src/units.ts';
import { BUCKET, openStage, PART_SIZE, type Plot, SIZE, type Stage } from '../support/stage.ts';

const QUOTA = 7_000;
const SMALL_COUNT = 4;
/** The small ones have 0, 1, 2 and 3 bytes. */
const TOTAL_SIZE = SIZE + (SMALL_COUNT * (SMALL_COUNT - 1)) / 2;
let stage: Stage;
let plot: Plot;
let folder: string;

beforeAll(async () => {
  stage = await openStage({ https: true, kmsQuota: QUOTA });
  plot = stage.plot('unused', 1);
  folder = join(stage.folder, 'objects');
  mkdirSync(join(folder, 'deeper'), { recursive: true });
  for (let index = 0; index < SMALL_COUNT; index++) writeFileSync(join(folder, `small ${index}`), 'x'.repeat(index));
  writeFileSync(join(folder, 'deeper', 'large'), Buffer.alloc(SIZE, 'y'));
});

afterAll(() => stage.close());

function engineWith(keyReuse: 'on' | 'off') {
  const keyring = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId, 'alias/sandbox'], share: 'auto' });
  return stage.engine(plot, { keyring, keyReuse });
}

/** Does it, and tells what S3 was asked, HeadBucket aside: a thread that finds no object asks for the bucket too. */
async function seenOf(work: (engine: Engine) => Promise<JobResult>, keyReuse: 'on' | 'off' = 'on') {
  await using engine = engineWith(keyReuse);
  stage.requests.length = 0;
  const { kmsCalls, failed } = await work(engine);
  expect(failed).toBe(0);
  const seen = { kmsCalls, callsOfS3: 0, requests: {} as Record<string, number> };
  for (const { operation, kmsCalls: calls } of stage.requests.filter(({ service }) => service === 's3')) {
    seen.callsOfS3 += calls;
    if (operation !== 'HeadBucket') seen.requests[operation] = (seen.requests[operation] ?? 0) + 1;
  }
  return seen;
}

/** What a plan says of it, together. */
function planned(...requests: Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const [name, count] of requests.flatMap((each) => Object.entries(each))) sum[name] = (sum[name] ?? 0) + count;
  return Object.fromEntries(Object.entries(sum).filter(([name, count]) => count > 0 && name !== 'HeadBucket'));
}

/** SSE-KMS, with a key of the bucket or without. */
async function setDefault(BucketKeyEnabled: boolean): Promise<void> {
  const byDefault = { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: stage.sandbox.kmsKeyId } as const;
  const Rules = [{ ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled }];
  const input = { Bucket: BUCKET, ServerSideEncryptionConfiguration: { Rules } };
  await stage.s3.send(new PutBucketEncryptionCommand(input));
}

test("a plan of a directory is what then happens, S3's own calls of KMS included", async () => {
  await setDefault(false);
  stage.requests.length = 0;
  await using engine = engineWith('on');
  const plan = await engine.plan({ source: folder, target: `s3://${BUCKET}/on/`, partSize: PART_SIZE });
  expect(
    stage.requests.filter(({ operation }) => !/^Head|^GetServiceQuota$|^GetBucketEncryption$/.test(operation)),
  ).toEqual([]);

  const moved = (keyReuse: 'on' | 'off') => {
    const target = `s3://${BUCKET}/${keyReuse}/`;
    return seenOf((migrating) => migrating.migrate({ source: folder, target, partSize: PART_SIZE }), keyReuse);
  };
  const reused = await moved('on');
  expect(plan).toMatchObject({ objects: SMALL_COUNT + 1, parts: SMALL_COUNT + 3 });
  expect(planned(plan.requests!)).toEqual(reused.requests);
  expect(plan.kms).toMatchObject({ calls: reused.kmsCalls, callsWithReuse: reused.kmsCalls });
  expect(plan.atRest).toMatchObject({ by: 'bucket', encryption: { algorithm: 'aws:kms' }, kmsCalls: reused.callsOfS3 });
  expect(reused.callsOfS3).toBeGreaterThan(SMALL_COUNT);
  expect(plan.time.each.kms).toBeGreaterThan(reused.callsOfS3 / QUOTA);
  const { kmsCalls } = await moved('off');
  expect(plan.kms!.callsWithoutReuse).toBe(kmsCalls);
  expect([reused.kmsCalls, kmsCalls]).toEqual([2, 2 * (SMALL_COUNT + 1)]);

  expect(plan.kms).toMatchObject({ quota: { perSecond: QUOTA, from: 'account' }, ratePerSecond: 0.2 * QUOTA });
  expect(plan.largest).toMatchObject({ plainBytes: SIZE, parts: 3, partSize: PART_SIZE });
  expect(plan.plainBytes).toBe(TOTAL_SIZE);
  expect(readdirSync(plot.stateDir).filter((name) => name.startsWith('plan-'))).toEqual([]);
});

test('what migrate does not take is not planned of many', async () => {
  await using engine = engineWith('on');
  for (const options of [{ seal: 'none' }, { format: 's3ec', instructionFile: true }] as const) {
    const planning = engine.plan({ source: folder, target: `s3://${BUCKET}/many/`, ...options });
    await expect(planning).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('one file or object'),
    });
  }
});

test("a plan of a bucket's objects is as of the same files, and lists them without reading any", async () => {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name !== 'deeper');
  for (const name of [...names, '../unplanned']) {
    const Body = name.startsWith('..') ? 'not behind the prefix' : readFileSync(join(folder, name));
    await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: join('plain/of/all', name), Body }));
  }
  stage.requests.length = 0;
  await using engine = engineWith('on');
  const target = `s3://${BUCKET}/from-bucket/`;
  const { requests, reading, ...plan } = await engine.plan({
    source: `s3://${BUCKET}/plain/of/all`,
    target,
    partSize: PART_SIZE,
  });
  const seen = stage.requests.map(({ operation }) => operation);
  expect(seen.filter((operation) => operation === 'ListObjectsV2')).toHaveLength(reading!.requests.ListObjectsV2);
  expect(seen.filter((operation) => !/^(Head|List|GetServiceQuota$|GetBucketEncryption$)/.test(operation))).toEqual([]);

  const { parts } = plan.largest;
  expect(plan).toMatchObject({ objects: SMALL_COUNT + 1, parts: SMALL_COUNT + parts, plainBytes: TOTAL_SIZE });
  expect(plan.largest.path).toBe(`s3://${BUCKET}/plain/of/all/deeper/large`);
  const source = `s3://${BUCKET}/plain/of/all/`;
  const moved = await seenOf((moving) => moving.migrate({ source, target, partSize: PART_SIZE }));
  expect(planned(requests!, reading!.requests)).toEqual(moved.requests);
  const { GetObject } = reading!.requests;
  expect(reading).toMatchObject({ gets: { STANDARD: GetObject }, bytes: TOTAL_SIZE });
});

test.each([
  ['file', 'small 3'],
  ['object', 'small 0'],
  ['object', 'deeper/large'],
] as const)('a plan of one %s, %s, is of a put', async (what, name) => {
  await using engine = engineWith('on');
  const source = what === 'file' ? join(folder, name) : `s3://${BUCKET}/plain/of/all/${name}`;
  const request = { source, target: `s3://${BUCKET}/alone/${what}/${name}`, partSize: PART_SIZE };
  const { objects, requests, reading, atRest } = await engine.plan(request);
  const { requests: seen, callsOfS3 } = await seenOf((putting) => putting.put(request));
  expect(objects).toBe(1);
  expect(planned(requests!, reading?.requests ?? {})).toEqual(seen);
  // What reads an object is the source's bucket's to answer for.
  if (!reading) expect(atRest!.kmsCalls).toBe(callsOfS3);
});

describe('encryption at rest', () => {
  /** Of two objects, one of which goes up in four parts. */
  const requests = {
    HeadBucket: 1,
    HeadObject: 5,
    ListObjectsV2: 0,
    PutObject: 1,
    CreateMultipartUpload: 1,
    UploadPart: 4,
    CompleteMultipartUpload: 1,
  };
  async function atRest(asked?: ServerEncryption) {
    const { settings, credentials } = await resolveStore({ bucket: BUCKET, key: '' }, {});
    const place = { settings, credentials } as Place;
    return await atRestOf({ place, asked, requests, confirmations: 2 }, undefined);
  }

  test.each<[what: string, bucketKey: boolean, asked: ServerEncryption | undefined, kmsCalls: number]>([
    ['a key', true, undefined, 1],
    ['a key, for a request that says nothing of it', true, { algorithm: 'aws:kms' }, 1],
    ['a key that a request declines', true, { algorithm: 'aws:kms', bucketKey: false }, 9],
    ['a key that DSSE-KMS has no use for', true, { algorithm: 'aws:kms:dsse' }, 9],
    ['a key that SSE-S3 has no use for', true, { algorithm: 'AES256' }, 0],
    ['none, and a request that asks for one', false, { algorithm: 'aws:kms', bucketKey: true }, 1],
    ['none', false, { algorithm: 'aws:kms' }, 9],
  ])('of a bucket with %s', async (_what, bucketKey, asked, kmsCalls) => {
    await setDefault(bucketKey);
    expect(await atRest(asked)).toMatchObject({ by: asked ? 'request' : 'bucket', kmsCalls });
  });

  test('that may not be looked at is told, with what it might come to', async () => {
    const deny = { Effect: 'Deny', Principal: '*', Action: 's3:GetEncryptionConfiguration' };
    const Policy = JSON.stringify({ Statement: [{ ...deny, Resource: `arn:aws:s3:::${BUCKET}` }] });
    await stage.s3.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
    const told = await atRest();
    await stage.s3.send(new DeleteBucketPolicyCommand({ Bucket: BUCKET }));
    expect(told).toMatchObject({ encryption: undefined, unknown: expect.stringMatching(/GetBucketEncryption/) });
    expect(told.kmsCalls).toBe(9);
  });
});

test('a file that goes whole for the sake of its part size is planned too', async () => {
  await using engine = engineWith('on');
  const source = join(stage.folder, 'in-one-part');
  writeFileSync(source, '');
  truncateSync(source, 9 * MiB);
  const request = { source, target: `s3://${BUCKET}/in-one-part`, partSize: 16 * MiB, sign: true };
  expect(await engine.plan(request)).toMatchObject({ parts: 1, requests: { PutObject: 1 } });
});

test('sources, sizes and buckets that a put would refuse are refused', async () => {
  await using engine = engineWith('on');
  const target = `s3://${BUCKET}/refused`;
  const large = join(folder, 'deeper', 'large');
  await expect(engine.plan({ source: large, target, partSize: 1 })).rejects.toMatchObject({ code: 'bad-size' });
  await expect(engine.plan({ source: `${folder}/none`, target })).rejects.toMatchObject({ code: 'source-not-found' });
  const elsewhere = { source: large, target: 's3://no-such-bucket/object' };
  await expect(engine.plan(elsewhere)).rejects.toMatchObject({ code: 'bucket-not-found' });
  const dsse = { source: large, target, sse: { algorithm: 'aws:kms:dsse', bucketKey: true } };
  await expect(engine.plan(dsse)).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('DSSE'),
  });
  const onDisk = { source: large, target: `file://${stage.folder}/refused`, sse: { algorithm: 'AES256' } };
  await expect(engine.plan(onDisk)).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('--sse'),
  });
  const named = { source: large, target, metadata: { 'sealift-id': 'mine' } };
  await expect(engine.plan(named)).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('sealift-id'),
  });
  expect(() => stage.engine(plot, { limiter: 'http://user:secret@127.0.0.1' })).toThrow(/^--limiter is not/);
  mkdirSync(join(stage.folder, 'empty'));
  const empty = { source: join(stage.folder, 'empty'), target };
  await expect(engine.plan(empty)).rejects.toMatchObject({ code: 'source-not-found' });
});
