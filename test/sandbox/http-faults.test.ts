import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import {
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KiB } from '../../src/units.ts';
import { BUCKET, bytes, clientOf, kmsClientOf, openSandbox, outcome, type TestSandbox, until } from './s3-client.ts';

describe('faults', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealift-test-'));
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox({ dir });
  });
  afterEach(() => {
    test.sandbox.setFaults('');
    test.records.length = 0;
  });
  afterAll(async () => {
    await test.close();
    rmSync(dir, { recursive: true });
  });

  const body = bytes(400_000);
  const put = (Key = 'k') => test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: body }));
  /** The record of the request this fault struck; a client may know of a cut before the server does. */
  const struck = async (fault: string) => {
    await until(() => test.records.at(-1)?.fault === fault);
    return test.records.pop();
  };
  const get = async () => {
    const answer = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
    return Buffer.from(await answer.Body!.transformToByteArray());
  };

  it('500 and 503 have no effect', async () => {
    test.sandbox.setFaults('PutObject:1=503; PutObject:2=500');
    expect(await outcome(put('failed'))).toBe('SlowDown 503');
    expect(await outcome(put('failed'))).toBe('InternalError 500');
    expect(test.records.at(-1)).toMatchObject({ fault: 'status', status: 500, errorCode: 'InternalError' });
    expect(await outcome(test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'failed' })))).toBe('NotFound 404');
    expect(await outcome(put('failed'))).toBe('ok');
  });

  it('reset cuts uploads and downloads', async () => {
    test.sandbox.setFaults('PutObject:1=reset@100KiB; PutObject:2=reset; GetObject:1=reset@100KiB');
    expect(await outcome(put('cut'))).toMatch(/Error/);
    expect(await struck('reset')).toMatchObject({ status: 0, bytesIn: 100 * KiB });
    expect(await outcome(put('cut'))).toMatch(/Error/);
    expect(await struck('reset')).toMatchObject({ status: 0, bytesIn: 0 });
    expect(await outcome(test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'cut' })))).toBe('NotFound 404');
    await put();
    expect(await outcome(get())).toMatch(/Error/);
    expect(await struck('reset')).toMatchObject({ status: 200, bytesOut: 100 * KiB });
    expect((await get()).equals(body)).toBe(true);
    // Half an upload leaves nothing on the disk, and half a download holds nothing back from being removed.
    await put();
    const { KeyCount } = await test.s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    await until(() => readdirSync(join(dir, 'blobs')).length === KeyCount);
    expect(readdirSync(join(dir, 'incoming'))).toEqual([]);
  });

  it('slow and stall take their time', async () => {
    await put();
    test.sandbox.setFaults('GetObject:1=slow@2MiB/s; PutObject:1=slow@2MiB/s; PutObject:2=stall@200ms');
    const timed = async (call: () => Promise<unknown>) => {
      const start = performance.now();
      await call();
      return performance.now() - start;
    };
    expect(await timed(get)).toBeGreaterThan(150);
    expect(await timed(put)).toBeGreaterThan(150);
    expect(await timed(put)).toBeGreaterThan(190);
  });

  it('a stall for ever ends with the client', async () => {
    test.sandbox.setFaults('GetObject:1=stall');
    const abortSignal = AbortSignal.timeout(100);
    const call = test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }), { abortSignal });
    expect(await outcome(call)).toMatch(/AbortError|TimeoutError/);
    expect(await struck('stall')).toMatchObject({ status: 0 });
  });

  it('lose-answer takes effect', async () => {
    test.sandbox.setFaults('PutObject:1=lose-answer; GenerateDataKey:1=lose-answer');
    expect(await outcome(put('lost'))).toMatch(/Error/);
    expect(await struck('lose-answer')).toMatchObject({ status: 0, bytesIn: body.length });
    expect(await outcome(test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'lost' })))).toBe('ok');
    const kms = kmsClientOf(test.sandbox);
    const generate = new GenerateDataKeyCommand({ KeyId: test.sandbox.kmsKeyId, KeySpec: 'AES_256' });
    expect(await outcome(kms.send(generate))).toMatch(/Error/);
    kms.destroy();
  });

  it('error-in-200 has no effect', async () => {
    await put();
    test.sandbox.setFaults('CopyObject:1=error-in-200');
    const copy = () => test.s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: 'copy', CopySource: `${BUCKET}/k` }));
    expect(await outcome(copy())).toMatch(/InternalError/);
    expect(test.records.at(-1)).toMatchObject({ status: 200, errorCode: 'InternalError' });
    expect(await outcome(test.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'copy' })))).toBe('NotFound 404');
    expect(await outcome(copy())).toBe('ok');
  });

  it('corrupt changes one byte, of what is sent or of what is stored', async () => {
    const s3 = clientOf(test.sandbox, { responseChecksumValidation: 'WHEN_REQUIRED' });
    const read = async () => {
      const answer = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
      return Buffer.from(await answer.Body!.transformToByteArray());
    };
    const expected = Buffer.from(body);
    expected[300_000]! ^= 1;
    await put();
    test.sandbox.setFaults('GetObject:1=corrupt@300000; PutObject:1=corrupt@300000');
    expect((await read()).equals(expected)).toBe(true);
    expect((await read()).equals(body)).toBe(true);
    expect(await outcome(put())).toBe('ok');
    expect((await read()).equals(expected)).toBe(true);
    s3.destroy();
  });

  it('strike KMS too', async () => {
    test.sandbox.setFaults('GenerateDataKey:1=ThrottlingException');
    const kms = kmsClientOf(test.sandbox);
    const generate = new GenerateDataKeyCommand({ KeyId: test.sandbox.kmsKeyId, KeySpec: 'AES_256' });
    expect(await outcome(kms.send(generate))).toBe('ThrottlingException 400');
    expect(await outcome(kms.send(generate))).toBe('ok');
    kms.destroy();
  });
});

it.each([{ https: false }, { https: true }])(
  'closing cuts what is under way, and records it, https: $https',
  async (options) => {
    const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
    const log = join(folder, 'log');
    const struck = Promise.withResolvers<void>();
    let strikes = 0;
    const test = await openSandbox({
      ...options,
      log,
      faults: 'PutObject:1=stall; PutObject:2=slow@100KiB/s',
      onFault: () => (++strikes === 2 ? struck.resolve() : undefined),
    });
    const calls = ['a', 'b'].map((Key) => {
      return outcome(test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: bytes(500_000) })));
    });
    await struck.promise;
    await test.close();
    for (const result of await Promise.all(calls)) expect(result).toMatch(/Error/);
    const lines = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ status, fault }) => `${fault} ${status}`).sort()).toEqual(['slow 0', 'stall 0']);
    rmSync(folder, { recursive: true });
  },
);
