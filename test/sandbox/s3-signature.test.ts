import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKET, bytes, clientOf, credentialsOf, openSandbox, outcome, type TestSandbox } from './s3-client.ts';

const EMPTY = createHash('sha256').digest('hex');

describe('the server', () => {
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox();
    await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'hello' }));
  });
  afterAll(() => test.close());

  const get = async (config: object) => {
    const s3 = clientOf(test.sandbox, config);
    const result = await outcome(s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' })));
    s3.destroy();
    return result;
  };

  it('knows its caller', async () => {
    const good = credentialsOf(test.sandbox);
    expect(await get({ credentials: { ...good, secretAccessKey: 'no' } })).toBe('SignatureDoesNotMatch 403');
    expect(await get({ credentials: { ...good, accessKeyId: 'AKIANOBODY' } })).toBe('InvalidAccessKeyId 403');
    expect(await get({ credentials: { ...good, sessionToken: 'a token' } })).toBe('ok');
    expect(await get({ region: 'eu-west-1' })).toBe('AuthorizationHeaderMalformed 400');
    const skewed = { systemClockOffset: 16 * 60_000 };
    expect(await get(skewed)).toBe('RequestTimeTooSkewed 403');
    const anonymous = await fetch(`${test.sandbox.s3Url}/${BUCKET}/k`);
    expect(anonymous.status).toBe(403);
    expect(await anonymous.text()).toContain('<Code>AccessDenied</Code>');
  });

  it('names the right region', async () => {
    const s3 = clientOf(test.sandbox, { region: 'eu-west-1' });
    const error = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' })).catch((e) => e);
    expect(error.Region).toBe('us-east-1');
    expect(error.$response.headers['x-amz-bucket-region']).toBe('us-east-1');
  });

  /** Sends what the SDK would send, after `change` has been at it. */
  const altered = (change: (request: { headers: Record<string, string>; body?: unknown }) => void) => {
    const s3 = clientOf(test.sandbox);
    s3.middlewareStack.add(
      (next) => (args) => {
        change(args.request as Parameters<typeof change>[0]);
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low', name: 'alter' },
    );
    const command = new PutObjectCommand({ Bucket: BUCKET, Key: 'altered', Body: 'hello' });
    return outcome(s3.send(command));
  };

  it('holds the request against what was signed', async () => {
    expect(await altered(() => {})).toBe('ok');
    const smuggle = (request: { headers: Record<string, string> }) => {
      request.headers['x-amz-meta-smuggled'] = '1';
    };
    expect(await altered(smuggle)).toBe('AccessDenied 403');
    const replace = (request: { body?: unknown }) => {
      request.body = Buffer.from('jello');
    };
    expect(await altered(replace)).toBe('XAmzContentSHA256Mismatch 400');
  });

  it('takes presigned URLs, as long as they last', async () => {
    const sign = (expires: number, method = 'GET') => presign(test, method, `/${BUCKET}/k`, expires);
    const ok = await fetch(sign(60));
    expect([ok.status, await ok.text()]).toEqual([200, 'hello']);
    expect((await fetch(sign(60), { method: 'HEAD' })).status).toBe(403);
    expect((await fetch(sign(60).replace('/k?', '/j?'))).status).toBe(403);
    expect((await fetch(sign(700_000))).status).toBe(400);
    expect((await fetch(sign(-1))).status).toBe(400);
    const put = await fetch(presign(test, 'PUT', `/${BUCKET}/put`, 60), { method: 'PUT', body: 'by url' });
    expect([put.status, put.headers.get('etag')]).toEqual([
      200,
      `"${createHash('md5').update('by url').digest('hex')}"`,
    ]);
  });

  it('takes signed chunks with a signed trailer', async () => {
    const body = bytes(100_000);
    const send = (damage = (wire: Buffer) => wire) => sendChunked(test, body, damage);
    expect(await send()).toBe(200);
    const answer = await test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'chunked' }));
    expect(Buffer.from(await answer.Body!.transformToByteArray()).equals(body)).toBe(true);
    expect(
      await send((wire) => {
        wire[70_000]! ^= 1;
        return wire;
      }),
    ).toBe(403);
    // The trailer is some 150 bytes at the end; this is a letter of the checksum in it.
    expect(
      await send((wire) => {
        wire[wire.indexOf('x-amz-checksum-sha1') + 25]! ^= 1;
        return wire;
      }),
    ).toBe(403);
  });
});

/** A presigned URL, by the page "Authenticating Requests: Using Query Parameters". */
function presign({ sandbox }: TestSandbox, method: string, path: string, expires: number): string {
  const { time, scope, key } = signing(sandbox);
  const { host } = new URL(sandbox.s3Url);
  const query = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${credentialsOf(sandbox).accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(expires),
    'X-Amz-SignedHeaders': 'host',
  });
  const canonical = [method, path, query, `host:${host}\n`, 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const signature = hmacHex(key, ['AWS4-HMAC-SHA256', time, scope, hash].join('\n'));
  return `${sandbox.s3Url}${path}?${query}&X-Amz-Signature=${signature}`;
}

/** Puts `body` in two signed chunks with a signed trailer; `damage` works on the encoded body. Resolves to the status. */
function sendChunked({ sandbox }: TestSandbox, body: Buffer, damage: (wire: Buffer) => Buffer): Promise<number> {
  const { time, scope, key } = signing(sandbox);
  const { host } = new URL(sandbox.s3Url);
  const path = `/${BUCKET}/chunked`;
  const sha1 = createHash('sha1').update(body).digest('base64');
  const headers: Record<string, string> = {
    'content-encoding': 'aws-chunked',
    host,
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'x-amz-date': time,
    'x-amz-decoded-content-length': String(body.length),
    'x-amz-trailer': 'x-amz-checksum-sha1',
  };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const canonical = ['PUT', path, '', lines.join(''), names, headers['x-amz-content-sha256']].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  let previous = hmacHex(key, ['AWS4-HMAC-SHA256', time, scope, hash].join('\n'));
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${credentialsOf(sandbox).accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${previous}`;

  const pieces: Buffer[] = [];
  for (const data of [body.subarray(0, 65_536), body.subarray(65_536), Buffer.alloc(0)]) {
    const sha256 = createHash('sha256').update(data).digest('hex');
    previous = hmacHex(key, ['AWS4-HMAC-SHA256-PAYLOAD', time, scope, previous, EMPTY, sha256].join('\n'));
    pieces.push(Buffer.from(`${data.length.toString(16)};chunk-signature=${previous}\r\n`), data);
    if (data.length > 0) pieces.push(Buffer.from('\r\n'));
  }
  const trailer = `x-amz-checksum-sha1:${sha1}\n`;
  const trailerHash = createHash('sha256').update(trailer).digest('hex');
  previous = hmacHex(key, ['AWS4-HMAC-SHA256-TRAILER', time, scope, previous, trailerHash].join('\n'));
  pieces.push(Buffer.from(`${trailer.trim()}\r\nx-amz-trailer-signature:${previous}\r\n\r\n`));
  const wire = damage(Buffer.concat(pieces));
  headers['content-length'] = String(wire.length);

  return new Promise((resolve, reject) => {
    const request = http.request(`${sandbox.s3Url}${path}`, { method: 'PUT', headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!));
    });
    request.on('error', reject).end(wire);
  });
}

function signing(sandbox: TestSandbox['sandbox']): { time: string; scope: string; key: Buffer } {
  const time = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  const parts = [time.slice(0, 8), 'us-east-1', 's3', 'aws4_request'];
  const start = Buffer.from(`AWS4${credentialsOf(sandbox).secretAccessKey}`);
  const key = parts.reduce((secret, text) => createHmac('sha256', secret).update(text).digest(), start);
  return { time, scope: parts.join('/'), key };
}

function hmacHex(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
