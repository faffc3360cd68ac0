/**
 * An object sealed again in its own place: the same plain bytes, all that was kept with it, another data key; one of the
 * two is there at any time, and what was interrupted goes on.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CopyObjectCommand, GetObjectTaggingCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import type { JobEvent } from '../../src/job.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { DirectoryStore } from '../../src/stores/directory.ts';
import { KiB, MiB } from '../../src/units.ts';
import {
  BUCKET,
  keyring,
  ofType,
  openStage,
  PART_2_FAILS,
  PART_SIZE,
  type Plot,
  type Stage,
} from '../support/stage.ts';

const HEADERS = {
  metadata: { color: 'blue', 'x-origin': 'ship' },
  tags: { team: 'archive', 'two words': 'a=b&c' },
  contentType: 'application/x-tar',
  storageClass: 'STANDARD_IA',
  context: { purpose: 'backup' },
};
/** Two parts, the last of them short. */
const SHORT = PART_SIZE + 1000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ https: true });
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const headOf = ({ key }: Plot) => stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
const reseal = (plot: Plot, request = {}) =>
  stage.shared.reseal({ object: plot.target, partSize: PART_SIZE, ...request });

/** What of an object's headers is the same however often it is sealed. */
async function keptOf(plot: Plot) {
  const { Metadata, ContentType, StorageClass, ContentEncoding, CacheControl } = await headOf(plot);
  const { 'sealift-id': id, ...metadata } = Metadata!;
  const { TagSet } = await stage.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key: plot.key }));
  return { metadata, ContentType, StorageClass, ContentEncoding, CacheControl, TagSet };
}

/** The data key, as the stage's keyring opens it from the object's header. */
async function dataKeyOf(plot: Plot): Promise<string> {
  const { encryptionContext, encryptedDataKeys } = decodeHeader(await stage.stored(plot))!;
  using dataKey = await keyring.openDataKey({ encryptionContext, encryptedDataKeys });
  return dataKey.bytes.toString('hex');
}

async function sealed(name: string, size = SHORT): Promise<Plot> {
  const plot = stage.plot(name, size);
  await stage.put(plot, { partSize: PART_SIZE });
  return plot;
}

/** Another program's object, in the place of the plot's. */
const replace = ({ key }: Plot) => stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: 'other' }));

test.each([0, SHORT])('%i bytes: the same bytes and headers, another key', async (size) => {
  const plot = stage.plot(`size-${size}`, size);
  await stage.put(plot, { partSize: PART_SIZE, ...HEADERS });
  const before = await stage.stored(plot);
  const kept = await keptOf(plot);
  const { context } = HEADERS;
  const result = await reseal(plot, { frameSize: 100 * KiB });
  expect(result).toMatchObject({ command: 'reseal', object: plot.target, plainBytes: size, failed: 0, warnings: [] });
  const after = await stage.stored(plot);
  expect(result.sealedBytes).toBe(after.length);
  expect(after.subarray(0, 400).equals(before.subarray(0, 400))).toBe(false);
  expect(await keptOf(plot)).toEqual(kept);
  expect((await stage.shared.inspect(plot.target)).encryptionContext).toMatchObject(context);
  await stage.expectEqual(plot);
});

test('content headers and encryption at rest go over', async () => {
  const plot = await sealed('headers', 1000);
  await stage.s3.send(
    new CopyObjectCommand({
      Bucket: BUCKET,
      Key: plot.key,
      CopySource: `${BUCKET}/${plot.key}`,
      MetadataDirective: 'REPLACE',
      Metadata: (await headOf(plot)).Metadata,
      ContentEncoding: 'zstd',
      ContentLanguage: 'de',
      ContentDisposition: 'attachment',
      CacheControl: 'no-store',
      Expires: new Date('2030-01-01T00:00:00Z'),
      WebsiteRedirectLocation: '/elsewhere',
      ServerSideEncryption: 'aws:kms',
      BucketKeyEnabled: true,
    }),
  );
  const { ETag, LastModified, VersionId, $metadata, ContentLength, Metadata, ChecksumCRC32, ...before } =
    await headOf(plot);
  await reseal(plot);
  expect(await headOf(plot)).toMatchObject(before);
  expect(before).toMatchObject({
    ContentEncoding: 'zstd',
    WebsiteRedirectLocation: '/elsewhere',
    BucketKeyEnabled: true,
  });
  await stage.expectEqual(plot);
});

test('in a directory, with all that is kept there', async () => {
  const plot = stage.plot('directory', 1000);
  const target = pathToFileURL(join(stage.folder, 'object')).href;
  const store = new DirectoryStore({ directory: stage.folder });
  const headersOf = async () => {
    const { etag, lastModified, crc32, metadata, ...headers } = await store.headers('object');
    const { 'sealift-id': id, ...others } = metadata;
    return { id, headers: { ...headers, metadata: others } };
  };
  await stage.shared.put({ source: plot.source, target, ...HEADERS });
  const before = await headersOf();
  await stage.shared.reseal({ object: target });
  const after = await headersOf();
  expect(after.headers).toEqual(before.headers);
  expect(after.headers).toMatchObject({ tags: HEADERS.tags, metadata: HEADERS.metadata });
  expect(after.id).not.toBe(before.id);
  await stage.expectEqual({ ...plot, target });
});

test('under a new data key, also where the engine has one that others share', async () => {
  const plot = await sealed('new key', 1000);
  const before = await dataKeyOf(plot);
  await reseal(plot);
  expect(await dataKeyOf(plot)).not.toBe(before);
});

test('from one wrapping key to another', async () => {
  const plot = await sealed('rewrapped');
  const other = rawAesKeyring({ namespace: 'test', name: 'other', key: Buffer.alloc(32, 'other') });
  await using engine = stage.engine(plot, { keyring: other });
  await expect(engine.reseal({ object: plot.target })).rejects.toMatchObject({ code: 'wrong-key' });
  expect(engine.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  await engine.reseal({ object: plot.target, opener: keyring });
  await expect(stage.shared.verify({ source: plot.target })).rejects.toMatchObject({ code: 'wrong-key' });
  expect(await engine.verify({ source: plot.target })).toMatchObject({ plainBytes: SHORT });
});

test('interrupted, it leaves the old object, and goes on where it stopped', async () => {
  const plot = await sealed('resumed');
  const before = await stage.stored(plot);
  stage.sandbox.setFaults(PART_2_FAILS);
  await expect(reseal(plot)).rejects.toMatchObject({ code: 'store-unavailable' });
  stage.sandbox.setFaults('');
  expect((await stage.stored(plot)).equals(before)).toBe(true);
  const events: JobEvent[] = [];
  const result = await reseal(plot, { onEvent: (event: JobEvent) => events.push(event) });
  expect(ofType(events, 'start')).toMatchObject([{ command: 'reseal', resumed: true }]);
  expect(result).toMatchObject({ parts: 2, partsReused: 1 });
  expect((await stage.stored(plot)).equals(before)).toBe(false);
  expect(await stage.uploadIds(plot)).toEqual([]);
  await stage.expectEqual(plot);
});

test.each([SHORT, 1000])('of %i bytes, whose last answer was lost, it is found done', async (size) => {
  const plot = await sealed(`lost ${size}`, size);
  const faults =
    size === SHORT
      ? 'CompleteMultipartUpload:1=lose-answer; HeadObject:4-=500'
      : 'PutObject:1=lose-answer; HeadObject:3-=500';
  stage.sandbox.setFaults(faults);
  await expect(reseal(plot)).rejects.toMatchObject({ code: 'store-unavailable' });
  stage.sandbox.setFaults('');
  const after = await stage.stored(plot);
  expect(await reseal(plot)).toMatchObject({ warnings: [] });
  expect((await stage.stored(plot)).equals(after)).toBe(true);
  await stage.expectEqual(plot);
});

describe('replaced by somebody meanwhile, the object stays theirs', () => {
  test.each([
    ['while it is read', SHORT, 'UploadPart(part=1)', 'object-changed'],
    ['before it is completed', SHORT, 'CompleteMultipartUpload', 'target-changed'],
    ['before it is written in one request', 1000, 'PutObject', 'target-changed'],
  ])('%s', async (when, size, operation, code) => {
    const plot = await sealed(`replaced ${when}`, size);
    // Slow enough for nobody: it is there to hold the request.
    stage.strike(`${operation}:1=slow@1GiB/s`, async () => {
      stage.sandbox.setFaults('');
      await replace(plot);
    });
    await expect(reseal(plot)).rejects.toMatchObject({ code });
    expect((await stage.stored(plot)).toString()).toBe('other');
    expect(await stage.uploadIds(plot)).toEqual([]);
    expect(stage.shared.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  });
});

test('a damaged object is not sealed again as if it were whole', async () => {
  const plot = await sealed('damaged');
  const bytes = await stage.stored(plot);
  bytes[SHORT - 10]! ^= 1;
  const { Metadata } = await headOf(plot);
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: plot.key, Body: bytes, Metadata }));
  await expect(reseal(plot)).rejects.toMatchObject({ code: 'bad-frame' });
  expect((await stage.stored(plot)).equals(bytes)).toBe(true);
  expect(await stage.uploadIds(plot)).toEqual([]);
});

test('several at once in the least memory never wait for each other for ever', async () => {
  const plots = [await sealed('a'), await sealed('b')];
  const leastOf = async (maxMemory: number) => {
    await using engine = stage.engine(plots[0]!, { maxMemory });
    return await engine.reseal({ object: plots[0]!.target, partSize: PART_SIZE, fresh: true });
  };
  const refused = await leastOf(177 * MiB).catch((error) => error);
  const least = Number(/least that works is (\d+) MiB/.exec(refused.message)![1]);
  await using engine = stage.engine(plots[0]!, { maxMemory: least * MiB });
  await Promise.all(plots.map(({ target }) => engine.reseal({ object: target, partSize: PART_SIZE })));
  for (const plot of plots) await stage.expectEqual(plot);
});
