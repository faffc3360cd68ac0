import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  DeleteBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../../src/units.ts';
import { BUCKET, bytes, openSandbox, outcome, PART, type TestSandbox } from './s3-client.ts';

let test: TestSandbox;
beforeAll(async () => {
  test = await openSandbox();
});
afterAll(() => test.close());

const create = async (Key: string, more: Partial<CreateMultipartUploadCommandInput> = { ChecksumAlgorithm: 'CRC32' }) =>
  (await test.s3.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key, ...more }))).UploadId!;

const send = async (Key: string, UploadId: string, PartNumber: number, Body: Buffer): Promise<CompletedPart> => {
  const answer = await test.s3.send(new UploadPartCommand({ Bucket: BUCKET, Key, UploadId, PartNumber, Body }));
  return { PartNumber, ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32 };
};

const complete = (
  Key: string,
  UploadId: string,
  Parts: CompletedPart[],
  more: Partial<CompleteMultipartUploadCommandInput> = {},
) =>
  test.s3.send(
    new CompleteMultipartUploadCommand({ Bucket: BUCKET, Key, UploadId, MultipartUpload: { Parts }, ...more }),
  );

const read = async (Key: string, more = {}) => {
  const answer = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, ...more }));
  return { ...answer, bytes: Buffer.from(await answer.Body!.transformToByteArray()) };
};

describe('a multipart upload', () => {
  it('becomes the object its parts make', async () => {
    const parts = [bytes(PART, 1), bytes(PART + 1, 2), bytes(9, 3)];
    const id = await create('whole', { ChecksumAlgorithm: 'CRC32', Metadata: { a: 'b' }, ContentType: 'x/y' });
    const sent = [];
    for (const number of [3, 1, 2]) sent[number - 1] = await send('whole', id, number, parts[number - 1]!);
    const answer = await complete('whole', id, sent, { MpuObjectSize: 2 * PART + 10, IfNoneMatch: '*' });

    const md5s = parts.map((part) => createHash('md5').update(part).digest());
    const etag = `"${createHash('md5').update(Buffer.concat(md5s)).digest('hex')}-3"`;
    expect(answer.ETag).toBe(etag);
    expect(answer.Location).toBe(`${test.sandbox.s3Url}/${BUCKET}/whole`);
    const object = await read('whole');
    expect(object.bytes.equals(Buffer.concat(parts))).toBe(true);
    expect(object).toMatchObject({ ETag: etag, Metadata: { a: 'b' }, ContentType: 'x/y' });
    const across = await read('whole', { Range: `bytes=${PART - 2}-${2 * PART + 3}` });
    expect(across.bytes.equals(Buffer.concat(parts).subarray(PART - 2, 2 * PART + 4))).toBe(true);
    const second = await read('whole', { PartNumber: 2 });
    expect(second.bytes.equals(parts[1]!)).toBe(true);
    expect(second).toMatchObject({ PartsCount: 3, ContentRange: `bytes ${PART}-${2 * PART}/${2 * PART + 10}` });
    expect(await outcome(read('whole', { PartNumber: 4 }))).toBe('InvalidPartNumber 416');
    expect(await outcome(complete('whole', id, sent))).toBe('NoSuchUpload 404');
  });

  it('is refused with the wrong parts, sizes and order', async () => {
    const id = await create('refused');
    const one = await send('refused', id, 1, bytes(PART));
    const two = await send('refused', id, 2, bytes(PART - 1));
    const three = await send('refused', id, 3, bytes(1));
    const refusal = (parts: CompletedPart[], more = {}) => outcome(complete('refused', id, parts, more));
    expect(await refusal([])).toBe('MalformedXML 400');
    expect(await refusal([two, one])).toBe('InvalidPartOrder 400');
    expect(await refusal([one, one])).toBe('InvalidPartOrder 400');
    expect(await refusal([one, two, three])).toBe('EntityTooSmall 400');
    expect(await refusal([one, { ...two, ETag: one.ETag }])).toBe('InvalidPart 400');
    expect(await refusal([one, { ...two, PartNumber: 4 }])).toBe('InvalidPart 400');
    expect(await refusal([one, three], { MpuObjectSize: PART })).toBe('InvalidRequest 400');
    expect(await refusal([one, three], { IfMatch: '"x"' })).toBe('NoSuchKey 404');
    expect(await refusal([one, three])).toBe('ok');
    expect((await read('refused')).bytes).toHaveLength(PART + 1);
  });

  it('does not replace an object that must not be', async () => {
    const id = await create('guarded');
    const part = await send('guarded', id, 1, bytes(10));
    const { ETag } = await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'guarded', Body: 'x' }));
    expect(await outcome(complete('guarded', id, [part], { IfNoneMatch: '*' }))).toBe('PreconditionFailed 412');
    expect(await outcome(complete('guarded', id, [part], { IfMatch: '"x"' }))).toBe('PreconditionFailed 412');
    expect(await outcome(complete('guarded', id, [part], { IfMatch: ETag }))).toBe('ok');
  });

  it('keeps the last of the parts sent under a number', async () => {
    const id = await create('again');
    const first = await send('again', id, 1, bytes(10, 1));
    const second = await send('again', id, 1, bytes(11, 2));
    expect(await outcome(complete('again', id, [first]))).toBe('InvalidPart 400');
    await complete('again', id, [second]);
    expect((await read('again')).bytes.equals(bytes(11, 2))).toBe(true);
  });

  it('ends when aborted, for parts on their way too', async () => {
    const id = await create('aborted');
    const target = { Bucket: BUCKET, Key: 'aborted', UploadId: id };
    await send('aborted', id, 1, bytes(PART));
    test.sandbox.setFaults('UploadPart:1=slow@1MiB/s');
    const slow = outcome(send('aborted', id, 2, bytes(4 * PART)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await test.s3.send(new AbortMultipartUploadCommand(target));
    expect(await slow).toBe('NoSuchUpload 404');
    test.sandbox.setFaults('');
    expect(await outcome(test.s3.send(new AbortMultipartUploadCommand(target)))).toBe('NoSuchUpload 404');
    expect(await outcome(send('aborted', id, 1, bytes(1)))).toBe('NoSuchUpload 404');
    expect(await outcome(test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'aborted' })))).toBe('NotFound 404');
  });

  it('has parts numbered 1 to 10,000', async () => {
    const id = await create('numbers');
    expect(await outcome(send('numbers', id, 0, bytes(1)))).toBe('InvalidArgument 400');
    expect(await outcome(send('numbers', id, 10_001, bytes(1)))).toBe('InvalidArgument 400');
    const last = await send('numbers', id, 10_000, bytes(1));
    expect(await outcome(complete('numbers', id, [last]))).toBe('ok');
  });

  it('takes parts from other objects', async () => {
    const source = bytes(3 * PART);
    await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'source', Body: source }));
    const id = await create('copied');
    const copy = async (PartNumber: number, CopySourceRange?: string): Promise<CompletedPart> => {
      const { CopyPartResult } = await test.s3.send(
        new UploadPartCopyCommand({
          Bucket: BUCKET,
          Key: 'copied',
          UploadId: id,
          PartNumber,
          CopySource: `${BUCKET}/source`,
          CopySourceRange,
        }),
      );
      return { PartNumber, ETag: CopyPartResult?.ETag, ChecksumCRC32: CopyPartResult?.ChecksumCRC32 };
    };
    const parts = [await copy(1, `bytes=${PART}-${3 * PART - 1}`), await copy(2)];
    expect(await outcome(copy(3, `bytes=0-${3 * PART}`))).toBe('InvalidArgument 400');
    expect(await outcome(copy(3, 'bytes=0-'))).toBe('InvalidArgument 400');
    await complete('copied', id, parts);
    expect((await read('copied')).bytes.equals(Buffer.concat([source.subarray(PART), source]))).toBe(true);
  });
});

describe('lists', () => {
  it('of parts come in pages', async () => {
    const id = await create('paged');
    const numbers = [1, 2, 5, 8, 13];
    for (const number of numbers) await send('paged', id, number, bytes(number));
    const target = { Bucket: BUCKET, Key: 'paged', UploadId: id };
    const seen: number[] = [];
    let marker: string | undefined;
    let pages = 0;
    do {
      const page = await test.s3.send(new ListPartsCommand({ ...target, MaxParts: 2, PartNumberMarker: marker }));
      seen.push(...(page.Parts ?? []).map((part) => part.PartNumber!));
      for (const part of page.Parts ?? []) expect(part.Size).toBe(part.PartNumber);
      marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
      pages += 1;
    } while (marker);
    expect(seen).toEqual(numbers);
    expect(pages).toBe(3);
    expect(await outcome(test.s3.send(new ListPartsCommand({ ...target, UploadId: 'none' })))).toBe('NoSuchUpload 404');
  });

  it('of uploads come in pages, by key and then by id', async () => {
    const made: string[] = [];
    for (const key of ['list/b', 'list/a', 'list/a', 'list/c ü', 'other/a']) made.push(`${key} ${await create(key)}`);
    const seen: string[] = [];
    let KeyMarker: string | undefined;
    let UploadIdMarker: string | undefined;
    do {
      const page = await test.s3.send(
        new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: 'list/', MaxUploads: 2, KeyMarker, UploadIdMarker }),
      );
      seen.push(...(page.Uploads ?? []).map((upload) => `${upload.Key} ${upload.UploadId}`));
      [KeyMarker, UploadIdMarker] = page.IsTruncated ? [page.NextKeyMarker, page.NextUploadIdMarker] : [];
    } while (KeyMarker);
    expect(seen).toEqual(made.slice(0, 4).sort());
    const after = await test.s3.send(
      new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: 'list/', KeyMarker: 'list/a' }),
    );
    expect(after.Uploads?.map((upload) => upload.Key)).toEqual(['list/b', 'list/c ü']);
  });
});

it('a bucket takes its unfinished uploads with it', async () => {
  const own = await openSandbox({ buckets: ['brief'] });
  const { UploadId } = await own.s3.send(new CreateMultipartUploadCommand({ Bucket: 'brief', Key: 'k' }));
  await own.s3.send(new DeleteBucketCommand({ Bucket: 'brief' }));
  const list = own.s3.send(new ListPartsCommand({ Bucket: 'brief', Key: 'k', UploadId }));
  expect(await outcome(list)).toBe('NoSuchBucket 404');
  await own.close();
});

it('lib-storage uploads a stream', async () => {
  const own = await openSandbox({ minPartSize: undefined, https: true });
  const body = bytes(11 * MiB);
  const upload = new Upload({
    client: own.s3,
    partSize: 5 * MiB,
    params: {
      Bucket: BUCKET,
      Key: 'streamed',
      Body: Readable.from([body.subarray(0, 7 * MiB), body.subarray(7 * MiB)]),
    },
  });
  const { ETag } = (await upload.done()) as { ETag?: string };
  expect(ETag).toMatch(/-3"$/);
  const answer = await own.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'streamed' }));
  expect(Buffer.from(await answer.Body!.transformToByteArray()).equals(body)).toBe(true);
  await own.close();
});
