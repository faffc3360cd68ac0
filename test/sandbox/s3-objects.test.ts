import { createHash } from 'node:crypto';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetBucketCorsCommand,
  GetBucketLocationCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKET, bytes, openSandbox, outcome, type TestSandbox } from './s3-client.ts';

describe.each([{ https: false }, { https: true }])('objects, https: $https', (options) => {
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox(options);
  });
  afterAll(() => test.close());

  const put = (Key: string, more: Partial<PutObjectCommandInput> = {}) =>
    test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'hello', ...more }));
  const head = (Key: string) => test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
  const get = (Key: string, more = {}) => test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, ...more }));

  it.each([0, 1, 65_535, 65_536, 3_000_001])('gives %i bytes back, with their MD5 as ETag', async (size) => {
    const body = bytes(size, size + 1);
    const { ETag } = await put('sized', { Body: body });
    expect(ETag).toBe(`"${createHash('md5').update(body).digest('hex')}"`);
    const answer = await get('sized');
    expect(answer.ContentLength).toBe(size);
    expect(Buffer.from(await answer.Body!.transformToByteArray()).equals(body)).toBe(true);
  });

  it.each([
    'a b',
    'a+b',
    'a%2Fb',
    'ünïcödé/日本/🚀',
    '..',
    'a/../b',
    '/leading',
    'double//slash',
    'trailing/',
    "!'()*~$&=@:;,?#[]",
    'tab\there',
  ])('takes the key %j literally', async (key) => {
    await put(key, { Body: key });
    expect(await (await get(key)).Body!.transformToString()).toBe(key);
    expect(test.records.findLast((record) => record.operation === 'PutObject')?.key).toBe(key);
    await test.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(await outcome(head(key))).toBe('NotFound 404');
  });

  it('keeps headers, metadata, tags and storage class', async () => {
    const given = {
      CacheControl: 'no-store',
      ContentDisposition: 'attachment',
      ContentEncoding: 'gzip',
      ContentLanguage: 'de',
      ContentType: 'text/plain',
      Metadata: { one: '1', 'two-2': 'b  c' },
      StorageClass: 'STANDARD_IA',
    } as const;
    await put('kept', { ...given, Tagging: 'a=1&b=%20' });
    expect(await head('kept')).toMatchObject({ ...given, Metadata: { one: '1', 'two-2': 'b  c' }, TagCount: 2 });
    const tagging = { Bucket: BUCKET, Key: 'kept' };
    const tags = async () => (await test.s3.send(new GetObjectTaggingCommand(tagging))).TagSet;
    expect(await tags()).toEqual([
      { Key: 'a', Value: '1' },
      { Key: 'b', Value: ' ' },
    ]);
    await test.s3.send(new PutObjectTaggingCommand({ ...tagging, Tagging: { TagSet: [{ Key: 'c', Value: '<&>' }] } }));
    expect(await tags()).toEqual([{ Key: 'c', Value: '<&>' }]);
    await test.s3.send(new DeleteObjectTaggingCommand(tagging));
    expect(await tags()).toEqual([]);
  });

  it('refuses what S3 refuses', async () => {
    expect(await outcome(put('m', { Metadata: { k: 'v'.repeat(2047) } }))).toBe('ok');
    expect(await outcome(put('m', { Metadata: { k: 'v'.repeat(2048) } }))).toBe('MetadataTooLarge 400');
    expect(await outcome(put('m', { StorageClass: 'NONE' as 'GLACIER' }))).toBe('InvalidStorageClass 400');
    expect(await outcome(put('m', { Tagging: [...'abcdefghijk'].map((t) => `${t}=1`).join('&') }))).toBe(
      'InvalidTag 400',
    );
    expect(await outcome(put('m', { Tagging: 'a=1&a=2' }))).toBe('InvalidTag 400');
    expect(await outcome(put('k'.repeat(1025)))).toBe('KeyTooLongError 400');
    expect(await outcome(put('m', { ContentMD5: '1B2M2Y8AsgTpgAmY7PhCfg==' }))).toBe('BadDigest 400');
    expect(await outcome(put('m', { ContentMD5: 'AAAA' }))).toBe('InvalidDigest 400');
    expect(await outcome(put('m', { ExpectedBucketOwner: '111111111111' }))).toBe('AccessDenied 403');
    expect(await outcome(put('m', { ExpectedBucketOwner: '000000000000' }))).toBe('ok');
    expect(await outcome(put('m', { Bucket: 'nowhere' }))).toBe('NoSuchBucket 404');
    expect(await outcome(get('none'))).toBe('NoSuchKey 404');
    expect(await outcome(get('m', { VersionId: 'null' }))).toBe('ok');
    expect(await outcome(get('m', { VersionId: 'abc' }))).toBe('NoSuchVersion 404');
    expect(await outcome(test.s3.send(new GetBucketCorsCommand({ Bucket: BUCKET })))).toBe('NotImplemented 501');
  });

  it('serves ranges', async () => {
    const body = bytes(1000);
    await put('ranged', { Body: body });
    const range = async (Range: string) => {
      const answer = await get('ranged', { Range });
      return [answer.ContentRange, Buffer.from(await answer.Body!.transformToByteArray())];
    };
    expect(await range('bytes=0-0')).toEqual(['bytes 0-0/1000', body.subarray(0, 1)]);
    expect(await range('bytes=990-5000')).toEqual(['bytes 990-999/1000', body.subarray(990)]);
    expect(await range('bytes=500-')).toEqual(['bytes 500-999/1000', body.subarray(500)]);
    expect(await range('bytes=-7')).toEqual(['bytes 993-999/1000', body.subarray(993)]);
    expect(await range('bytes=9-8')).toEqual([undefined, body]);
    expect(await outcome(get('ranged', { Range: 'bytes=1000-' }))).toBe('InvalidRange 416');
  });

  it('honours conditions of reads', async () => {
    const { ETag } = await put('read');
    const later = new Date(Date.now() + 60_000);
    const earlier = new Date(Date.now() - 60_000);
    expect(await outcome(get('read', { IfMatch: ETag }))).toBe('ok');
    expect(await outcome(get('read', { IfMatch: '"other"' }))).toBe('PreconditionFailed 412');
    expect(await outcome(get('read', { IfNoneMatch: ETag }))).toMatch(/304$/);
    expect(await outcome(get('read', { IfNoneMatch: '"other"' }))).toBe('ok');
    expect(await outcome(get('read', { IfModifiedSince: later }))).toMatch(/304$/);
    expect(await outcome(get('read', { IfUnmodifiedSince: earlier }))).toBe('PreconditionFailed 412');
    expect(await outcome(get('read', { IfMatch: ETag, IfUnmodifiedSince: earlier }))).toBe('ok');
    expect(await outcome(get('read', { IfNoneMatch: '"other"', IfModifiedSince: later }))).toBe('ok');
  });

  it('honours conditions of writes and deletes', async () => {
    const { ETag } = await put('written', { IfNoneMatch: '*' });
    expect(await outcome(put('written', { IfNoneMatch: '*' }))).toBe('PreconditionFailed 412');
    expect(await outcome(put('written', { IfMatch: '"other"' }))).toBe('PreconditionFailed 412');
    expect(await outcome(put('unwritten', { IfMatch: '"other"' }))).toBe('NoSuchKey 404');
    expect(await outcome(put('written', { IfMatch: ETag!, Body: 'new' }))).toBe('ok');
    const remove = (IfMatch: string) =>
      test.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'written', IfMatch }));
    expect(await outcome(remove(ETag!))).toBe('PreconditionFailed 412');
    expect(await outcome(remove('*'))).toBe('ok');
    expect(await outcome(remove('*'))).toBe('NoSuchKey 404');
  });

  it('lets one of many conditional writers win', async () => {
    const writers = Array.from({ length: 8 }, (_, i) => put('raced', { Body: bytes(100_000, i), IfNoneMatch: '*' }));
    const outcomes = await Promise.all(writers.map(outcome));
    expect(outcomes.filter((o) => o === 'ok')).toHaveLength(1);
    expect(outcomes.filter((o) => o === 'PreconditionFailed 412')).toHaveLength(7);
  });

  it('deletes many at once', async () => {
    for (const key of ['d1', 'd2', 'd <&>3']) await put(key);
    const { Deleted, Errors } = await test.s3.send(
      new DeleteObjectsCommand({
        Bucket: BUCKET,
        Delete: { Objects: [{ Key: 'd1' }, { Key: 'd <&>3' }, { Key: 'd2', ETag: '"x"' }, { Key: 'not there' }] },
      }),
    );
    expect(Deleted?.map((d) => d.Key)).toEqual(['d1', 'd <&>3', 'not there']);
    expect(Errors).toMatchObject([{ Key: 'd2', Code: 'PreconditionFailed' }]);
    expect(await outcome(head('d2'))).toBe('ok');
  });

  it('copies objects', async () => {
    const { ETag } = await put('from ü', { Metadata: { a: '1' }, Tagging: 't=1', StorageClass: 'STANDARD_IA' });
    const copy = (more: Record<string, unknown> = {}) =>
      test.s3.send(
        new CopyObjectCommand({
          Bucket: BUCKET,
          Key: 'to',
          CopySource: `${BUCKET}/${encodeURIComponent('from ü')}`,
          ...more,
        }),
      );
    const { CopyObjectResult } = await copy();
    expect(CopyObjectResult?.ETag).toBe(ETag);
    const kept = await head('to');
    expect(kept).toMatchObject({ Metadata: { a: '1' }, TagCount: 1 });
    expect(kept.StorageClass).toBeUndefined();
    await copy({ MetadataDirective: 'REPLACE', Metadata: { b: '2' }, TaggingDirective: 'REPLACE', Tagging: '' });
    expect((await head('to')).Metadata).toEqual({ b: '2' });
    expect((await head('to')).TagCount).toBeUndefined();
    expect(await outcome(copy({ Key: 'from ü' }))).toBe('InvalidRequest 400');
    expect(await outcome(copy({ Key: 'from ü', StorageClass: 'STANDARD' }))).toBe('ok');
    expect(await outcome(copy({ CopySourceIfMatch: '"x"' }))).toBe('PreconditionFailed 412');
    expect(await outcome(copy({ CopySourceIfNoneMatch: ETag }))).toBe('PreconditionFailed 412');
    expect(await outcome(copy({ IfNoneMatch: '*' }))).toBe('PreconditionFailed 412');
    expect(await outcome(copy({ CopySource: `${BUCKET}/nothing` }))).toBe('NoSuchKey 404');
    expect(await outcome(copy({ CopySource: 'nowhere/nothing' }))).toBe('NoSuchBucket 404');
  });

  it('does not read archived objects', async () => {
    await put('cold', { StorageClass: 'DEEP_ARCHIVE' });
    expect(await outcome(get('cold'))).toBe('InvalidObjectState 403');
    expect(await outcome(head('cold'))).toBe('ok');
  });

  it('tells attributes', async () => {
    const { ETag } = await put('attributed');
    const answer = await test.s3.send(
      new GetObjectAttributesCommand({
        Bucket: BUCKET,
        Key: 'attributed',
        ObjectAttributes: ['ETag', 'ObjectSize', 'StorageClass', 'Checksum', 'ObjectParts'],
      }),
    );
    expect(answer).toMatchObject({ ObjectSize: 5, StorageClass: 'STANDARD', Checksum: { ChecksumCRC32: 'NhCmhg==' } });
    expect(`"${answer.ETag}"`).toBe(ETag);
    expect(answer.ObjectParts).toBeUndefined();
  });

  it('keeps buckets', async () => {
    const { s3 } = test;
    const create = (Bucket: string) => s3.send(new CreateBucketCommand({ Bucket }));
    expect(await outcome(create('another'))).toBe('ok');
    expect(await outcome(create('another'))).toBe('ok');
    expect(await outcome(create('Not-A-Bucket'))).toBe('InvalidBucketName 400');
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets?.map((bucket) => bucket.Name)).toEqual(['another', BUCKET]);
    expect((await s3.send(new GetBucketLocationCommand({ Bucket: BUCKET }))).LocationConstraint).toBeUndefined();
    expect((await s3.send(new HeadBucketCommand({ Bucket: BUCKET }))).BucketRegion).toBe('us-east-1');
    expect(await outcome(s3.send(new HeadBucketCommand({ Bucket: 'nowhere' })))).toBe('NotFound 404');
    expect(await outcome(s3.send(new DeleteBucketCommand({ Bucket: BUCKET })))).toBe('BucketNotEmpty 409');
    expect(await outcome(s3.send(new DeleteBucketCommand({ Bucket: 'another' })))).toBe('ok');
    expect(await outcome(s3.send(new DeleteBucketCommand({ Bucket: 'another' })))).toBe('NoSuchBucket 404');
  });
});

it('asks for a location constraint outside us-east-1', async () => {
  const test = await openSandbox({ region: 'eu-west-1' });
  const create = (LocationConstraint: 'eu-west-1' | 'eu-west-2') =>
    test.s3.send(new CreateBucketCommand({ Bucket: 'there', CreateBucketConfiguration: { LocationConstraint } }));
  expect(await outcome(create('eu-west-2'))).toBe('IllegalLocationConstraintException 400');
  expect(await outcome(create('eu-west-1'))).toBe('ok');
  expect(await outcome(create('eu-west-1'))).toBe('BucketAlreadyOwnedByYou 409');
  await test.close();
});
