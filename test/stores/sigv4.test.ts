/** Requests signed by ourselves, against the examples that AWS publishes and against the SDK's own signer. */
import { Sha256 } from '@smithy/core/checksum';
import { extendedEncodeURIComponent as encode } from '@smithy/core/protocols';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Signer } from '../../src/stores/sigv4.ts';

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const EXAMPLE = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const EXAMPLE_MS = Date.UTC(2013, 4, 24);

// API Reference, "Authenticating Requests: Using the Authorization Header", "Examples: Signature Calculations".
test.each([
  {
    name: 'GET Object',
    path: '/test.txt',
    headers: { range: 'bytes=0-9' },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT Object',
    method: 'PUT',
    path: '/test%24file.text',
    headers: {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    },
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET Bucket Lifecycle',
    query: [['lifecycle', '']] as const,
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'List Objects',
    query: [
      ['prefix', 'J'],
      ['max-keys', '2'],
    ] as const,
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
])('of the example $name', async ({ method = 'GET', path = '/', query = [], headers, signature }) => {
  const signer = new Signer({ region: 'us-east-1', service: 's3', credentials: async () => EXAMPLE });
  const fixed = { host: 'examplebucket.s3.amazonaws.com', 'x-amz-content-sha256': EMPTY };
  const { authorization } = await signer.sign({ method, path, query, headers: { ...fixed, ...headers } }, EXAMPLE_MS);
  expect(authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/20130524\/us-east-1\/s3\/aws4_request, SignedHeaders=\S+, Signature=/,
  );
  expect(authorization!.slice(-64)).toBe(signature);
});

test("as the SDK's signer does it, also when the day or the credentials change", async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 8 });
  const word = fc.stringMatching(/^[a-z]{1,8}$/);
  const name = fc.oneof(
    fc.constantFrom('content-type', 'cache-control', 'user-agent'),
    word.map((end) => `x-amz-${end}`),
  );
  // With spaces in them, and no white space that HTTP does not know.
  const value = fc.stringMatching(/^[!-~]([ -~]{0,12}[!-~])?$/);
  const request = fc.record({
    method: fc.constantFrom('GET', 'PUT'),
    key: fc.array(text, { minLength: 1, maxLength: 3 }),
    query: fc.dictionary(fc.stringMatching(/^[a-z-]{1,4}$/), text, { maxKeys: 4 }),
    headers: fc.dictionary(name, value, { maxKeys: 6 }),
    atMs: fc.integer({ min: EXAMPLE_MS, max: EXAMPLE_MS + 3 * 86_400_000 }),
    credentials: fc.record(
      {
        accessKeyId: fc.constant('AKID'),
        secretAccessKey: fc.constantFrom('one', 'another'),
        sessionToken: fc.constantFrom('a token', 'another token'),
      },
      { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
    ),
  });
  let now = EXAMPLE as { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  const options = { region: 'eu-west-3', service: 's3', credentials: async () => now };
  const ours = new Signer(options);
  await fc.assert(
    fc.asyncProperty(request, async ({ method, key, query, headers: own, atMs, credentials }) => {
      now = credentials;
      const path = `/${key.map(encode).join('/')}`;
      const headers = { host: 'bucket.example', 'x-amz-content-sha256': EMPTY, ...own };
      const pairs = Object.entries(query).map(([name, value]) => [encode(name), encode(value)] as const);
      const signed = await ours.sign({ method, path, query: pairs, headers }, atMs);
      // It keeps keys by credentials and day in the module: no hash of another test's is taken for ours.
      const theirs = new SignatureV4({ ...options, sha256: Sha256, uriEscapePath: false });
      const asked = { method, protocol: 'https:', hostname: 'bucket.example', path, query, headers };
      expect(signed).toEqual((await theirs.sign(asked, { signingDate: new Date(atMs) })).headers);
    }),
    { numRuns: 200 },
  );
});
