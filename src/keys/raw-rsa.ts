/**
 * A keyring over an RSA key pair that the user keeps: whoever has the public half can seal, and only who has the private
 * one can open. The wrapped data key is laid out as in every AWS Encryption SDK:
 *
 *     provider id    the namespace
 *     provider info  the name
 *     ciphertext     RSA(public key, data key)
 *
 * RSA authenticates nothing, so the encryption context is not bound to the wrapped copy; the message's header binds it.
 */
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import { SealiftError } from '../errors.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { copyDataKey, randomDataKey, sealingMaterials } from './data-key.ts';
import type { DataKey, KeyringRequest, OpenKeyRequest, SealingMaterials, WrappingKeyring } from './keyring.ts';
import { badRawKey, checkRawNames, type RawKeyNames } from './raw-names.ts';
import { unpadPkcs1 } from './rsa-padding.ts';
import { isRsaWrapped, unwrapUnderRsa, wrapUnderRsa } from './s3ec-wrapping.ts';
import { wrongKey } from './wrong-key.ts';

export const RSA_PADDINGS = ['oaep-sha1', 'oaep-sha256', 'oaep-sha384', 'oaep-sha512', 'pkcs1'] as const;

/** How a data key is padded before RSA wraps it. `pkcs1` is unsafe, and opens only. */
export type RsaPadding = (typeof RSA_PADDINGS)[number];

/** An RSA key, or its public half, by its name. */
export interface RawRsaKey extends RawKeyNames {
  padding: RsaPadding;
  /** PEM. Opens and seals. */
  privateKey?: string | undefined;
  /** PEM. Alone it can only seal. */
  publicKey?: string | undefined;
  /** PKCS#1 v1.5 is broken in places where others can watch failures: it is for old messages only, and only if wanted. */
  allowPkcs1?: boolean | undefined;
}

/** Of a copy for this key by its name. */
const NOT_OPENED = 'it bears this name, but the key or its padding is another, or the object was changed';

/**
 * A keyring over an RSA key of yours. Throws `bad-option` for names or keys that cannot be used, and for PKCS#1 v1.5
 * where it was not allowed.
 *
 * @example
 * import { generateKeyPairSync } from 'node:crypto';
 * import { createEngine, rawRsaKeyring } from 'sealift';
 *
 * const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
 * const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
 * // The public key alone seals; who has the private one opens.
 * const keyring = rawRsaKeyring({ namespace: 'lab', name: 'safe', padding: 'oaep-sha256', publicKey: pem });
 * await using engine = createEngine({ keyring });
 * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/raw-rsa.tar' });
 */
export function rawRsaKeyring(options: RawRsaKey): WrappingKeyring {
  const { namespace, name, padding, allowPkcs1 = false } = options;
  checkRawNames({ namespace, name });
  if (!RSA_PADDINGS.includes(padding)) {
    throw badRawKey('padding', `one of ${RSA_PADDINGS.join(', ')}`, JSON.stringify(padding));
  }
  if (padding === 'pkcs1' && !allowPkcs1) {
    throw new SealiftError('bad-option', `The RSA key ${name} is for PKCS#1 v1.5, an unsafe padding`, {
      hint: 'To open an old message with it, give --allow-pkcs1. To seal, use OAEP.',
    });
  }
  return new RawRsaKeyring({ namespace, name }, padding, keyPair(options));
}

interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject | undefined;
}

class RawRsaKeyring implements WrappingKeyring {
  readonly id: string;
  readonly #names: RawKeyNames;
  readonly #padding: RsaPadding;
  readonly #keys: KeyPair;

  constructor(names: RawKeyNames, padding: RsaPadding, keys: KeyPair) {
    const mark = createHash('sha256')
      .update(keys.publicKey.export({ format: 'der', type: 'spki' }))
      .digest('hex');
    this.id = JSON.stringify(['raw-rsa', names.namespace, names.name, padding, mark]);
    this.#names = names;
    this.#padding = padding;
    this.#keys = keys;
  }

  async makeDataKey(request: KeyringRequest): Promise<SealingMaterials> {
    const dataKey = randomDataKey();
    return sealingMaterials(dataKey, await this.wrapDataKey(dataKey, request));
  }

  async wrapDataKey(dataKey: DataKey, { contentAlgorithm }: KeyringRequest): Promise<EncryptedDataKey[]> {
    if (this.#padding === 'pkcs1') {
      throw new SealiftError('bad-option', `The RSA key ${this.#names.name} is for PKCS#1 v1.5, which only opens`, {
        hint: 'Seal with a padding of OAEP: oaep-sha256 suits every reader.',
      });
    }
    const { publicKey } = this.#keys;
    if (contentAlgorithm !== undefined) return [wrapUnderRsa(publicKey, dataKey, contentAlgorithm)];
    const ciphertext = publicEncrypt({ key: publicKey, ...oaep(this.#padding) }, dataKey.bytes);
    return [{ providerId: this.#names.namespace, providerInfo: Buffer.from(this.#names.name), ciphertext }];
  }

  async openDataKey(request: OpenKeyRequest): Promise<DataKey> {
    const { namespace, name } = this.#names;
    const { encryptedDataKeys } = request;
    const reasons: string[] = [];
    for (const wrapped of encryptedDataKeys) {
      const opened = this.#open(wrapped, request);
      if (typeof opened === 'object') return opened;
      if (opened !== undefined) reasons.push(opened);
    }
    throw wrongKey({ encryptedDataKeys, tried: `the raw RSA key ${namespace} / ${name}`, reasons });
  }

  /** The data key, or why there is none; undefined where the copy is for another wrapping key. */
  #open(wrapped: EncryptedDataKey, request: OpenKeyRequest): DataKey | string | undefined {
    const { namespace, name } = this.#names;
    const { contentAlgorithm = '', dataKeySize = DATA_KEY_SIZE, fits = () => true } = request;
    const { privateKey } = this.#keys;
    const isS3ec = isRsaWrapped(wrapped);
    if (!isS3ec && !(wrapped.providerId === namespace && wrapped.providerInfo.equals(Buffer.from(name)))) {
      return undefined;
    }
    if (!privateKey) return 'only its public half is here, which seals';
    if (isS3ec) {
      return (
        unwrapUnderRsa(privateKey, wrapped, contentAlgorithm) ??
        'it was wrapped under another RSA key, or the object was changed'
      );
    }
    const opened = this.#unwrap(privateKey, wrapped.ciphertext, dataKeySize);
    if (typeof opened === 'string' || this.#padding !== 'pkcs1' || fits(opened)) return opened;
    opened[Symbol.dispose]();
    return NOT_OPENED;
  }

  /** The data key, or why there is none. */
  #unwrap(privateKey: KeyObject, ciphertext: Buffer, size: number): DataKey | string {
    let plain: Buffer;
    try {
      plain =
        this.#padding === 'pkcs1'
          ? unpadPkcs1(privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, ciphertext), size)
          : privateDecrypt({ key: privateKey, ...oaep(this.#padding) }, ciphertext);
    } catch {
      return NOT_OPENED;
    }
    try {
      return plain.length === size ? copyDataKey(plain) : `it holds ${plain.length} bytes instead of ${size}`;
    } finally {
      plain.fill(0);
    }
  }
}

function oaep(padding: Exclude<RsaPadding, 'pkcs1'>) {
  return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: padding.slice('oaep-'.length) };
}

function keyPair({ privateKey, publicKey }: RawRsaKey): KeyPair {
  if (privateKey === undefined && publicKey === undefined) {
    throw badRawKey('privateKey or publicKey', 'a key in PEM', 'left out');
  }
  try {
    const secret = privateKey === undefined ? undefined : createPrivateKey(privateKey);
    const open = createPublicKey(secret ?? publicKey!);
    if (open.asymmetricKeyType !== 'rsa') throw new TypeError(`it is a key for ${open.asymmetricKeyType}`);
    return { privateKey: secret, publicKey: open };
  } catch (cause) {
    // The message of OpenSSL names no bytes of the key, but says nothing to people either.
    const member = privateKey === undefined ? 'publicKey' : 'privateKey';
    throw new SealiftError('bad-option', `The raw key's ${member} must be an RSA key in PEM`, {
      hint: 'Make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072.',
      cause,
    });
  }
}
