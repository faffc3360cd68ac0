import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { BUCKET, bytes, openSandbox, outcome, PART, type TestSandbox, until } from './s3-client.ts';

describe('a sandbox', () => {
  const folders: string[] = [];
  const newFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
    folders.push(folder);
    return folder;
  };
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  it('keeps objects, uploads and keys in a folder', async () => {
    const dir = newFolder();
    const first = await openSandbox({ dir });
    await first.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'hello', Metadata: { a: 'b' } }));
    const target = { Bucket: BUCKET, Key: 'open' };
    const { UploadId } = await first.s3.send(
      new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' }),
    );
    const send = (test: TestSandbox, PartNumber: number) =>
      test.s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body: bytes(PART, PartNumber) }));
    const one = await send(first, 1);
    const { kmsKeyId } = first.sandbox;
    await first.close();

    const second = await openSandbox({ dir });
    expect(second.sandbox.kmsKeyId).toBe(kmsKeyId);
    const kept = await second.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
    expect([await kept.Body!.transformToString(), kept.Metadata]).toEqual(['hello', { a: 'b' }]);
    const listed = await second.s3.send(new ListPartsCommand({ ...target, UploadId }));
    expect(listed.Parts).toMatchObject([{ PartNumber: 1, ETag: one.ETag, Size: PART }]);
    const two = await send(second, 2);
    const Parts = [one, two].map(({ ETag }, index) => ({ PartNumber: index + 1, ETag }));
    await second.s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
    const whole = await second.s3.send(new GetObjectCommand(target));
    const expected = Buffer.concat([bytes(PART, 1), bytes(PART, 2)]);
    expect(Buffer.from(await whole.Body!.transformToByteArray()).equals(expected)).toBe(true);
    await second.close();
  });

  it('frees the bytes of what is overwritten or aborted', async () => {
    const dir = newFolder();
    const test = await openSandbox({ dir });
    for (let i = 0; i < 3; i++) {
      await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: bytes(1000, i) }));
    }
    await outcome(
      test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'bad', Body: 'x', ChecksumCRC32: 'AAAAAA==' })),
    );
    expect(readdirSync(join(dir, 'blobs'))).toHaveLength(1);
    expect(readdirSync(join(dir, 'incoming'))).toHaveLength(0);
    // A reader gets all the parts of the object it began with, those it has not come to included.
    const target = { Bucket: BUCKET, Key: 'k' };
    const { UploadId } = await test.s3.send(new CreateMultipartUploadCommand(target));
    const Parts = [];
    for (const PartNumber of [1, 2, 3]) {
      const Body = bytes(8 * MiB, PartNumber);
      const { ETag } = await test.s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    await test.s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
    const reading = await test.s3.send(new GetObjectCommand(target));
    await test.s3.send(new PutObjectCommand({ ...target, Body: 'new' }));
    expect(readdirSync(join(dir, 'blobs'))).toHaveLength(4);
    const read = Buffer.from(await reading.Body!.transformToByteArray());
    expect(read.equals(Buffer.concat([1, 2, 3].map((number) => bytes(8 * MiB, number))))).toBe(true);
    await until(() => readdirSync(join(dir, 'blobs')).length === 1);
    await test.close();
  });

  it('can drop bytes and keep what is known of them', async () => {
    const test = await openSandbox({ discard: true });
    const target = { Bucket: BUCKET, Key: 'k' };
    const put = await test.s3.send(new PutObjectCommand({ ...target, Body: bytes(100_000) }));
    const head = await test.s3.send(new HeadObjectCommand({ ...target, ChecksumMode: 'ENABLED' }));
    expect(head).toMatchObject({ ContentLength: 100_000, ETag: put.ETag, ChecksumCRC32: put.ChecksumCRC32 });
    expect(put.ETag).toMatch(/^"[0-9a-f]{32}"$/);
    const error = await test.s3.send(new GetObjectCommand(target)).catch((e) => e);
    expect(error).toMatchObject({ name: 'InternalError', message: expect.stringContaining('--discard') });
    const wrong = new PutObjectCommand({ ...target, Body: 'x', ChecksumCRC32: 'AAAAAA==' });
    expect(await outcome(test.s3.send(wrong))).toBe('BadDigest 400');
    await test.close();
  });

  it('logs a line a request', async () => {
    const log = join(newFolder(), 'log');
    const test = await openSandbox({ log });
    const start = Date.now();
    await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'hello' }));
    await outcome(test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'none' })));
    const lines = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual(JSON.parse(JSON.stringify(test.records)));
    expect(lines).toMatchObject([
      { service: 's3', operation: 'PutObject', bucket: BUCKET, key: 'k', status: 200, bytesIn: 5, fault: null },
      { operation: 'HeadObject', status: 404, errorCode: 'NoSuchKey', firstByteTime: null },
    ]);
    expect(lines[0].time).toBeGreaterThanOrEqual(start);
    expect(lines[0].firstByteTime).toBeGreaterThanOrEqual(lines[0].time);
    await test.close();
  });

  it('refuses options that make no sense, and leaves nothing behind', async () => {
    const dir = newFolder();
    const temporary = newFolder();
    vi.stubEnv('TMPDIR', temporary);
    await expect(startSandbox({ dir: '/nowhere', discard: true })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(startSandbox({ buckets: ['No'] })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(startSandbox({ faults: 'nonsense' })).rejects.toMatchObject({ code: 'bad-option' });
    const first = await startSandbox({ dir });
    await expect(startSandbox({ dir })).rejects.toMatchObject({ code: 'bad-option' });
    const port = Number(new URL(first.s3Url).port);
    await expect(startSandbox({ port })).rejects.toMatchObject({ code: 'bad-option' });
    await first.close();
    writeFileSync(join(dir, 'kms.json'), 'no keys');
    await expect(startSandbox({ dir })).rejects.toMatchObject({ code: 'bad-option' });
    const second = await startSandbox({ port });
    expect(second.s3Url).toBe(first.s3Url);
    await second.close();
    expect(readdirSync(temporary)).toEqual([]);
    vi.unstubAllEnvs();
  });

  it('leaves nothing behind', async () => {
    const temporary = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sealift-sandbox-'));
    const before = temporary();
    const sandbox = await startSandbox({ https: true });
    const [mine] = temporary().filter((name) => !before.includes(name));
    expect(sandbox.env.AWS_CA_BUNDLE).toBe(join(tmpdir(), mine!, 'ca.pem'));
    await sandbox.close();
    expect(temporary()).not.toContain(mine);
  });
});
