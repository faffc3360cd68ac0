import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ChunkedDecoder } from '../../src/sandbox/chunked.ts';
import { ChunkSigner, type SignedRequest, Verifier } from '../../src/sandbox/sigv4.ts';
import { BUCKET, bytes, clientOf, credentialsOf, openSandbox, outcome, type TestSandbox } from './s3-client.ts';

/** Key, secret and date of the examples in the S3 API Reference, "Authenticating Requests". */
const EXAMPLE = {
  credentials: {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  },
  region: 'us-east-1',
  service: 's3',
} as const;
const EMPTY = createHash('sha256').digest('hex');
const SCOPE = '20130524/us-east-1/s3/aws4_request';

describe("the S3 API Reference's examples", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  const verify = (request: Partial<SignedRequest>) => {
    vi.useFakeTimers({ now: Date.parse('2013-05-24T00:00:00Z'), toFake: ['Date'] });
    return new Verifier(EXAMPLE).verify({
      method: 'GET',
      path: '/',
      query: new URLSearchParams(),
      ...request,
      headers: { host: 'examplebucket.s3.amazonaws.com', ...request.headers },
    });
  };
  const authorization = (signed: string, signature: string) =>
    `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/${SCOPE},SignedHeaders=${signed},Signature=${signature}`;

  const getObject = (signature: string) => ({
    path: '/test.txt',
    headers: {
      range: 'bytes=0-9',
      'x-amz-content-sha256': EMPTY,
      'x-amz-date': '20130524T000000Z',
      authorization: authorization('host;range;x-amz-content-sha256;x-amz-date', signature),
    },
  });
  const SIGNATURE = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';

  it('GET Object', () => {
    expect(verify(getObject(SIGNATURE))).toEqual({ kind: 'hashed', sha256: EMPTY });
    expect(() => verify(getObject(SIGNATURE.replace('f', 'e')))).toThrow(/signature/);
  });

  it('PUT Object', () => {
    const request = {
      method: 'PUT',
      path: '/test$file.text',
      headers: {
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
        'x-amz-date': '20130524T000000Z',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        authorization: authorization(
          'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
          '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
        ),
      },
    };
    expect(verify(request).kind).toBe('hashed');
  });

  it('GET Bucket (List Objects)', () => {
    const request = {
      query: new URLSearchParams('max-keys=2&prefix=J'),
      headers: {
        'x-amz-content-sha256': EMPTY,
        'x-amz-date': '20130524T000000Z',
        authorization: authorization(
          'host;x-amz-content-sha256;x-amz-date',
          '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
        ),
      },
    };
    expect(verify(request).kind).toBe('hashed');
  });

  it('a presigned URL', () => {
    const query = new URLSearchParams({
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': `AKIAIOSFODNN7EXAMPLE/${SCOPE}`,
      'X-Amz-Date': '20130524T000000Z',
      'X-Amz-Expires': '86400',
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    });
    expect(verify({ path: '/test.txt', query, headers: {} })).toEqual({ kind: 'unsigned' });
    vi.setSystemTime(Date.parse('2013-05-25T00:00:01Z'));
    expect(() =>
      new Verifier(EXAMPLE).verify({
        method: 'GET',
        path: '/test.txt',
        query,
        headers: { host: 'examplebucket.s3.amazonaws.com' },
      }),
    ).toThrow('Request has expired');
  });

  const SEED = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
  const CHUNKS = [
    [65_536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648'],
    [1024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497'],
    [0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9'],
  ] as const;
  const signer = () => {
    const key = ['20130524', 'us-east-1', 's3', 'aws4_request'].reduce(
      (secret, text) => createHmac('sha256', secret).update(text).digest(),
      Buffer.from(`AWS4${EXAMPLE.credentials.secretAccessKey}`),
    );
    return new ChunkSigner({ key, time: '20130524T000000Z', scope: SCOPE, seed: SEED });
  };
  const encode = (chunks: readonly (readonly [number, string])[]) =>
    Buffer.from(chunks.map(([n, sig]) => `${n.toString(16)};chunk-signature=${sig}\r\n${'a'.repeat(n)}\r\n`).join(''));

  it('signed chunks, however the network cuts them', () => {
    const wire = encode(CHUNKS);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: wire.length }), { maxLength: 8 }), (cuts) => {
        let size = 0;
        const decoder = new ChunkedDecoder(signer(), (data) => {
          size += data.length;
        });
        const edges = [0, ...cuts.sort((a, b) => a - b), wire.length];
        for (let i = 1; i < edges.length; i++) decoder.push(wire.subarray(edges[i - 1], edges[i]));
        decoder.finish();
        expect(size).toBe(66_560);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses chunks out of order, unsigned, too small, cut short or changed', () => {
    const decode = (wire: Buffer | string, { signed = true } = {}) => {
      const decoder = new ChunkedDecoder(signed ? signer() : undefined, () => {});
      decoder.push(Buffer.from(wire));
      decoder.finish();
    };
    const [first, second, end] = CHUNKS;
    expect(() => decode(encode([second, first, end]))).toThrow(/signature/);
    expect(() => decode('1\r\na\r\n0\r\n\r\n')).toThrow(/malformed/);
    expect(() => decode('1\r\na\r\n0\r\n\r\n', { signed: false })).not.toThrow();
    expect(() => decode('1\r\na\r\n1\r\na\r\n0\r\n\r\n', { signed: false })).toThrow(/8192/);
    expect(() => decode('1\r\nab\r\n0\r\n\r\n', { signed: false })).toThrow(/longer/);
    expect(() => decode(encode(CHUNKS).subarray(0, -2))).toThrow();
    const changed = encode(CHUNKS);
    changed[500]! ^= 1;
    expect(() => decode(changed)).toThrow(/signature/);
  });
});

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
