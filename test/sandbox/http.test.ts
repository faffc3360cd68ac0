import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeKeyCommand, GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { KiB, MiB } from '../../src/units.ts';
import { BUCKET, bytes, clientOf, credentialsOf, openSandbox, outcome, PART, type TestSandbox } from './s3-client.ts';

const kmsOf = (sandbox: Sandbox, config = {}) =>
  new KMSClient({
    endpoint: sandbox.kmsUrl,
    region: 'us-east-1',
    credentials: credentialsOf(sandbox),
    maxAttempts: 1,
    ...config,
  });

describe('HTTP', () => {
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox();
  });
  afterAll(() => test.close());

  const put = (Key: string, Body: string | Buffer = 'hello', more = {}) =>
    test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, ...more }));

  it('takes bodies after `100 Continue`, and refuses before it', async () => {
    const s3 = clientOf(test.sandbox, { expectContinueHeader: true });
    const big = { Bucket: BUCKET, Key: 'expected', Body: bytes(300 * KiB) };
    expect(await outcome(s3.send(new PutObjectCommand(big)))).toBe('ok');
    expect(await outcome(s3.send(new PutObjectCommand({ ...big, IfNoneMatch: '*' })))).toBe('PreconditionFailed 412');
    expect(test.records.at(-1)).toMatchObject({ status: 412, bytesIn: 0, firstByteTime: null });
    expect(await outcome(s3.send(new PutObjectCommand(big)))).toBe('ok');
    s3.destroy();
  });

  it('keeps connections open, after errors too', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const s3 = clientOf(test.sandbox, { requestHandler: { httpAgent: agent } });
    const ports = new Set<number | undefined>();
    agent.on('free', (socket: { localPort?: number }) => ports.add(socket.localPort));
    for (let i = 0; i < 3; i++) {
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'kept', Body: bytes(100_000) }));
      await outcome(s3.send(new PutObjectCommand({ Bucket: 'nowhere', Key: 'kept', Body: bytes(100_000) })));
      await outcome(s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'none' })));
    }
    expect(ports.size).toBe(1);
    s3.destroy();
  });

  it('answers HEAD without a body, errors with XML', async () => {
    await put('k');
    const head = await request(test.sandbox, `HEAD /${BUCKET}/k HTTP/1.1\r\nConnection: close\r\n`);
    expect(head).toMatch(/^HTTP\/1.1 403 /);
    expect(head.endsWith('\r\n\r\n')).toBe(true);
    const get = await request(test.sandbox, `GET /${BUCKET}/k HTTP/1.1\r\nConnection: close\r\n`);
    expect(get).toMatch(/<Error><Code>AccessDenied<\/Code><Message>.+<RequestId>SANDBOX\d+<\/RequestId>/);
    expect(await request(test.sandbox, 'GET /%zz HTTP/1.1\r\nConnection: close\r\n')).toContain('InvalidURI');
  });

  it('knows buckets by their host name', async () => {
    const { port } = new URL(test.sandbox.s3Url);
    const agent = new http.Agent({
      lookup: (_host, options, found) =>
        options.all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4),
    });
    const s3 = clientOf(test.sandbox, {
      endpoint: `http://localhost:${port}`,
      forcePathStyle: false,
      requestHandler: { httpAgent: agent },
    });
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'by/host', Body: 'hello' }));
    expect(test.records.at(-1)).toMatchObject({ operation: 'PutObject', bucket: BUCKET, key: 'by/host' });
    expect((await s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'by/' }))).KeyCount).toBe(1);
    s3.destroy();
  });

  it('drops a body that breaks off, and its bytes', async () => {
    await put('whole', 'first');
    const { host, port } = new URL(test.sandbox.s3Url);
    const s3 = clientOf(test.sandbox, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    let signed: { headers: Record<string, string> } | undefined;
    s3.middlewareStack.add(
      (next) => (args) => {
        signed = args.request as typeof signed;
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low', name: 'spy' },
    );
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'whole', Body: 'x'.repeat(1000) }));
    s3.destroy();
    const before = test.records.length;
    const socket = connect(Number(port), '127.0.0.1');
    const lines = Object.entries({ ...signed!.headers, host }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`PUT /${BUCKET}/whole?x-id=PutObject HTTP/1.1\r\n${lines.join('')}\r\n${'y'.repeat(500)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await until(() => test.records.length > before);
    expect(test.records.at(-1)).toMatchObject({ operation: 'PutObject', status: 0, bytesIn: 500 });
    const answer = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'whole' }));
    expect(await answer.Body!.transformToString()).toBe('x'.repeat(1000));
  });

  it('speaks KMS on the same port', async () => {
    const kms = kmsOf(test.sandbox);
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: 'alias/sandbox' }));
    expect(KeyMetadata?.Arn).toBe(test.sandbox.kmsKeyId);
    const generate = new GenerateDataKeyCommand({ KeyId: test.sandbox.kmsKeyId, KeySpec: 'AES_256' });
    expect((await kms.send(generate)).Plaintext).toHaveLength(32);
    expect(test.records.at(-1)).toMatchObject({ service: 'kms', operation: 'GenerateDataKey', status: 200 });
    const wrong = { ...credentialsOf(test.sandbox), secretAccessKey: 'no' };
    expect(await outcome(kmsOf(test.sandbox, { credentials: wrong }).send(generate))).toBe(
      'InvalidSignatureException 400',
    );
    const nobody = { ...wrong, accessKeyId: 'AKIANOBODY' };
    expect(await outcome(kmsOf(test.sandbox, { credentials: nobody }).send(generate))).toBe(
      'UnrecognizedClientException 400',
    );
    kms.destroy();
  });
});

describe('faults', () => {
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox();
  });
  afterEach(() => {
    test.sandbox.setFaults('');
    test.records.length = 0;
  });
  afterAll(() => test.close());

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
    const kms = kmsOf(test.sandbox);
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
    const kms = kmsOf(test.sandbox);
    const generate = new GenerateDataKeyCommand({ KeyId: test.sandbox.kmsKeyId, KeySpec: 'AES_256' });
    expect(await outcome(kms.send(generate))).toBe('ThrottlingException 400');
    expect(await outcome(kms.send(generate))).toBe('ok');
    kms.destroy();
  });
});

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
    // A reader keeps the bytes it began with.
    const body = bytes(8 * MiB);
    await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: body }));
    const reading = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
    await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'new' }));
    expect(Buffer.from(await reading.Body!.transformToByteArray()).equals(body)).toBe(true);
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

  it('refuses options that make no sense', async () => {
    await expect(startSandbox({ dir: '/nowhere', discard: true })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(startSandbox({ buckets: ['No'] })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(startSandbox({ faults: 'nonsense' })).rejects.toMatchObject({ code: 'bad-option' });
    const first = await startSandbox();
    const port = Number(new URL(first.s3Url).port);
    await expect(startSandbox({ port })).rejects.toMatchObject({ code: 'bad-option' });
    await first.close();
    const second = await startSandbox({ port });
    expect(second.s3Url).toBe(first.s3Url);
    await second.close();
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

/** Sends the head of a request as it is, and resolves to all that comes back. */
function request({ s3Url }: Sandbox, head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(s3Url).port), '127.0.0.1', () =>
      socket.write(`${head}Host: localhost\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text)).on('error', reject);
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(condition()).toBe(true);
}
