/**
 * The sandbox's CiphertextBlob: real encryption, so that a wrong key, a wrong context or a flipped bit fails here as
 * it fails at AWS. The layout is the sandbox's own, as AWS's is AWS's own; no client may look inside.
 *
 *     magic 4 | key id 36 | IV 12 | ciphertext n | tag 16
 *
 * AES-256-GCM under the key's secret; the additional data is everything before the IV, then the encryption context
 * with its names sorted, because KMS compares contexts without regard to order (KMS Developer Guide, "Encryption
 * context").
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { KmsError } from './kms-error.ts';

const MAGIC = Buffer.from('SKB1');
const KEY_ID_SIZE = 36;
const IV_SIZE = 12;
const TAG_SIZE = 16;
const PREFIX_SIZE = MAGIC.length + KEY_ID_SIZE;

type Context = Readonly<Record<string, string>>;

export function sealBlob(keyId: string, secret: Buffer, plain: Buffer, context: Context): Buffer {
  const prefix = Buffer.concat([MAGIC, Buffer.from(keyId, 'latin1')]);
  const iv = randomBytes(IV_SIZE);
  const cipher = createCipheriv('aes-256-gcm', secret, iv, { authTagLength: TAG_SIZE });
  cipher.setAAD(additionalData(prefix, context));
  return Buffer.concat([prefix, iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** The id of the key that a blob says it is under, before anything is verified. */
export function keyIdOfBlob(blob: Buffer): string {
  const tooShort = blob.length < PREFIX_SIZE + IV_SIZE + TAG_SIZE;
  if (tooShort || !blob.subarray(0, MAGIC.length).equals(MAGIC)) throw new KmsError('InvalidCiphertextException');
  return blob.toString('latin1', MAGIC.length, PREFIX_SIZE);
}

export function openBlob(secret: Buffer, blob: Buffer, context: Context): Buffer {
  const iv = blob.subarray(PREFIX_SIZE, PREFIX_SIZE + IV_SIZE);
  const decipher = createDecipheriv('aes-256-gcm', secret, iv, { authTagLength: TAG_SIZE });
  decipher.setAAD(additionalData(blob.subarray(0, PREFIX_SIZE), context));
  decipher.setAuthTag(blob.subarray(-TAG_SIZE));
  try {
    return Buffer.concat([decipher.update(blob.subarray(PREFIX_SIZE + IV_SIZE, -TAG_SIZE)), decipher.final()]);
  } catch {
    throw new KmsError('InvalidCiphertextException');
  }
}

function additionalData(prefix: Buffer, context: Context): Buffer {
  const pairs = Object.entries(context).sort(([left], [right]) => (left < right ? -1 : 1));
  return Buffer.concat([prefix, Buffer.from(JSON.stringify(pairs))]);
}
