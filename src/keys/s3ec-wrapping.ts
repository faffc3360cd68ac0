/**
 * Data keys wrapped under a raw key as the S3 Encryption Client does. The copy does not name its wrapping key, so each
 * key is tried that could have wrapped it. KMS does its wrapping itself (kms.ts).
 *
 *     AES/GCM         IV 12 | AES-GCM(key, IV, data key) | tag 16      additional data = the algorithm of the bytes
 *     RSA-OAEP-SHA1   RSA(size of the data key | data key | the algorithm of the bytes)
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
import { bindDataKey, PROVIDER_ID, unbindDataKey, type Wrapping } from '../formats/s3ec/wrapping.ts';
import { freshRandom } from '../random.ts';
import { copyDataKey } from './data-key.ts';
import type { DataKey } from './keyring.ts';

const IV_SIZE = 12;
const TAG_SIZE = 16;
const OAEP_SHA1 = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };

/** The wrapped copy, as keyrings know them. */
export function s3ecCopy(name: Wrapping['name'], ciphertext: Buffer): EncryptedDataKey {
  return { providerId: PROVIDER_ID, providerInfo: Buffer.from(name), ciphertext };
}

/** Whether the copy was wrapped by an S3 Encryption Client, in this way. */
export function isWrappedBy(name: Wrapping['name'], { providerId, providerInfo }: EncryptedDataKey): boolean {
  return providerId === PROVIDER_ID && providerInfo.equals(Buffer.from(name));
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
  { ciphertext }: EncryptedDataKey,
  contentAlgorithm: string,
): DataKey | undefined {
  if (ciphertext.length <= IV_SIZE + TAG_SIZE) return undefined;
  const iv = ciphertext.subarray(0, IV_SIZE);
  const decipher = createDecipheriv(gcmOf(key), key, iv, { authTagLength: TAG_SIZE });
  decipher.setAAD(Buffer.from(contentAlgorithm));
  decipher.setAuthTag(ciphertext.subarray(-TAG_SIZE));
  // GCM's final gives no bytes, so the key is whole before its tag is checked.
  const plain = decipher.update(ciphertext.subarray(IV_SIZE, -TAG_SIZE));
  try {
    decipher.final();
    return copyDataKey(plain);
  } catch {
    return undefined;
  } finally {
    plain.fill(0);
  }
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
  { ciphertext }: EncryptedDataKey,
  contentAlgorithm: string,
): DataKey | undefined {
  let bound: Buffer;
  try {
    bound = privateDecrypt({ key: privateKey, ...OAEP_SHA1 }, ciphertext);
  } catch {
    return undefined;
  }
  try {
    const dataKey = unbindDataKey(bound, contentAlgorithm);
    return dataKey && copyDataKey(dataKey);
  } finally {
    bound.fill(0);
  }
}
