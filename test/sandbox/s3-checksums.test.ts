import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  type ChecksumAlgorithm,
  type ChecksumType,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALGORITHMS, type Algorithm, createDigest, wholeChecksum } from '../../src/sandbox/s3/checksums.ts';
import { BUCKET, bytes, clientOf, openSandbox, outcome, PART, type TestSandbox } from './s3-client.ts';

/** The check values of the catalogue of CRCs, and what sha1sum and sha256sum say, of "123456789". */
const KNOWN: Record<Algorithm, string> = {
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
};

function digestOf(algorithm: Algorithm, ...chunks: Uint8Array[]): string {
  const digest = createDigest(algorithm);
  for (const chunk of chunks) digest.update(chunk);
  return digest.finish().toString('base64');
}

describe('arithmetic', () => {
  it.each(ALGORITHMS)('%s of known text', (algorithm) => {
    const text = Buffer.from('123456789');
    const expected = Buffer.from(KNOWN[algorithm], 'hex').toString('base64');
    expect(digestOf(algorithm, text)).toBe(expected);
    expect(digestOf(algorithm, text.subarray(0, 4), text.subarray(4, 4), text.subarray(4))).toBe(expected);
  });

  it.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)('%s of the whole follows from those of the parts', (algorithm) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 }), (chunks) => {
        const parts = chunks.map((chunk) => ({ checksum: digestOf(algorithm, chunk), size: chunk.length }));
        expect(wholeChecksum(algorithm, 'FULL_OBJECT', parts).value).toBe(digestOf(algorithm, ...chunks));
      }),
      { numRuns: 50 },
    );
  });
});

describe('over the wire', () => {
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox();
  });
  afterAll(() => test.close());

  const body = bytes(200_000);
  const field = (algorithm: string) => `Checksum${algorithm}`;
  const head = (Key: string) => test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key, ChecksumMode: 'ENABLED' }));

  it.each(ALGORITHMS)('%s in a header', async (algorithm) => {
    const put = { Bucket: BUCKET, Key: algorithm, Body: body };
    const answer = await test.s3.send(new PutObjectCommand({ ...put, ChecksumAlgorithm: algorithm }));
    expect(answer).toMatchObject({ [field(algorithm)]: digestOf(algorithm, body), ChecksumType: 'FULL_OBJECT' });
    expect(await head(algorithm)).toMatchObject({ [field(algorithm)]: digestOf(algorithm, body) });
    const wrong = { ...put, [field(algorithm)]: digestOf(algorithm, Buffer.from('other')) };
    expect(await outcome(test.s3.send(new PutObjectCommand(wrong)))).toBe('BadDigest 400');
    const malformed = { ...put, [field(algorithm)]: 'AAA=' };
    expect(await outcome(test.s3.send(new PutObjectCommand(malformed)))).toBe('InvalidRequest 400');
  });

  it.each(ALGORITHMS)('%s in a trailer', async (algorithm) => {
    const input = { Bucket: BUCKET, Key: `trailing ${algorithm}`, ChecksumAlgorithm: algorithm };
    const stream = Readable.from([body.subarray(0, 70_000), body.subarray(70_000)]);
    const answer = await test.s3.send(new PutObjectCommand({ ...input, Body: stream, ContentLength: body.length }));
    expect(answer).toMatchObject({ [field(algorithm)]: digestOf(algorithm, body) });
    const read = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: input.Key, ChecksumMode: 'ENABLED' }));
    expect(Buffer.from(await read.Body!.transformToByteArray()).equals(body)).toBe(true);
    expect(read.ContentEncoding).toBeUndefined();
    // What came was the encoding, chunk headers and all.
    const put = test.records.findLast((record) => record.key === input.Key && record.operation === 'PutObject');
    expect(put?.bytesIn).toBeGreaterThan(body.length);
  });

  it('adds a CRC64NVME where none came', async () => {
    const s3 = clientOf(test.sandbox, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'none', Body: body }));
    expect(await head('none')).toMatchObject({
      ChecksumCRC64NVME: digestOf('CRC64NVME', body),
      ChecksumType: 'FULL_OBJECT',
    });
    s3.destroy();
  });

  it('tells no checksum with a range, nor unasked', async () => {
    await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'quiet', Body: body }));
    const get = { Bucket: BUCKET, Key: 'quiet' };
    const ranged = new GetObjectCommand({ ...get, ChecksumMode: 'ENABLED', Range: 'bytes=0-9' });
    expect((await test.s3.send(ranged)).ChecksumCRC32).toBeUndefined();
    expect((await test.s3.send(new HeadObjectCommand(get))).ChecksumCRC32).toBeUndefined();
  });

  it('copies get the checksum asked for, of all the bytes', async () => {
    const CopySource = `${BUCKET}/CRC32`;
    const copy = { Bucket: BUCKET, Key: 'copy', CopySource };
    const kept = await test.s3.send(new CopyObjectCommand(copy));
    expect(kept.CopyObjectResult?.ChecksumCRC32).toBe(digestOf('CRC32', body));
    const other = await test.s3.send(new CopyObjectCommand({ ...copy, ChecksumAlgorithm: 'SHA256' }));
    expect(other.CopyObjectResult?.ChecksumSHA256).toBe(digestOf('SHA256', body));
  });

  // Multipart: the type decides what the parts and the whole must say.

  const parts = [bytes(PART, 1), bytes(PART, 2), bytes(77, 3)];
  const create = async (Key: string, ChecksumAlgorithm?: ChecksumAlgorithm, ChecksumType?: ChecksumType) => {
    const command = new CreateMultipartUploadCommand({ Bucket: BUCKET, Key, ChecksumAlgorithm, ChecksumType });
    return (await test.s3.send(command)).UploadId!;
  };
  const sendAll = async (Key: string, UploadId: string, more: Record<string, unknown> = {}, s3 = test.s3) => {
    const sent: CompletedPart[] = [];
    for (const [index, Body] of parts.entries()) {
      const part = { Bucket: BUCKET, Key, UploadId, PartNumber: index + 1, Body, ...more };
      const { $metadata, ServerSideEncryption, ...answer } = await s3.send(new UploadPartCommand(part));
      sent.push({ PartNumber: index + 1, ...answer });
    }
    return sent;
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

  it.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)('FULL_OBJECT %s', async (algorithm) => {
    const key = `full ${algorithm}`;
    const id = await create(key, algorithm, 'FULL_OBJECT');
    const sent = await sendAll(key, id, { ChecksumAlgorithm: algorithm });
    const whole = digestOf(algorithm, ...parts);
    const wrong = { [field(algorithm)]: digestOf(algorithm, ...parts, body), ChecksumType: 'FULL_OBJECT' } as const;
    expect(await outcome(complete(key, id, sent, wrong))).toBe('BadDigest 400');
    const composite = { ChecksumType: 'COMPOSITE' } as const;
    expect(await outcome(complete(key, id, sent, composite))).toBe('InvalidRequest 400');
    const answer = await complete(key, id, sent, { [field(algorithm)]: whole, ChecksumType: 'FULL_OBJECT' });
    expect(answer).toMatchObject({ [field(algorithm)]: whole, ChecksumType: 'FULL_OBJECT' });
    expect(await head(key)).toMatchObject({ [field(algorithm)]: whole, ChecksumType: 'FULL_OBJECT' });
    const read = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key, ChecksumMode: 'ENABLED' }));
    expect((await read.Body!.transformToByteArray()).length).toBe(2 * PART + 77);
  });

  it.each(['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const)('COMPOSITE %s', async (algorithm) => {
    const key = `composite ${algorithm}`;
    const id = await create(key, algorithm);
    const sent = await sendAll(key, id, { ChecksumAlgorithm: algorithm });
    const checksums = parts.map((part) => Buffer.from(digestOf(algorithm, part), 'base64'));
    const whole = digestOf(algorithm, ...checksums);

    const bare = sent.map(({ PartNumber, ETag }) => ({ PartNumber, ETag }));
    expect(await outcome(complete(key, id, bare))).toBe('InvalidRequest 400');
    const swapped = sent.map((part, i) =>
      i === 0 ? { ...part, [field(algorithm)]: digestOf(algorithm, body) } : part,
    );
    expect(await outcome(complete(key, id, swapped))).toBe('InvalidPart 400');
    const listed = await test.s3.send(new ListPartsCommand({ Bucket: BUCKET, Key: key, UploadId: id }));
    expect(listed).toMatchObject({ ChecksumAlgorithm: algorithm, ChecksumType: 'COMPOSITE' });
    expect(listed.Parts?.map((part) => part[field(algorithm) as 'ChecksumCRC32'])).toEqual(
      checksums.map((checksum) => checksum.toString('base64')),
    );

    const answer = await complete(key, id, sent);
    expect(answer).toMatchObject({ [field(algorithm)]: `${whole}-3`, ChecksumType: 'COMPOSITE' });
    expect(await head(key)).toMatchObject({ [field(algorithm)]: `${whole}-3`, ChecksumType: 'COMPOSITE' });
    const attributes = await test.s3.send(
      new GetObjectAttributesCommand({
        Bucket: BUCKET,
        Key: key,
        ObjectAttributes: ['Checksum', 'ObjectParts'],
        MaxParts: 2,
        PartNumberMarker: '1',
      }),
    );
    expect(attributes.Checksum).toEqual({ [field(algorithm)]: whole, ChecksumType: 'COMPOSITE' });
    expect(attributes.ObjectParts).toMatchObject({ TotalPartsCount: 3, IsTruncated: false });
    expect(attributes.ObjectParts?.Parts?.map((part) => part.Size)).toEqual([PART, 77]);
    const second = await test.s3.send(
      new HeadObjectCommand({ Bucket: BUCKET, Key: key, PartNumber: 2, ChecksumMode: 'ENABLED' }),
    );
    expect(second).toMatchObject({ [field(algorithm)]: checksums[1]!.toString('base64') });
  });

  it('refuses types that do not fit their algorithm', async () => {
    expect(await outcome(create('k', 'SHA256', 'FULL_OBJECT'))).toBe('InvalidRequest 400');
    expect(await outcome(create('k', 'CRC64NVME', 'COMPOSITE'))).toBe('InvalidRequest 400');
    expect(await outcome(create('k', undefined, 'COMPOSITE'))).toBe('InvalidRequest 400');
    expect(await outcome(create('k', 'XXHASH3'))).toBe('InvalidRequest 400');
  });

  it("refuses parts whose algorithm is not the upload's", async () => {
    expect(await outcome(sendAll('k', await create('k', 'CRC32'), { ChecksumAlgorithm: 'SHA1' }))).toBe(
      'InvalidRequest 400',
    );
    const plain = clientOf(test.sandbox, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    expect(await outcome(sendAll('k', await create('k', 'SHA256'), {}, plain))).toBe('InvalidRequest 400');
    const id = await create('k', 'CRC32', 'FULL_OBJECT');
    const sent = await sendAll('k', id, {}, plain);
    const whole = { ChecksumCRC32: digestOf('CRC32', ...parts), ChecksumType: 'FULL_OBJECT' } as const;
    expect(await outcome(complete('k', id, sent, whole))).toBe('ok');
    plain.destroy();
  });

  it('takes any part in an upload without an algorithm, and makes the CRC64NVME of the whole', async () => {
    const id = await create('default');
    const sent = await sendAll('default', id, { ChecksumAlgorithm: 'SHA256' });
    expect(sent[0]?.ChecksumSHA256).toBe(digestOf('SHA256', parts[0]!));
    const damaged = { ChecksumSHA256: digestOf('SHA256', body) };
    expect(await outcome(sendAll('default', id, damaged))).toBe('BadDigest 400');
    const ignored = { ChecksumCRC32: 'AAAAAA==', ChecksumType: 'FULL_OBJECT' } as const;
    const answer = await complete('default', id, sent, ignored);
    expect(answer).toMatchObject({ ChecksumCRC64NVME: digestOf('CRC64NVME', ...parts), ChecksumType: 'FULL_OBJECT' });
    expect(await head('default')).toMatchObject({ ChecksumCRC64NVME: digestOf('CRC64NVME', ...parts) });
  });

  it('checks Content-MD5 of parts', async () => {
    const UploadId = await create('md5', 'CRC32', 'FULL_OBJECT');
    const send = (text: string) =>
      test.s3.send(
        new UploadPartCommand({
          Bucket: BUCKET,
          Key: 'md5',
          UploadId,
          PartNumber: 1,
          Body: 'text',
          ContentMD5: createHash('md5').update(text).digest('base64'),
        }),
      );
    expect(await outcome(send('text'))).toBe('ok');
    expect(await outcome(send('other'))).toBe('BadDigest 400');
  });
});
