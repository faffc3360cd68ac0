/**
 * Data keys wrapped under a raw key as the S3 Encryption Client does. The copy does not name its wrapping key, so each
 * key is tried that could have wrapped it. KMS does its wrapping itself (kms.ts).
 *
 *     AES/GCM         IV 12 | AES-GCM(key, IV, data key) | tag 16      additional data = the algorithm of the bytes
 *     RSA-OAEP-SHA1   RSA(size of the data key | data key | the algorithm of the bytes)
 *
 * Older clients bound the data key to nothing. What they wrapped is opened, where the user allows it, and never made:
 *
 *     AESWrap         RFC 3394
 *     AES             AES in blocks, padded
 *     RSA             PKCS#1 v1.5
 *     RSA/ECB/OAEPWithSHA-256AndMGF1Padding
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { gcmOf } from '../formats/esdk/frame.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/s3ec/keys.ts';
import { bindDataKey, OAEP_SHA256, PROVIDER_ID, unbindDataKey, type Wrapping } from '../formats/s3ec/wrapping.ts';
import { freshRandom } from '../random.ts';
import { copyDataKey } from './data-key.ts';
import type { DataKey } from './keyring.ts';
import { unpadJavaOaep, unpadPkcs1 } from './rsa-padding.ts';

const IV_SIZE = 12;
const TAG_SIZE = 16;
/** RFC 3394, 2.2.3.1: what a wrapped key begins with once it is unwrapped. */
const AES_WRAP_MARK = Buffer.alloc(8, 0xa6);
const OAEP_SHA1 = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };

/** The wrapped copy, as keyrings know them. */
export function s3ecCopy(name: Wrapping['name'], ciphertext: Buffer): EncryptedDataKey {
  return { providerId: PROVIDER_ID, providerInfo: Buffer.from(name), ciphertext };
}

/** Whether the copy was wrapped by an S3 Encryption Client under a key of KMS. */
export const isKmsWrapped = isWrappedBy('kms+context', 'kms');
/** As `isKmsWrapped`, under an AES key. */
export const isAesWrapped = isWrappedBy('AES/GCM', 'AESWrap', 'AES');
/** As `isKmsWrapped`, under an RSA key. */
export const isRsaWrapped = isWrappedBy('RSA-OAEP-SHA1', 'RSA', OAEP_SHA256);

function isWrappedBy(...names: Wrapping['name'][]) {
  return ({ providerId, providerInfo }: EncryptedDataKey): boolean =>
    providerId === PROVIDER_ID && names.some((name) => providerInfo.equals(Buffer.from(name)));
}

/** Throws `bad-option`: an object of the S3 Encryption Client has room for one wrapped copy. */
export function checkOneKey(keyCount: number): void {
  if (keyCount === 1) return;
  throw new SealiftError('bad-option', `${keyCount} wrapping keys were named, and --format s3ec takes one`, {
    hint: 'Name one key, or give --format esdk: its objects can be opened with any of several.',
  });
}

export function wrapUnderAes(key: KeyObject, dataKey: DataKey, contentAlgorithm: string): EncryptedDataKey {
  const iv = freshRandom(IV_SIZE);
  const cipher = createCipheriv(gcmOf(key), key, iv, { authTagLength: TAG_SIZE });
  cipher.setAAD(Buffer.from(contentAlgorithm));
  return s3ecCopy('AES/GCM', Buffer.concat([iv, cipher.update(dataKey.bytes), cipher.final(), cipher.getAuthTag()]));
}

/** Undefined where the copy was wrapped under another key, or is bound to another algorithm. */
export function unwrapUnderAes(
  key: KeyObject,
  { providerInfo, ciphertext }: EncryptedDataKey,
  contentAlgorithm: string,
): DataKey | undefined {
  let plain: Buffer | undefined;
  try {
    const name = providerInfo.toString();
    if (name === 'AES/GCM') plain = unsealAes(key, ciphertext, contentAlgorithm);
    else plain = name === 'AES' ? unwrapBlocks(key, ciphertext) : unwrapRfc3394(key, ciphertext);
    return copyDataKey(plain);
  } catch {
    return undefined;
  } finally {
    plain?.fill(0);
  }
}

function unsealAes(key: KeyObject, ciphertext: Buffer, contentAlgorithm: string): Buffer {
  const decipher = createDecipheriv(gcmOf(key), key, ciphertext.subarray(0, IV_SIZE), { authTagLength: TAG_SIZE });
  decipher.setAAD(Buffer.from(contentAlgorithm));
  decipher.setAuthTag(ciphertext.subarray(-TAG_SIZE));
  // GCM's final gives no bytes, so the key is whole before its tag is checked.
  const plain = decipher.update(ciphertext.subarray(IV_SIZE, -TAG_SIZE));
  try {
    decipher.final();
    return plain;
  } catch (error) {
    plain.fill(0);
    throw error;
  }
}

function unwrapRfc3394(key: KeyObject, ciphertext: Buffer): Buffer {
  return createDecipheriv(`id-aes${8 * key.symmetricKeySize!}-wrap`, key, AES_WRAP_MARK).update(ciphertext);
}

function unwrapBlocks(key: KeyObject, ciphertext: Buffer): Buffer {
  const decipher = createDecipheriv(`aes-${8 * key.symmetricKeySize!}-ecb`, key, null);
  const start = decipher.update(ciphertext);
  // A data key is whole blocks: behind it is padding alone.
  decipher.final();
  return start;
}

export function wrapUnderRsa(publicKey: KeyObject, dataKey: DataKey, contentAlgorithm: string): EncryptedDataKey {
  const bound = bindDataKey(dataKey.bytes, contentAlgorithm);
  try {
    return s3ecCopy('RSA-OAEP-SHA1', publicEncrypt({ key: publicKey, ...OAEP_SHA1 }, bound));
  } finally {
    bound.fill(0);
  }
}

/** As `unwrapUnderAes`. */
export function unwrapUnderRsa(
  privateKey: KeyObject,
  { providerInfo, ciphertext }: EncryptedDataKey,
  contentAlgorithm: string,
): DataKey | undefined {
  const name = providerInfo.toString();
  const padding = name === 'RSA-OAEP-SHA1' ? OAEP_SHA1 : { padding: constants.RSA_NO_PADDING };
  let block: Buffer | undefined;
  try {
    block = privateDecrypt({ key: privateKey, ...padding }, ciphertext);
    let dataKey: Buffer | undefined;
    if (name === 'RSA-OAEP-SHA1') dataKey = unbindDataKey(block, contentAlgorithm);
    else dataKey = name === 'RSA' ? unpadPkcs1(block, DATA_KEY_SIZE) : unpadJavaOaep(block);
    return dataKey && moved(dataKey);
  } catch {
    return undefined;
  } finally {
    block?.fill(0);
  }
}

function moved(bytes: Buffer): DataKey {
  const dataKey = copyDataKey(bytes);
  bytes.fill(0);
  return dataKey;
}
