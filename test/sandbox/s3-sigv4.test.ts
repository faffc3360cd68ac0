import { createHash, createHmac, createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChunkedDecoder } from '../../src/sandbox/chunked.ts';
import type { SignedRequest } from '../../src/sandbox/claim.ts';
import { ChunkSigner, Verifier } from '../../src/sandbox/sigv4.ts';

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
      (secret, text) => createSecretKey(createHmac('sha256', secret).update(text).digest()),
      createSecretKey(`AWS4${EXAMPLE.credentials.secretAccessKey}`, 'utf8'),
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
