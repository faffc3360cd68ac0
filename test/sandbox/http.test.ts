import http from 'node:http';
import { connect } from 'node:net';
import { DescribeKeyCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../src/sandbox/server.ts';
import { KiB } from '../../src/units.ts';
import {
  BUCKET,
  bytes,
  clientOf,
  credentialsOf,
  kmsClientOf,
  openSandbox,
  outcome,
  type TestSandbox,
  until,
} from './s3-client.ts';

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
    // The body of a refused `Expect` may follow or not, so the connection ends.
    const expecting = `PUT /${BUCKET}/k HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n`;
    expect(await request(test.sandbox, expecting)).toMatch(/^HTTP\/1.1 403 /);
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
    const kms = kmsClientOf(test.sandbox);
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: 'alias/sandbox' }));
    expect(KeyMetadata?.Arn).toBe(test.sandbox.kmsKeyId);
    const generate = new GenerateDataKeyCommand({ KeyId: test.sandbox.kmsKeyId, KeySpec: 'AES_256' });
    expect((await kms.send(generate)).Plaintext).toHaveLength(32);
    expect(test.records.at(-1)).toMatchObject({ service: 'kms', operation: 'GenerateDataKey', status: 200 });
    const wrong = { ...credentialsOf(test.sandbox), secretAccessKey: 'no' };
    expect(await outcome(kmsClientOf(test.sandbox, { credentials: wrong }).send(generate))).toBe(
      'InvalidSignatureException 400',
    );
    const nobody = { ...wrong, accessKeyId: 'AKIANOBODY' };
    expect(await outcome(kmsClientOf(test.sandbox, { credentials: nobody }).send(generate))).toBe(
      'UnrecognizedClientException 400',
    );
    kms.destroy();
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
