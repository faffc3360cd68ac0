/**
 * Objects of older S3 Encryption Clients, opened by the engine: known answers of the official clients, kept outside this
 * repository, with the modes that have to be allowed for each.
 */
import { existsSync, readFileSync } from 'node:fs';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fields } from '../../src/formats/s3ec/header.ts';
import type { GetRequest } from '../../src/get.ts';
import { copyDataKey } from '../../src/keys/data-key.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';

const file = new URL('../../../shared/vectors/s3ec-kats.json', import.meta.url);
const answers = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
const hex = (text: string) => Buffer.from(text, 'hex');
const base64 = (text: string) => Buffer.from(text, 'base64');
const allowed = { commitmentPolicy: 'require-encrypt-allow-decrypt' } as const;
const legacy = { ...allowed, enableLegacyWrappingAlgorithms: true, enableLegacyUnauthenticatedModes: true };

let stage: Stage;
let made = 0;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** Known answers have the data key itself: this keyring gives it, whatever the object says. */
function keyringOf(dataKey: string): Keyring {
  return {
    id: `known ${dataKey}`,
    makeDataKey: () => Promise.reject(new Error('seals nothing')),
    openDataKey: async () => copyDataKey(base64(dataKey)),
  };
}

async function open(keyring: Keyring, object: { metadata: Fields; body: Buffer }, options: Partial<GetRequest>) {
  const Key = `kat/${made++}`;
  await stage.s3.send(
    new PutObjectCommand({ Bucket: BUCKET, Key, Body: object.body, Metadata: { ...object.metadata } }),
  );
  const source = `s3://${BUCKET}/${Key}`;
  await using engine = stage.engine(stage.plot(Key.replace('/', '-'), 0), { keyring });
  const shown = await engine.inspect(source);
  const chunks: Buffer[] = [];
  const target = async (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes));
  await engine.get({ source, ...options, target });
  return { plain: Buffer.concat(chunks), shown, source, engine };
}

describe.skipIf(!answers)('known answers of ../shared/vectors/s3ec-kats.json, skipped where it is missing', () => {
  test('version 3, and version 3 that commits to another key', async () => {
    const { dek, metadata, body, plaintext } = answers.v3Object;
    const whole = { metadata: { 'x-amz-3': 'AAAA', ...metadata }, body: hex(body) };
    const { plain, shown } = await open(keyringOf(dek), whole, {});
    expect(plain).toEqual(hex(plaintext));
    expect(shown).toMatchObject({ format: 's3ec', messageVersion: 3, needs: [], plainBytes: plain.length });
    const bad = answers.v3BadCommitment;
    const other = { metadata: { 'x-amz-3': 'AAAA', ...metadata, ...bad.metadata }, body: hex(body) };
    await expect(open(keyringOf(bad.dek), other, {})).rejects.toMatchObject({
      code: 'bad-header',
      message: expect.stringContaining('commits'),
    });
  });

  test('version 2', async () => {
    const { dek, iv, body, plaintext } = answers.v2Object;
    const metadata = {
      'x-amz-key-v2': 'AAAA',
      'x-amz-iv': iv,
      'x-amz-matdesc': '{}',
      'x-amz-wrap-alg': 'AES/GCM',
      'x-amz-cek-alg': 'AES/GCM/NoPadding',
      'x-amz-tag-len': '128',
    };
    const object = { metadata, body: hex(body) };
    expect((await open(keyringOf(dek), object, allowed)).plain).toEqual(hex(plaintext));
    const old = { ...object, metadata: { ...metadata, 'x-amz-wrap-alg': 'AESWrap' } };
    const refused = { code: 'legacy-mode', hint: expect.stringContaining('--enable-legacy-wrapping-algorithms') };
    await expect(open(keyringOf(dek), old, allowed)).rejects.toMatchObject(refused);
    const { plain } = await open(keyringOf(dek), old, { ...allowed, enableLegacyWrappingAlgorithms: true });
    expect(plain).toEqual(hex(plaintext));
  });

  test('AES-CBC, which nothing verifies', async () => {
    const { dek, iv, body, plaintext } = answers.cbc;
    const metadata = {
      'x-amz-key-v2': 'AAAA',
      'x-amz-iv': iv,
      'x-amz-matdesc': '{}',
      'x-amz-wrap-alg': 'AES/GCM',
      'x-amz-cek-alg': 'AES/CBC/PKCS5Padding',
    };
    const object = { metadata, body: hex(body) };
    const refused = { code: 'legacy-mode', hint: expect.stringContaining('--enable-legacy-unauthenticated-modes') };
    await expect(open(keyringOf(dek), object, allowed)).rejects.toMatchObject(refused);
    const { plain, shown } = await open(keyringOf(dek), object, legacy);
    expect(plain).toEqual(hex(plaintext));
    expect(shown.plainBytes).toBeNull();
    const sized = { ...metadata, 'x-amz-unencrypted-content-length': String(plain.length) };
    expect((await open(keyringOf(dek), { ...object, metadata: sized }, legacy)).shown.plainBytes).toBe(plain.length);
    const range = { first: 0, last: 1 };
    await expect(open(keyringOf(dek), object, { ...legacy, range })).rejects.toMatchObject({ code: 'bad-range' });
    const cut = { ...object, body: object.body.subarray(0, -1) };
    await expect(open(keyringOf(dek), cut, legacy)).rejects.toMatchObject({ code: 'truncated' });
  });

  test('AES-CBC cannot be verified', async () => {
    const { masterKey, metadata, bodyB64 } = answers.v1;
    await stage.s3.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: 'cbc', Body: base64(bodyB64), Metadata: metadata }),
    );
    const keyring = rawAesKeyring({ namespace: 'test', name: 'master', key: base64(masterKey) });
    await using engine = stage.engine(stage.plot('cbc', 0), { keyring });
    const verified = engine.verify({ source: `s3://${BUCKET}/cbc`, ...legacy });
    await expect(verified).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('version 1, with all that has to be allowed named at once', async () => {
    const { masterKey, metadata, bodyB64, plaintextUtf8 } = answers.v1;
    const keyring = rawAesKeyring({ namespace: 'test', name: 'master', key: base64(masterKey) });
    const object = { metadata, body: base64(bodyB64) };
    await expect(open(keyring, object, {})).rejects.toMatchObject({
      code: 'commitment-policy',
      hint: expect.stringMatching(/require-encrypt-allow-decrypt --enable-legacy-w.* --enable-legacy-u/),
    });
    const { plain, shown } = await open(keyring, object, legacy);
    expect(plain.toString()).toBe(plaintextUtf8);
    expect(shown).toMatchObject({ messageVersion: 1, wrapping: 'AES', commits: false });
  });
});
