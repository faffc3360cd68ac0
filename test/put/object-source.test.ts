/**
 * An object of a store as the source of a put: plain bytes are sealed, sealed ones opened and sealed anew, from one bucket
 * into another, part by part on the threads. The version that was found is the one that is read, or nothing is completed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  CreateBucketCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PutRequest } from '../../src/index.ts';
import type { JobEvent } from '../../src/job.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { BUCKET, ofType, openStage, PART_2_FAILS, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

const OLD = 'old';
/** Two parts, the last of them short. */
const SHORT = PART_SIZE + 1000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  await stage.s3.send(new CreateBucketCommand({ Bucket: OLD }));
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

/** A plot whose source is also an object of the old bucket, with these headers. */
async function stored(name: string, size: number, headers: Record<string, unknown> = {}): Promise<Plot> {
  const plot = stage.plot(name, size);
  await store(plot, headers);
  return plot;
}

const store = ({ key: Key, source }: Plot, headers: Record<string, unknown> = {}) =>
  stage.s3.send(
    new PutObjectCommand({ Bucket: OLD, Key, Body: readFileSync(source), ChecksumAlgorithm: 'CRC32', ...headers }),
  );

const put = (plot: Plot, request: Partial<PutRequest> = {}) =>
  stage.shared.put({ source: `s3://${OLD}/${plot.key}`, target: plot.target, partSize: PART_SIZE, ...request });

const headOf = ({ key: Key }: Plot) => stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
const unfinished = () => stage.shared.jobs().filter(({ state }) => state === 'running');

test.each([0, 1000])('%i plain bytes are sealed', async (size) => {
  const plot = await stored(`plain ${size}`, size);
  expect(await put(plot)).toMatchObject({ command: 'put', object: plot.target, plainBytes: size, warnings: [] });
  await stage.expectEqual(plot);
});

test('bytes that begin as a message does, and do not go on as one, are plain; if they say they are one, damaged', async () => {
  const plot = await stored('begins', 1000);
  writeFileSync(plot.source, Buffer.alloc(1000, 2));
  await store(plot);
  await put(plot);
  await stage.expectEqual(plot);
  await store(plot, { Metadata: { 'sealift-id': 'of-another-writing' } });
  await expect(put(plot, { overwrite: true })).rejects.toMatchObject({ code: 'bad-header' });
});

test('what is kept with it goes over, and which object it was stands beside that', async () => {
  const plot = await stored('kept', 1000, {
    ContentType: 'text/csv',
    ContentLanguage: 'de',
    WebsiteRedirectLocation: '/elsewhere',
    Metadata: { color: 'blue', shape: 'round', 'sealift-id': 'of-another-writing', 'sealift-seal': 'none' },
    Tagging: 'team=archive',
  });
  const before = await stage.s3.send(new HeadObjectCommand({ Bucket: OLD, Key: plot.key }));
  await put(plot, { metadata: { color: 'red' } });
  const { Metadata, ...after } = await headOf(plot);
  expect(after).toMatchObject({ ContentType: 'text/csv', ContentLanguage: 'de' });
  expect(after).not.toHaveProperty('WebsiteRedirectLocation');
  expect(Metadata).toMatchObject({
    color: 'red',
    shape: 'round',
    mtime: `${before.LastModified!.getTime() / 1000}.000000000`,
    'sealift-source-etag': before.ETag!.replaceAll('"', ''),
    'sealift-source-size': '1000',
  });
  expect(Metadata!['sealift-id']).toMatch(/^[0-9a-f]{32}$/);
  expect(Metadata).not.toHaveProperty('sealift-seal');
  const tags = await stage.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key: plot.key }));
  expect(tags.TagSet).toEqual([{ Key: 'team', Value: 'archive' }]);
});

test('tags that may not be read are missed, and told', async () => {
  const plot = await stored('untold', 1000, { Metadata: { color: 'blue' } });
  const Resource = `arn:aws:s3:::${OLD}/${plot.key}`;
  const Statement = [{ Effect: 'Deny', Principal: '*', Action: 's3:GetObjectTagging', Resource }];
  await stage.s3.send(
    new PutBucketPolicyCommand({ Bucket: OLD, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
  );
  expect(await put(plot)).toMatchObject({ warnings: [expect.stringContaining('s3:GetObjectTagging')] });
  expect((await headOf(plot)).Metadata).toMatchObject({ color: 'blue' });
});

describe('an object that is sealed is opened, and sealed anew', () => {
  const other = rawAesKeyring({ namespace: 'test', name: 'other', key: Buffer.alloc(32, 'other') });

  test.each<[string, number, Partial<PutRequest>]>([
    ['of frames', SHORT, {}],
    ['signed', 1000, { sign: true }],
    ["of the S3 Encryption Client's", 1000, { format: 's3ec' }],
  ])('%s', async (name, size, how) => {
    const plot = stage.plot(`sealed ${name}`, size);
    const old = `s3://${OLD}/${plot.key}`;
    await using engine = stage.engine(plot, { keyring: other });
    await engine.put({ source: plot.source, target: old, partSize: PART_SIZE, metadata: { color: 'blue' }, ...how });
    await expect(put(plot)).rejects.toMatchObject({ code: 'wrong-key' });
    await put(plot, { opener: other });
    await stage.expectEqual(plot);
    const { Metadata } = await headOf(plot);
    expect(Metadata).toMatchObject({ color: 'blue', mtime: '1700000000.000000000', 'sealift-mode': '0644' });
    expect(Object.keys(Metadata!).filter((header) => header.startsWith('x-amz-'))).toEqual([]);
  });

  test('or not, where it was damaged', async () => {
    const plot = stage.plot('damaged', SHORT);
    await stage.shared.put({ source: plot.source, target: `s3://${OLD}/${plot.key}`, partSize: PART_SIZE });
    stage.sandbox.setFaults(`GetObject(bucket=${OLD},key=${plot.key}):2-=corrupt@1000`);
    await expect(put(plot)).rejects.toMatchObject({ code: 'bad-frame' });
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('in a directory as well, and into one', async () => {
    const plot = stage.plot('moved', SHORT);
    const [first, second] = ['first', 'second'].map((name) => pathToFileURL(join(stage.folder, name)).href);
    await stage.shared.put({ source: plot.source, target: first! });
    await stage.shared.put({ source: first!, target: second! });
    await stage.expectEqual({ ...plot, target: second! });
  });
});

describe('the source is the version that was found', () => {
  test.each([
    ['in parts', SHORT, 'UploadPart(part=1)'],
    ['at once', 1000, 'GetObjectTagging'],
  ])('replaced while it is read %s, it is not sealed', async (how, size, operation) => {
    const plot = await stored(`replaced ${how}`, size);
    stage.strike(`${operation}:1=slow@1GiB/s`, async () => {
      stage.sandbox.setFaults('');
      writeFileSync(plot.source, 'other');
      await store(plot);
    });
    await expect(put(plot)).rejects.toMatchObject({ code: 'object-changed' });
    expect(await stage.uploadIds(plot)).toEqual([]);
    expect(unfinished()).toEqual([]);
    await put(plot);
    await stage.expectEqual(plot);
  });

  test('replaced before the job goes on, what is there now is sealed, under another key', async () => {
    const plot = await stored('replaced between', SHORT, { Metadata: { color: 'blue' } });
    stage.sandbox.setFaults(PART_2_FAILS);
    await expect(put(plot)).rejects.toMatchObject({ code: 'store-unavailable' });
    stage.sandbox.setFaults('');
    writeFileSync(plot.source, readFileSync(plot.source).reverse());
    await store(plot, { Metadata: { color: 'red' } });
    const events: JobEvent[] = [];
    expect(await put(plot, { onEvent: (event) => events.push(event) })).toMatchObject({ partsReused: 0 });
    expect(ofType(events, 'restart')).toHaveLength(1);
    expect((await headOf(plot)).Metadata).toMatchObject({ color: 'red' });
    await stage.expectEqual(plot);
  });

  test('of another checksum than its store keeps, nothing is completed', async () => {
    for (const size of [1000, SHORT]) {
      const plot = await stored(`checksum ${size}`, size);
      stage.sandbox.setFaults(`GetObject(bucket=${OLD},key=${plot.key}):2-=corrupt@100`);
      await expect(put(plot)).rejects.toMatchObject({ code: 'checksum-mismatch' });
      await expect(headOf(plot)).rejects.toMatchObject({ name: 'NotFound' });
      stage.sandbox.setFaults('');
    }
  });
});

test('interrupted, it goes on where it stopped, and reads no more than that', async () => {
  const plot = await stored('resumed', SHORT);
  stage.sandbox.setFaults(PART_2_FAILS);
  await expect(put(plot)).rejects.toMatchObject({ code: 'store-unavailable' });
  stage.sandbox.setFaults('');
  const asked = stage.requests.length;
  const events: JobEvent[] = [];
  const result = await put(plot, { onEvent: (event) => events.push(event) });
  expect(ofType(events, 'start')).toMatchObject([{ resumed: true }]);
  expect(result).toMatchObject({ parts: 2, partsReused: 1 });
  const reads = stage.requests
    .slice(asked)
    .filter(({ operation, bucket }) => operation === 'GetObject' && bucket === OLD);
  // Its first bytes and its instruction file, to know what it is; and the part that was missing.
  expect(reads.map(({ key }) => key)).toEqual([plot.key, `${plot.key}.instruction`, plot.key]);
  await stage.expectEqual(plot);
});

test('a body that breaks off is read on from there', async () => {
  const plot = await stored('broken', SHORT);
  stage.sandbox.setFaults(`GetObject(bucket=${OLD},key=${plot.key}):2=reset@3MiB`);
  expect(await put(plot)).toMatchObject({ warnings: [] });
  await stage.expectEqual(plot);
});
