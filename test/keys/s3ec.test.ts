/** Data keys wrapped as the S3 Encryption Client does: what official clients wrapped opens, and then so do their objects. */
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeHeader, parsePairs } from '../../src/formats/s3ec/header.ts';
import { checkCommitment, deriveObjectKeys } from '../../src/formats/s3ec/keys.ts';
import { ObjectOpener } from '../../src/formats/s3ec/open-object.ts';
import { ALGORITHM_NAME } from '../../src/formats/s3ec/wrapping.ts';
import { cachingKeyring } from '../../src/keys/cache.ts';
import type { WrappingKeyring } from '../../src/keys/keyring.ts';
import { kmsKeyring } from '../../src/keys/kms.ts';
import { createKmsClient } from '../../src/keys/kms-client.ts';
import { multiKeyring } from '../../src/keys/multi.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import { s3ecCopy } from '../../src/keys/s3ec-wrapping.ts';
import { kmsLimiter } from '../../src/limits/token-bucket.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { OFFICIAL_KEYS, OFFICIAL_KMS, OFFICIAL_OBJECTS, type OfficialObject } from '../formats/s3ec-official.ts';

const names = { namespace: 'test', name: 'key' };
const folder = mkdtempSync(join(tmpdir(), 'sealift-s3ec-keys-'));
const cleanup = new AsyncDisposableStack();
let keyrings: Record<OfficialObject['wrapping'], WrappingKeyring>;
let kmsOf: (keyIds: string[]) => WrappingKeyring;

beforeAll(async () => {
  cleanup.defer(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'kms.json'), JSON.stringify(OFFICIAL_KMS));
  const sandbox = await startSandbox({ dir: folder });
  cleanup.defer(() => sandbox.close());
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  cleanup.defer(() => void vi.unstubAllEnvs());
  const client = await createKmsClient();
  cleanup.defer(() => client.destroy());
  const limiter = kmsLimiter({ ratePerSecond: 10_000 });
  cleanup.defer(() => limiter.close());
  kmsOf = (keyIds) => kmsKeyring({ client, limiter, keyIds });
  const pem = createPrivateKey({ key: Buffer.from(OFFICIAL_KEYS.rsaPrivate, 'base64'), format: 'der', type: 'pkcs8' });
  keyrings = {
    kms: kmsOf([OFFICIAL_KEYS.kms]),
    aes: rawAesKeyring({ ...names, key: Buffer.from(OFFICIAL_KEYS.aes, 'base64') }),
    rsa: rawRsaKeyring({
      ...names,
      padding: 'oaep-sha256',
      privateKey: pem.export({ type: 'pkcs8', format: 'pem' }) as string,
    }),
  };
});

afterAll(() => cleanup.disposeAsync());

function headerOf({ metadata, instructions }: OfficialObject) {
  const header = decodeHeader(metadata, instructions && parsePairs(instructions.toString()));
  const isKms = header.wrapping.name === 'kms+context';
  return {
    ...header,
    request: {
      encryptionContext: isKms ? header.description : {},
      contentAlgorithm: header.suite.contentAlgorithm,
      encryptedDataKeys: [s3ecCopy(header.wrapping.name, header.wrappedKey)],
    },
  };
}

test.each(['kms', 'aes', 'rsa'] as const)('objects that official clients wrote under %s open', async (wrapping) => {
  const objects = OFFICIAL_OBJECTS.filter((object) => object.wrapping === wrapping);
  expect(objects.length).toBeGreaterThan(20);
  for (const object of objects) {
    const { request, suite, messageId, commitment } = headerOf(object);
    using dataKey = await keyrings[wrapping].openDataKey(request);
    const keys = deriveObjectKeys({ suite, dataKey: dataKey.bytes, messageId });
    checkCommitment({ commitment }, keys);
    const opener = new ObjectOpener({ suite, messageId }, keys);
    const plain = Buffer.concat([...opener.push(object.body), opener.finish()]);
    expect(createHash('sha256').update(plain).digest('hex')).toBe(object.sha256);
  }
});

test('KMS finds the key where none is named, and is asked about those that are', async () => {
  const { request } = headerOf(OFFICIAL_OBJECTS.find(({ wrapping }) => wrapping === 'kms')!);
  using dataKey = await kmsOf([]).openDataKey(request);
  expect(dataKey.bytes.length).toBe(32);
  using sameKey = await kmsOf(['alias/sandbox']).openDataKey(request);
  expect(sameKey.bytes).toEqual(dataKey.bytes);
  const stranger = OFFICIAL_KEYS.kms.replace(/[^/]+$/, '00000000-0000-0000-0000-000000000000');
  await expect(kmsOf([stranger]).openDataKey(request)).rejects.toMatchObject({ code: 'kms-key-not-found' });
});

describe.each(['kms', 'aes', 'rsa'] as const)('%s', (wrapping) => {
  test.each(['115', 'AES/GCM/NoPadding'])('wraps for %s and opens again, for no other algorithm', async (algorithm) => {
    const keyring = keyrings[wrapping];
    const request = { encryptionContext: { [ALGORITHM_NAME]: algorithm }, contentAlgorithm: algorithm };
    using made = await keyring.makeDataKey(request);
    expect(made.encryptedDataKeys.length).toBe(1);
    const { encryptedDataKeys } = made;
    using opened = await keyring.openDataKey({ ...request, encryptedDataKeys });
    expect(opened.bytes).toEqual(made.dataKey.bytes);
    const other = { encryptionContext: { [ALGORITHM_NAME]: '114' }, contentAlgorithm: '114', encryptedDataKeys };
    await expect(keyring.openDataKey(other)).rejects.toMatchObject({ code: 'wrong-key' });
    const damaged = encryptedDataKeys.map((copy) => ({ ...copy, ciphertext: copy.ciphertext.subarray(1) }));
    await expect(keyring.openDataKey({ ...request, encryptedDataKeys: damaged })).rejects.toMatchObject({
      code: 'wrong-key',
    });
  });
});

test('another key does not open, and neither does a copy wrapped in another way', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const others = {
    aes: rawAesKeyring({ ...names, key: randomBytes(32) }),
    rsa: rawRsaKeyring({
      ...names,
      padding: 'oaep-sha256',
      privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    }),
  };
  for (const wrapping of ['aes', 'rsa'] as const) {
    const { request } = headerOf(OFFICIAL_OBJECTS.find((object) => object.wrapping === wrapping)!);
    for (const keyring of [others.aes, others.rsa, multiKeyring([others.rsa, others.aes])]) {
      const refused = { code: 'wrong-key', hint: expect.stringContaining('does not name') };
      await expect(keyring.openDataKey(request)).rejects.toMatchObject(refused);
    }
    using found = await multiKeyring([others.aes, others.rsa, keyrings.aes, keyrings.rsa]).openDataKey(request);
    expect(found.bytes.length).toBe(32);
  }
});

test('an object has room for one wrapped copy, and that is said before anything is asked', async () => {
  const request = { encryptionContext: {}, contentAlgorithm: '115' };
  const refused = { code: 'bad-option', hint: expect.stringContaining('--format esdk') };
  await expect(kmsOf(['alias/sandbox', 'alias/sandbox']).makeDataKey(request)).rejects.toMatchObject(refused);
  await expect(multiKeyring([keyrings.aes, keyrings.rsa]).makeDataKey(request)).rejects.toMatchObject(refused);
});

test('the cache never gives one format the copies of the other', async () => {
  const cache = cachingKeyring(keyrings.aes);
  using forEsdk = await cache.makeDataKey({ encryptionContext: {} });
  using forS3ec = await cache.makeDataKey({ encryptionContext: {}, contentAlgorithm: '115' });
  using again = await cache.makeDataKey({ encryptionContext: {}, contentAlgorithm: '115' });
  expect(forS3ec.encryptedDataKeys[0]!.providerId).toBe('S3Keyring');
  expect(forS3ec.dataKey.bytes).not.toEqual(forEsdk.dataKey.bytes);
  expect(again.dataKey.bytes).toEqual(forS3ec.dataKey.bytes);
  cache.close();
});
