import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { kmsKeyring } from '../../src/keys/kms.ts';
import { createKmsClient } from '../../src/keys/kms-client.ts';
import { kmsLimiter } from '../../src/limits/token-bucket.ts';
import { startSandbox } from '../../src/sandbox/server.ts';

const request = { encryptionContext: {} };
const ARN = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const OTHER_ARN = ARN.replace('1234abcd', 'ffffffff');

const cleanups: (() => unknown)[] = [];

/** No AWS settings but these: neither this machine's profile nor its metadata service. */
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function keyringAt(endpoint: string | undefined, { keyIds = [ARN], maxAttempts = 1, stallMs = 200 } = {}) {
  const client = await createKmsClient({ endpoint, stallMs });
  const limiter = kmsLimiter({ ratePerSecond: 1000 });
  cleanups.push(
    () => client.destroy(),
    () => limiter.close(),
  );
  return kmsKeyring({ client, limiter, keyIds, maxAttempts });
}

/** A KMS that answers as the test likes. */
async function lyingKms(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer((incoming, response) => {
    incoming.resume().on('end', () => answer(incoming, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the endpoint', () => {
  it.each([
    'http://kms.eu-west-1.amazonaws.com',
    'http://localhost:4566',
    'http://10.0.0.1',
    'http://0.0.0.0:1',
    'http://127.0.0.1.example.com',
  ])('cannot be %s', async (endpoint) => {
    const expected = { code: 'plain-http', exit: 2, hint: expect.stringContaining('https://') };
    await expect(createKmsClient({ endpoint })).rejects.toMatchObject(expected);
    for (const name of ['AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL']) {
      vi.stubEnv(name, endpoint);
      await expect(createKmsClient()).rejects.toMatchObject(expected);
      vi.stubEnv(name, undefined);
    }
  });

  it.each(['https://kms.example.com', 'http://127.0.0.1:4566', 'http://127.9.9.9', 'http://[::1]:4566'])(
    'can be %s',
    async (endpoint) => {
      vi.stubEnv('AWS_ENDPOINT_URL_KMS', endpoint);
      const client = await createKmsClient();
      expect(await client.config.serviceConfiguredEndpoint?.()).toBe(endpoint);
    },
  );

  it('must be a URL', async () => {
    await expect(createKmsClient({ endpoint: 'kms' })).rejects.toMatchObject({ code: 'bad-option' });
  });
});

describe('the Region', () => {
  it('comes from AWS_REGION, AWS_DEFAULT_REGION, or the caller', async () => {
    vi.stubEnv('AWS_DEFAULT_REGION', 'us-west-2');
    expect(await (await createKmsClient()).config.region()).toBe('eu-west-1');
    vi.stubEnv('AWS_REGION', undefined);
    expect(await (await createKmsClient()).config.region()).toBe('us-west-2');
    expect(await (await createKmsClient({ region: 'ca-west-1' })).config.region()).toBe('ca-west-1');
  });

  it('must be known', async () => {
    vi.stubEnv('AWS_REGION', undefined);
    await expect(createKmsClient()).rejects.toMatchObject({
      code: 'no-region',
      hint: expect.stringContaining('AWS_REGION='),
    });
  });
});

describe('TLS', () => {
  it('trusts AWS_CA_BUNDLE beside the usual authorities, and nobody else', async () => {
    const sandbox = await startSandbox({ https: true, region: 'eu-west-1' });
    cleanups.push(() => sandbox.close());
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) vi.stubEnv(name, sandbox.env[name]);
    const options = { keyIds: [sandbox.kmsKeyId], stallMs: 5000 };
    const untrusting = await keyringAt(sandbox.kmsUrl, { ...options, maxAttempts: 5 });
    await expect(untrusting.makeDataKey(request)).rejects.toMatchObject({
      code: 'kms-unavailable',
      hint: expect.stringContaining('AWS_CA_BUNDLE'),
    });
    vi.stubEnv('AWS_CA_BUNDLE', sandbox.env.AWS_CA_BUNDLE);
    using made = await (await keyringAt(sandbox.kmsUrl, options)).makeDataKey(request);
    expect(made.dataKey.bytes).toHaveLength(32);
  });

  it('says when AWS_CA_BUNDLE is no bundle', async () => {
    const path = join(tmpdir(), `sealift-no-bundle-${process.pid}.pem`);
    writeFileSync(path, 'nonsense');
    cleanups.push(() => rmSync(path));
    for (const bundle of [path, `${path}.none`]) {
      vi.stubEnv('AWS_CA_BUNDLE', bundle);
      await expect(createKmsClient()).rejects.toMatchObject({
        code: 'bad-option',
        message: expect.stringContaining('AWS_CA_BUNDLE'),
      });
    }
  });
});

it('missing credentials are told with what to set', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
  const keyring = await keyringAt('http://127.0.0.1:1', { maxAttempts: 5 });
  await expect(keyring.makeDataKey(request)).rejects.toMatchObject({
    code: 'credentials-missing',
    exit: 1,
    hint: expect.stringContaining('AWS_PROFILE'),
  });
});

it.each([301, 302, 307, 308])(
  'a redirect (%i) is not followed, and so no request goes to another host',
  async (status) => {
    const asked: string[] = [];
    const elsewhere = await lyingKms((_, response) => {
      asked.push('elsewhere');
      response.end();
    });
    const endpoint = await lyingKms((_, response) => {
      asked.push('here');
      response.writeHead(status, { location: elsewhere }).end();
    });
    await expect((await keyringAt(endpoint)).makeDataKey(request)).rejects.toMatchObject({
      code: expect.stringMatching(/^kms-/),
    });
    expect(asked).toEqual(['here']);
  },
);

describe('deadlines', () => {
  it.each<[string, (incoming: IncomingMessage, response: ServerResponse) => void]>([
    ['before an answer', () => {}],
    ['within an answer', (_, response) => response.writeHead(200, { 'content-length': 100 }).write('{')],
  ])('hold %s', async (_, answer) => {
    const keyring = await keyringAt(await lyingKms(answer));
    const startMs = performance.now();
    await expect(keyring.makeDataKey(request)).rejects.toMatchObject({ code: 'kms-unavailable', exit: 5 });
    expect(performance.now() - startMs).toBeLessThan(2000);
  });

  it('nobody there is told so', async () => {
    const keyring = await keyringAt('http://127.0.0.1:1', { maxAttempts: 2 });
    await expect(keyring.makeDataKey(request)).rejects.toMatchObject({
      code: 'kms-unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe('an answer that does not fit', () => {
  const bytes = (size: number) => Buffer.alloc(size, 1).toString('base64');
  const good = { KeyId: ARN, Plaintext: bytes(32), CiphertextBlob: bytes(100) };

  async function keyringAnswered(answers: object[], keyIds = [ARN]) {
    const endpoint = await lyingKms((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify(answers.length > 1 ? answers.shift() : answers[0]));
    });
    return keyringAt(endpoint, { keyIds });
  }

  it.each<[string, object]>([
    ['another key', { ...good, KeyId: OTHER_ARN }],
    ['no key', { ...good, KeyId: undefined }],
    ['a name that is no ARN', { ...good, KeyId: 'alias/mine' }],
    ['a short data key', { ...good, Plaintext: bytes(16) }],
    ['no data key', { ...good, Plaintext: undefined }],
    ['no wrapped copy', { ...good, CiphertextBlob: undefined }],
  ])('to GenerateDataKey: %s', async (_, answer) => {
    const keyring = await keyringAnswered([answer]);
    await expect(keyring.makeDataKey(request)).rejects.toMatchObject({ code: 'kms-answer-mismatch', exit: 6 });
  });

  it.each<[string, object]>([
    ['another key', { KeyId: ARN, CiphertextBlob: bytes(100) }],
    ['no wrapped copy', { KeyId: OTHER_ARN }],
  ])('to Encrypt: %s', async (_, answer) => {
    const keyring = await keyringAnswered([good, answer], [ARN, OTHER_ARN]);
    await expect(keyring.makeDataKey(request)).rejects.toMatchObject({ code: 'kms-answer-mismatch' });
  });

  it.each<[string, object]>([
    ['another key', { ...good, KeyId: OTHER_ARN }],
    ['no key', { Plaintext: good.Plaintext }],
    ['a long data key', { ...good, Plaintext: bytes(33) }],
    ['no data key', { KeyId: ARN }],
  ])('to Decrypt, though another copy would open: %s', async (_, answer) => {
    const copy = { providerId: 'aws-kms', providerInfo: Buffer.from(ARN), ciphertext: Buffer.alloc(100) };
    const keyring = await keyringAnswered([answer, good]);
    const opening = keyring.openDataKey({ ...request, encryptedDataKeys: [copy, copy] });
    await expect(opening).rejects.toMatchObject({ code: 'kms-answer-mismatch', exit: 6 });
  });

  it('the same answers pass where they fit', async () => {
    const keyring = await keyringAnswered([good, { ...good, KeyId: OTHER_ARN }], [ARN, OTHER_ARN]);
    using made = await keyring.makeDataKey(request);
    expect(made.encryptedDataKeys.map((copy) => copy.providerInfo.toString())).toEqual([ARN, OTHER_ARN]);
  });
});
