/** Data keys as the S3 Encryption Clients before 2020 wrapped them: opened still, and never made. */
import { constants, createCipheriv, createHash, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OAEP_SHA256, type Wrapping } from '../../src/formats/s3ec/wrapping.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import { s3ecCopy } from '../../src/keys/s3ec-wrapping.ts';

const names = { namespace: 'test', name: 'legacy' };
const dataKey = randomBytes(32);
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa = rawRsaKeyring({
  ...names,
  padding: 'oaep-sha256',
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
});

function requestFor(name: Wrapping['name'], ciphertext: Buffer) {
  return {
    encryptionContext: {},
    contentAlgorithm: 'AES/GCM/NoPadding',
    encryptedDataKeys: [s3ecCopy(name, ciphertext)],
  };
}

describe.each([16, 24, 32])('under an AES key of %i bytes', (size) => {
  const key = randomBytes(size);
  const wraps: [Wrapping['name'], Buffer][] = [
    ['AESWrap', wrap(createCipheriv(`id-aes${8 * size}-wrap`, key, Buffer.alloc(8, 0xa6)))],
    ['AES', wrap(createCipheriv(`aes-${8 * size}-ecb`, key, null))],
  ];

  test.each(wraps)('%s opens, and not under another key, nor cut', async (name, wrapped) => {
    const keyring = rawAesKeyring({ ...names, key });
    using opened = await keyring.openDataKey(requestFor(name, wrapped));
    expect(opened.bytes).toEqual(dataKey);
    const other = rawAesKeyring({ ...names, key: Buffer.from(key).fill(1, 0, 4) });
    await expect(other.openDataKey(requestFor(name, wrapped))).rejects.toMatchObject({ code: 'wrong-key' });
    const cut = requestFor(name, wrapped.subarray(0, -8));
    await expect(keyring.openDataKey(cut)).rejects.toMatchObject({ code: 'wrong-key' });
  });
});

function wrap(cipher: { update(bytes: Buffer): Buffer; final(): Buffer }): Buffer {
  return Buffer.concat([cipher.update(dataKey), cipher.final()]);
}

describe('under an RSA key', () => {
  test('PKCS#1 v1.5 opens; what is malformed gives a key at random, and says nothing', async () => {
    const padding = { key: publicKey, padding: constants.RSA_PKCS1_PADDING };
    using opened = await rsa.openDataKey(requestFor('RSA', publicEncrypt(padding, dataKey)));
    expect(opened.bytes).toEqual(dataKey);
    using other = await rsa.openDataKey(requestFor('RSA', publicEncrypt(padding, dataKey.subarray(1))));
    expect(other.bytes.length).toBe(32);
    expect(other.bytes.subarray(1)).not.toEqual(dataKey.subarray(1));
  });

  test('the OAEP of Java opens: SHA-256, but masks of SHA-1', async () => {
    using opened = await rsa.openDataKey(requestFor(OAEP_SHA256, encryptBlock(javaOaep(dataKey))));
    expect(opened.bytes).toEqual(dataKey);
  });

  const damages: [string, (block: { label: Buffer; zeros: Buffer; mark: number; lead: number }) => void][] = [
    ['a label', (block) => block.label.fill(1, 0, 1)],
    ['a byte among the zeros', (block) => block.zeros.fill(2, 5, 6)],
    ['no mark before the key', (block) => Object.assign(block, { mark: 3 })],
    ['a byte in front', (block) => Object.assign(block, { lead: 1 })],
  ];
  test.each(damages)('the OAEP of Java with %s is refused', async (_what, damage) => {
    const request = requestFor(OAEP_SHA256, encryptBlock(javaOaep(dataKey, damage)));
    await expect(rsa.openDataKey(request)).rejects.toMatchObject({ code: 'wrong-key' });
  });
});

function encryptBlock(block: Buffer): Buffer {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block);
}

/** RFC 8017, 7.1.1, for a key of 2,048 bits. */
function javaOaep(
  message: Buffer,
  damage: (block: { label: Buffer; zeros: Buffer; mark: number; lead: number }) => void = () => {},
): Buffer {
  const block = {
    label: createHash('sha256').digest(),
    zeros: Buffer.alloc(256 - 2 - 64 - message.length),
    mark: 1,
    lead: 0,
  };
  damage(block);
  const data = Buffer.concat([block.label, block.zeros, Buffer.from([block.mark]), message]);
  const seed = randomBytes(32);
  const maskedData = xor(data, maskOf(seed, data.length));
  const maskedSeed = xor(seed, maskOf(maskedData, seed.length));
  return Buffer.concat([Buffer.from([block.lead]), maskedSeed, maskedData]);
}

function maskOf(seed: Buffer, size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 20) }, (_, index) => {
    return createHash('sha1')
      .update(seed)
      .update(Buffer.from([0, 0, 0, index]))
      .digest();
  });
  return Buffer.concat(blocks).subarray(0, size);
}

function xor(left: Buffer, right: Buffer): Buffer {
  return left.map((byte, index) => byte ^ right[index]!) as Buffer;
}
