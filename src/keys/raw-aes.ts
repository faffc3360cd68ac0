/**
 * A keyring over one AES key that the user keeps: no service, no network. The wrapped data key is laid out as in every
 * AWS Encryption SDK, which opens it under the same namespace, name and key.
 *
 *     provider id    the namespace
 *     provider info  the key's name, sizes and IV (raw-aes-info.ts)
 *     ciphertext     AES-GCM(key, IV, data key), tag; additional data = the encoded encryption context
 *
 * What AWS's JavaScript client wrapped under names in a dictionary's order is opened too, and never made.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { encodeContext, encodeContextByDictionary } from '../formats/esdk/context.ts';
import { gcmOf } from '../formats/esdk/frame.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { freshRandom } from '../random.ts';
import { copyDataKey, randomDataKey, sealingMaterials } from './data-key.ts';
import type { DataKey, KeyringRequest, OpenKeyRequest, SealingMaterials, WrappingKeyring } from './keyring.ts';
import { decodeRawAesInfo, encodeRawAesInfo, IV_SIZE, TAG_SIZE } from './raw-aes-info.ts';
import { badRawKey, checkRawNames, type RawKeyNames } from './raw-names.ts';
import { isAesWrapped, unwrapUnderAes, wrapUnderAes } from './s3ec-wrapping.ts';
import { wrongKey } from './wrong-key.ts';

/** An AES key by its name. */
export interface RawAesKey extends RawKeyNames {
  /** 16, 24 or 32 bytes; copied, and stays the caller's to zero. */
  key: Uint8Array;
}

/**
 * A keyring over one AES key of yours. Throws `bad-option` for a namespace, name or key that cannot be used.
 *
 * @example
 * import { randomBytes } from 'node:crypto';
 * import { createEngine, rawAesKeyring } from 'sealift';
 *
 * const key = randomBytes(32); // keep it: what it seals opens with nothing else
 * await using engine = createEngine({ keyring: rawAesKeyring({ namespace: 'lab', name: '2026', key }) });
 * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/raw-aes.tar' });
 */
export function rawAesKeyring({ namespace, name, key }: RawAesKey): WrappingKeyring {
  checkRawNames({ namespace, name });
  if (![16, 24, 32].includes(key.length)) throw badRawKey('key', '16, 24 or 32 bytes', `${key.length} bytes`);
  return new RawAesKeyring(namespace, name, createSecretKey(key));
}

class RawAesKeyring implements WrappingKeyring {
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

  async makeDataKey(request: KeyringRequest): Promise<SealingMaterials> {
    const dataKey = randomDataKey();
    return sealingMaterials(dataKey, await this.wrapDataKey(dataKey, request));
  }

  async wrapDataKey(
    dataKey: DataKey,
    { encryptionContext, contentAlgorithm }: KeyringRequest,
  ): Promise<EncryptedDataKey[]> {
    if (contentAlgorithm !== undefined) return [wrapUnderAes(this.#key, dataKey, contentAlgorithm)];
    const iv = freshRandom(IV_SIZE);
    const cipher = createCipheriv(gcmOf(this.#key), this.#key, iv, { authTagLength: TAG_SIZE });
    cipher.setAAD(encodeContext(encryptionContext));
    const ciphertext = Buffer.concat([cipher.update(dataKey.bytes), cipher.final(), cipher.getAuthTag()]);
    const providerInfo = encodeRawAesInfo({ name: this.#name, iv });
    return [{ providerId: this.#namespace, providerInfo, ciphertext }];
  }

  async openDataKey(request: OpenKeyRequest): Promise<DataKey> {
    const { encryptedDataKeys } = request;
    const reasons: string[] = [];
    for (const wrapped of encryptedDataKeys) {
      const opened = this.#open(wrapped, request);
      if (typeof opened === 'object') return opened;
      if (opened !== undefined) reasons.push(opened);
    }
    throw wrongKey({ encryptedDataKeys, tried: `the raw AES key ${this.#namespace} / ${this.#name}`, reasons });
  }

  /** The data key, or why there is none; undefined where the copy is for another wrapping key. */
  #open(wrapped: EncryptedDataKey, request: KeyringRequest & { dataKeySize?: number | undefined }) {
    const { encryptionContext, contentAlgorithm = '', dataKeySize = DATA_KEY_SIZE } = request;
    if (isAesWrapped(wrapped)) {
      return (
        unwrapUnderAes(this.#key, wrapped, contentAlgorithm) ??
        'it was wrapped under another AES key, or the object was changed'
      );
    }
    const iv = this.#ivOf(wrapped, dataKeySize);
    if (!iv) return undefined;
    return (
      this.#unwrap(wrapped.ciphertext, iv, encodeContext(encryptionContext)) ??
      this.#unwrap(wrapped.ciphertext, iv, encodeContextByDictionary(encryptionContext)) ??
      'it bears this name, but the key is another, or the object was changed'
    );
  }

  /** Undefined where the copy is for another wrapping key. */
  #ivOf({ providerId, providerInfo, ciphertext }: EncryptedDataKey, dataKeySize: number): Buffer | undefined {
    const info = decodeRawAesInfo(providerInfo);
    const isOurs = providerId === this.#namespace && info?.name === this.#name;
    return isOurs && ciphertext.length === dataKeySize + TAG_SIZE ? info.iv : undefined;
  }

  /** Undefined where the tag does not verify. */
  #unwrap(ciphertext: Buffer, iv: Buffer, context: Buffer): DataKey | undefined {
    const decipher = createDecipheriv(gcmOf(this.#key), this.#key, iv, { authTagLength: TAG_SIZE });
    decipher.setAAD(context);
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
}
