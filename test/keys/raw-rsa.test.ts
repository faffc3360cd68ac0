import { constants, createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { RawRsaKeyringNode } from '@aws-crypto/client-node';
import { describe, expect, it, test } from 'vitest';
import type { EncryptedDataKey } from '../../src/formats/esdk/header.ts';
import { type RsaPadding, rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import { officialUnwrap, officialWrap } from './official.ts';

const names = { namespace: 'lab', name: 'key é' };
const { privateKey, publicKey } = pairOf(2048);
const other = pairOf(2048);
const encryptionContext = { purpose: 'test' };

function pairOf(modulusLength: number) {
  const pair = generateKeyPairSync('rsa', { modulusLength });
  return {
    privateKey: pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKey: pair.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

const oaep = ['oaep-sha1', 'oaep-sha256', 'oaep-sha384', 'oaep-sha512'] as const;

describe.each(oaep)('%s', (padding) => {
  const ours = rawRsaKeyring({ ...names, padding, privateKey });
  const official = new RawRsaKeyringNode({
    keyNamespace: names.namespace,
    keyName: names.name,
    rsaKey: { privateKey, publicKey },
    oaepHash: padding.slice(5) as 'sha256',
  });

  it('the official client unwraps ours and we its', async () => {
    using made = await ours.makeDataKey({ encryptionContext });
    expect(await officialUnwrap(official, made.encryptedDataKeys, encryptionContext)).toEqual(made.dataKey.bytes);
    const { dataKey, encryptedDataKeys } = await officialWrap(official, encryptionContext);
    using opened = await ours.openDataKey({ encryptionContext, encryptedDataKeys });
    expect(opened.bytes).toEqual(dataKey);
  });

  it('the public half seals, and does not open', async () => {
    const half = rawRsaKeyring({ ...names, padding, publicKey });
    expect(half.id).toBe(ours.id);
    using made = await half.makeDataKey({ encryptionContext });
    const request = { encryptionContext, encryptedDataKeys: made.encryptedDataKeys };
    using opened = await ours.openDataKey(request);
    expect(opened.bytes).toEqual(made.dataKey.bytes);
    await expect(half.openDataKey(request)).rejects.toMatchObject({
      code: 'wrong-key',
      message: expect.stringContaining('public half'),
    });
  });

  it('does not open under another key or padding, or with a bit flipped', async () => {
    using made = await ours.makeDataKey({ encryptionContext });
    const { encryptedDataKeys } = made;
    const [copy] = encryptedDataKeys;
    const flipped = Buffer.from(copy!.ciphertext);
    flipped[100]! ^= 1;
    const changed = [
      { ...copy!, ciphertext: flipped },
      { ...copy!, ciphertext: Buffer.alloc(3) },
    ];
    const elsewhere = oaep[(oaep.indexOf(padding) + 1) % oaep.length]!;
    for (const opening of [
      ours.openDataKey({ encryptionContext, encryptedDataKeys: changed }),
      ours.openDataKey({ encryptionContext, encryptedDataKeys, dataKeySize: 16 }),
      rawRsaKeyring({ ...names, padding, privateKey: other.privateKey }).openDataKey({
        encryptionContext,
        encryptedDataKeys,
      }),
      rawRsaKeyring({ ...names, padding: elsewhere, privateKey }).openDataKey({ encryptionContext, encryptedDataKeys }),
      rawRsaKeyring({ ...names, name: 'n', padding, privateKey }).openDataKey({ encryptionContext, encryptedDataKeys }),
    ]) {
      await expect(opening).rejects.toMatchObject({ code: 'wrong-key' });
    }
  });

  it.each([16, 24, 32])('opens data keys of %i bytes where the suite asks for them', async (dataKeySize) => {
    const dataKey = { bytes: randomBytes(dataKeySize), [Symbol.dispose]: () => {} };
    const encryptedDataKeys = await ours.wrapDataKey(dataKey, { encryptionContext });
    using opened = await ours.openDataKey({ encryptionContext, encryptedDataKeys, dataKeySize });
    expect(opened.bytes).toEqual(dataKey.bytes);
  });
});

describe('PKCS#1 v1.5', () => {
  const ours = rawRsaKeyring({ ...names, padding: 'pkcs1', privateKey, allowPkcs1: true });
  const raw = (block: Buffer) =>
    publicEncrypt({ key: createPublicKey(publicKey), padding: constants.RSA_NO_PADDING }, block);
  const opened = async (ciphertext: Buffer, dataKeySize = 32) => {
    const copy: EncryptedDataKey = { providerId: names.namespace, providerInfo: Buffer.from(names.name), ciphertext };
    using dataKey = await ours.openDataKey({ encryptionContext, encryptedDataKeys: [copy], dataKeySize });
    return Buffer.from(dataKey.bytes);
  };

  test.each([16, 24, 32])('opens %i bytes that OpenSSL padded', async (size) => {
    const dataKey = randomBytes(size);
    const ciphertext = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, dataKey);
    expect(await opened(ciphertext, size)).toEqual(dataKey);
  });

  test('opens what the official client wrapped', async () => {
    const official = new RawRsaKeyringNode({
      keyNamespace: names.namespace,
      keyName: names.name,
      rsaKey: { publicKey },
      padding: constants.RSA_PKCS1_PADDING,
    });
    const { dataKey, encryptedDataKeys } = await officialWrap(official, encryptionContext);
    expect(await opened(encryptedDataKeys[0]!.ciphertext)).toEqual(dataKey);
  });

  test('gives a random key, never an error and never these bytes, for any padding that is wrong', async () => {
    const dataKey = randomBytes(32);
    const padded = Buffer.concat([Buffer.from([0, 2]), Buffer.alloc(221, 7), Buffer.from([0]), dataKey]);
    expect(await opened(raw(padded))).toEqual(dataKey);
    const wrong = [
      (block: Buffer) => block.writeUInt8(1, 1),
      (block: Buffer) => block.writeUInt8(0, 2),
      (block: Buffer) => block.writeUInt8(0, 100),
      (block: Buffer) => block.writeUInt8(0, 222),
      (block: Buffer) => block.writeUInt8(1, 223),
      (block: Buffer) => block.writeUInt8(255, 223),
    ];
    for (const spoil of wrong) {
      const block = Buffer.from(padded);
      spoil(block);
      const [first, second] = [await opened(raw(block)), await opened(raw(block))];
      expect(first).toHaveLength(32);
      expect(first).not.toEqual(dataKey);
      expect(first).not.toEqual(second);
    }
    const shorter = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, dataKey.subarray(1));
    expect((await opened(shorter)).subarray(1)).not.toEqual(dataKey.subarray(1));
  });

  test('never seals, and must be allowed', async () => {
    await expect(ours.makeDataKey({ encryptionContext })).rejects.toMatchObject({
      code: 'bad-option',
      hint: expect.stringContaining('oaep-sha256'),
    });
    expect(() => rawRsaKeyring({ ...names, padding: 'pkcs1', privateKey })).toThrow(
      expect.objectContaining({ code: 'bad-option', hint: expect.stringContaining('--allow-pkcs1') }),
    );
  });
});

describe('the keyring', () => {
  it('has an id that is equal for equal keys only', () => {
    const ids = [
      rawRsaKeyring({ ...names, padding: 'oaep-sha1', privateKey }).id,
      rawRsaKeyring({ ...names, padding: 'oaep-sha256', privateKey }).id,
      rawRsaKeyring({ ...names, padding: 'oaep-sha1', privateKey: other.privateKey }).id,
      rawRsaKeyring({ ...names, name: 'n', padding: 'oaep-sha1', privateKey }).id,
    ];
    expect(new Set(ids).size).toBe(4);
  });

  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' });
  it.each([
    ['namespace', { namespace: 'aws-kms', privateKey }],
    ['name', { name: '', privateKey }],
    ['padding', { padding: 'oaep-md5' as RsaPadding, privateKey }],
    ['privateKey or publicKey', {}],
    ['privateKey', { privateKey: 'no key' }],
    ['privateKey', { privateKey: ec.toString() }],
    ['publicKey', { publicKey: publicKey.slice(0, 99) }],
  ])('refuses a bad %s', (member, changes) => {
    expect(() => rawRsaKeyring({ ...names, padding: 'oaep-sha256', ...changes })).toThrow(
      expect.objectContaining({ code: 'bad-option', message: expect.stringContaining(member) }),
    );
  });
});
