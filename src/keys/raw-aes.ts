/**
 * A keyring over one AES key that the user keeps: no service, no network. The wrapped data key is laid out as in every
 * AWS Encryption SDK, which opens it under the same namespace, name and key.
 *
 *     provider id    the namespace
 *     provider info  name | u32 tag size in bits | u32 IV size | IV
 *     ciphertext     AES-GCM(key, IV, data key), tag; additional data = the encoded encryption context
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { encodeContext } from '../formats/esdk/context.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { copyDataKey, randomDataKey, sealingMaterials } from './data-key.ts';
import type { DataKey, Keyring, KeyringRequest, SealingMaterials } from './keyring.ts';
import { wrongKey } from './wrong-key.ts';

const IV_SIZE = 12;
const TAG_SIZE = 16;
/** What stands between the key's name and the IV. */
const SIZES = Buffer.from([0, 0, 0, TAG_SIZE * 8, 0, 0, 0, IV_SIZE]);

export interface RawAesKey {
  namespace: string;
  name: string;
  /** 16, 24 or 32 bytes; copied, and stays the caller's to zero. */
  key: Uint8Array;
}

/** Throws `bad-option` for a namespace, name or key that cannot be used. */
export function rawAesKeyring({ namespace, name, key }: RawAesKey): Keyring {
  checkRawAesKey({ namespace, name, key });
  return new RawAesKeyring(namespace, name, createSecretKey(key));
}

class RawAesKeyring implements Keyring {
  readonly id: string;
  readonly #namespace: string;
  readonly #name: string;
  readonly #key: KeyObject;

  constructor(namespace: string, name: string, key: KeyObject) {
    // Two keys may bear one name: the id tells them apart and gives neither away.
    const mark = createHmac('sha256', key).update('sealift keyring id v1').digest('hex');
    this.id = JSON.stringify(['raw-aes', namespace, name, mark]);
    this.#namespace = namespace;
    this.#name = name;
    this.#key = key;
  }

  async makeDataKey({ encryptionContext }: KeyringRequest): Promise<SealingMaterials> {
    const dataKey = randomDataKey();
    const iv = randomBytes(IV_SIZE);
    const cipher = createCipheriv(this.#algorithm, this.#key, iv, { authTagLength: TAG_SIZE });
    cipher.setAAD(encodeContext(encryptionContext));
    const wrapped: EncryptedDataKey = {
      providerId: this.#namespace,
      providerInfo: Buffer.concat([Buffer.from(this.#name), SIZES, iv]),
      ciphertext: Buffer.concat([cipher.update(dataKey.bytes), cipher.final(), cipher.getAuthTag()]),
    };
    return sealingMaterials(dataKey, [wrapped]);
  }

  async openDataKey(request: KeyringRequest & { encryptedDataKeys: readonly EncryptedDataKey[] }): Promise<DataKey> {
    const { encryptedDataKeys, encryptionContext } = request;
    const reasons: string[] = [];
    for (const wrapped of encryptedDataKeys) {
      if (!this.#isOurs(wrapped)) continue;
      const dataKey = this.#unwrap(wrapped, encryptionContext);
      if (dataKey) return dataKey;
      reasons.push('it bears this name, but the key is another, or the object was changed');
    }
    throw wrongKey({ encryptedDataKeys, tried: `the raw AES key ${this.#namespace} / ${this.#name}`, reasons });
  }

  #isOurs({ providerId, providerInfo, ciphertext }: EncryptedDataKey): boolean {
    const prefix = Buffer.concat([Buffer.from(this.#name), SIZES]);
    return (
      providerId === this.#namespace &&
      providerInfo.length === prefix.length + IV_SIZE &&
      providerInfo.subarray(0, prefix.length).equals(prefix) &&
      ciphertext.length === DATA_KEY_SIZE + TAG_SIZE
    );
  }

  /** Undefined where the tag does not verify. */
  #unwrap({ providerInfo, ciphertext }: EncryptedDataKey, context: Readonly<Record<string, string>>) {
    const iv = providerInfo.subarray(-IV_SIZE);
    const decipher = createDecipheriv(this.#algorithm, this.#key, iv, { authTagLength: TAG_SIZE });
    decipher.setAAD(encodeContext(context));
    decipher.setAuthTag(ciphertext.subarray(-TAG_SIZE));
    // GCM's final gives no bytes, so the key is whole before its tag is checked.
    const plain = decipher.update(ciphertext.subarray(0, -TAG_SIZE));
    try {
      decipher.final();
      return copyDataKey(plain);
    } catch {
      return undefined;
    } finally {
      plain.fill(0);
    }
  }

  get #algorithm(): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
    const bits = this.#key.symmetricKeySize! * 8;
    return `aes-${bits as 128 | 192 | 256}-gcm`;
  }
}

/** Throws `bad-option`. */
export function checkRawAesKey({ namespace, name, key }: RawAesKey): void {
  if (namespace === '' || namespace.startsWith('aws-kms')) {
    throw badKey('namespace', 'a text that does not begin with aws-kms', namespace);
  }
  if (name === '') throw badKey('name', 'a text', name);
  if (![16, 24, 32].includes(key.length)) throw badKey('key', '16, 24 or 32 bytes', `${key.length} bytes`);
}

function badKey(member: string, expected: string, got: string): SealiftError {
  const message = `The raw AES key's ${member} must be ${expected}, not ${JSON.stringify(got)}`;
  return new SealiftError('bad-option', message, { hint: 'Make a new key file with: sealift keygen FILE.' });
}
