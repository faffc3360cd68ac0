/**
 * The data key of an S3 Encryption Client's object under another key: the same sealed bytes, which never come here, other
 * metadata, and the old key opens it no longer.
 */
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kmsKeyring } from '../../src/engine/keys.ts';
import { encodeWithInstructions } from '../../src/formats/s3ec/encode-header.ts';
import { decodeHeader, parsePairs } from '../../src/formats/s3ec/header.ts';
import { checkCommitment, deriveObjectKeys } from '../../src/formats/s3ec/keys.ts';
import { PROVIDER_ID } from '../../src/formats/s3ec/wrapping.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { BUCKET, keyring, openStage, type Plot, type Stage } from '../support/stage.ts';

const HEADERS = {
  metadata: { color: 'blue' },
  tags: { team: 'archive' },
  contentType: 'application/x-tar',
  storageClass: 'STANDARD_IA',
};
const other = rawAesKeyring({ namespace: 'test', name: 'other', key: Buffer.alloc(32, 'other') });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

async function sealed(name: string, request = {}): Promise<Plot> {
  const plot = stage.plot(name, 100_000);
  await stage.put(plot, { format: 's3ec', ...HEADERS, ...request });
  return plot;
}

async function rewrap({ target, stateDir }: Pick<Plot, 'target' | 'stateDir'>, request = {}) {
  await using engine = stage.engine({ stateDir }, { keyring: other });
  return await engine.rewrap({ object: target, opener: keyring, ...request });
}

const headOf = ({ key }: Pick<Plot, 'key'>) => stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));

/** Throws where this keyring does not open the object. */
async function open(by: Keyring, metadata: Record<string, string>, instructions?: Record<string, string>) {
  const header = decodeHeader(metadata, instructions);
  const { suite, wrapping, wrappedKey: ciphertext, messageId, description: encryptionContext } = header;
  const { contentAlgorithm } = suite;
  const encryptedDataKeys = [{ providerId: PROVIDER_ID, providerInfo: Buffer.from(wrapping.name), ciphertext }];
  using dataKey = await by.openDataKey({ encryptionContext, contentAlgorithm, encryptedDataKeys });
  checkCommitment(header, deriveObjectKeys({ suite, dataKey: dataKey.bytes, messageId }));
  return dataKey.bytes.toString('hex');
}

test.each([
  ['which commits to its key', {}],
  ['of version 2', { s3ecLegacy: true }],
])('an object %s: other metadata, the same bytes, and none of them moved', async (name, request) => {
  const plot = await sealed(name, request);
  const [before, { Metadata: old, ...headers }] = [await stage.stored(plot), await headOf(plot)];
  const dataKey = await open(keyring, old!);
  const requestCount = stage.requests.length;
  const result = await rewrap(plot);
  expect(result).toMatchObject({ command: 'rewrap', plainBytes: 100_000, sealedBytes: before.length, warnings: [] });
  const made = stage.requests.slice(requestCount);
  expect(made.map(({ operation }) => operation)).toContain('CopyObject');
  for (const { bytesIn, bytesOut } of made) expect(bytesIn + bytesOut).toBeLessThan(5000);

  const { Metadata: metadata, ...now } = await headOf(plot);
  expect((await stage.stored(plot)).equals(before)).toBe(true);
  expect(now).toMatchObject({ ContentType: headers.ContentType, StorageClass: headers.StorageClass });
  expect(now.ChecksumCRC32).toBe(headers.ChecksumCRC32);
  expect(metadata).toMatchObject({ color: 'blue', mtime: old!.mtime, 'sealift-id': old!['sealift-id'] });
  const { TagSet } = await stage.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key: plot.key }));
  expect(TagSet).toEqual([{ Key: 'team', Value: 'archive' }]);
  expect(await open(other, metadata!)).toBe(dataKey);
  await using engine = stage.engine(plot, { keyring: other });
  const rules = { commitmentPolicy: 'require-encrypt-allow-decrypt' } as const;
  expect(await engine.verify({ source: plot.target, ...rules })).toMatchObject({ plainBytes: 100_000 });
  await expect(open(keyring, metadata!)).rejects.toMatchObject({ code: 'wrong-key' });
});

test('from one KMS key to another, with its context', async () => {
  const kms = new KMSClient();
  const keyIds = [];
  for (const _ of [1, 2]) keyIds.push((await kms.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!);
  kms.destroy();
  const [first, second] = keyIds.map((keyId) => kmsKeyring({ keyIds: [keyId] }));
  const plot = stage.plot('kms', 1000);
  await using engine = stage.engine(plot, { keyring: first! });
  await engine.put({ source: plot.source, target: plot.target, format: 's3ec', context: { purpose: 'test' } });
  const old = decodeHeader((await headOf(plot)).Metadata!);
  await using next = stage.engine(plot, { keyring: second! });
  expect(await next.rewrap({ object: plot.target, opener: kmsKeyring({ keyIds: [] }) })).toMatchObject({ kmsCalls: 2 });
  const header = decodeHeader((await headOf(plot)).Metadata!);
  expect(header).toEqual({ ...old, wrappedKey: header.wrappedKey });
  expect(header.wrappedKey).not.toEqual(old.wrappedKey);
  expect(await next.rewrap({ object: plot.target })).toMatchObject({ kmsCalls: 2 });
  await expect(engine.rewrap({ object: plot.target })).rejects.toMatchObject({ code: 'wrong-key' });
});

test('an instruction file is written anew, and the object left alone', async () => {
  const plot = await sealed('instructions');
  const { Metadata } = await headOf(plot);
  const { metadata, instructions: body } = encodeWithInstructions(decodeHeader(Metadata!));
  const Body = await stage.stored(plot);
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: plot.key, Body, Metadata: metadata }));
  const file = `${plot.key}.instruction`;
  const mark = { 'x-amz-crypto-instr-file': '' };
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: file, Body: body, Metadata: mark }));
  const { ETag, LastModified } = await headOf(plot);
  await rewrap(plot);
  expect(await headOf(plot)).toMatchObject({ ETag, LastModified, Metadata: metadata });
  const instructions = parsePairs((await stage.stored({ ...plot, key: file })).toString());
  await open(other, metadata, instructions);
  await expect(open(keyring, metadata, instructions)).rejects.toMatchObject({ code: 'wrong-key' });
});

describe('refused, with the object as it was', () => {
  test('a message of the AWS Encryption SDK: its header would get a second tag under the same key and IV', async () => {
    const plot = stage.plot('esdk', 1000);
    await stage.put(plot, {});
    const refusal = await rewrap(plot).catch((error) => error);
    expect(refusal).toMatchObject({ code: 'cannot-rewrap', hint: expect.stringContaining('authentication key') });
    await stage.expectEqual(plot);
  });

  test('what is not sealed: there is nothing to seal again', async () => {
    const plot = stage.plot('unsealed', 1000);
    await stage.put(plot, { seal: 'none' });
    const hint = expect.stringContaining('`sealift put` seals it');
    await expect(rewrap(plot)).rejects.toMatchObject({ code: 'cannot-rewrap', hint });
  });

  test('another key than the object has', async () => {
    const plot = await sealed('wrong');
    await expect(rewrap(plot, { opener: other })).rejects.toMatchObject({ code: 'wrong-key' });
    await open(keyring, (await headOf(plot)).Metadata!);
  });

  test('one that was replaced meanwhile', async () => {
    const plot = await sealed('replaced');
    stage.strike('CopyObject:1=slow@1GiB/s', async () => {
      stage.sandbox.setFaults('');
      await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: plot.key, Body: 'other' }));
    });
    await expect(rewrap(plot)).rejects.toMatchObject({ code: 'target-changed' });
    expect((await stage.stored(plot)).toString()).toBe('other');
  });
});

test('an answer that is lost: HEAD finds our metadata', async () => {
  const plot = await sealed('lost');
  stage.sandbox.setFaults('CopyObject:1=lose-answer');
  expect(await rewrap(plot)).toMatchObject({ command: 'rewrap', warnings: [] });
  await open(other, (await headOf(plot)).Metadata!);
});

test('with versions: the old one stays, or goes where that is asked for', async () => {
  const versioning = { Bucket: BUCKET, VersioningConfiguration: { Status: 'Enabled' as const } };
  await stage.s3.send(new PutBucketVersioningCommand(versioning));
  const plot = await sealed('versions');
  const isThere = async (VersionId: string) => {
    const head = new HeadObjectCommand({ Bucket: BUCKET, Key: plot.key, VersionId });
    return stage.s3.send(head).then(
      () => true,
      () => false,
    );
  };
  const { VersionId: first } = await headOf(plot);
  const { versionId: second } = await rewrap(plot);
  expect(second).not.toBe(first);
  await rewrap(plot, { opener: other, deleteOldVersion: true });
  expect(await isThere(second!)).toBe(false);
  expect(await isThere(first!)).toBe(true);
  await open(other, (await headOf(plot)).Metadata!);
});
