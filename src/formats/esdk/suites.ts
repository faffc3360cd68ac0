/**
 * The algorithm suites of the ESDK. A message names its suite by id, and everything that differs between messages
 * follows from this table: the size of the key, how it is derived, whether the header commits to it, and whether a
 * signature stands at the message's end. All seal with AES-GCM.
 */
import { SealiftError } from '../../errors.ts';

export interface Suite {
  id: number;
  /** As the specification spells it. */
  name: string;
  messageVersion: 1 | 2;
  messageIdSize: 16 | 32;
  /** Bytes of the data key, and of the key that seals header and frames. */
  keySize: 16 | 24 | 32;
  /** Hash of the key derivation. Undefined where the data key itself seals: such a key must serve one message alone. */
  derivation?: 'sha256' | 'sha384' | 'sha512';
  /** Bytes of the commitment in the header; 0 where the header does not commit to its key. */
  commitmentSize: 0 | 32;
  signature?: SignatureScheme;
}

export interface SignatureScheme {
  curve: 'prime256v1' | 'secp384r1';
  hash: 'sha256' | 'sha384';
}

const P256: SignatureScheme = { curve: 'prime256v1', hash: 'sha256' };
/** Of the messages we sign. */
export const P384: SignatureScheme = { curve: 'secp384r1', hash: 'sha384' };

const OLD = { messageVersion: 1, messageIdSize: 16, commitmentSize: 0 } as const;
const COMMITTING = {
  messageVersion: 2,
  messageIdSize: 32,
  keySize: 32,
  derivation: 'sha512',
  commitmentSize: 32,
} as const;

/** A key derived for the message, which the header commits to; no signature. What we write unless asked to sign. */
export const COMMITTING_SUITE: Suite = { id: 0x0478, name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY', ...COMMITTING };

/** The same with a signature behind the last frame. What we write when asked to sign. */
export const SIGNING_SUITE: Suite = {
  id: 0x0578,
  name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384',
  ...COMMITTING,
  signature: P384,
};

const SUITES: readonly Suite[] = [
  { id: 0x0014, name: 'AES_128_GCM_IV12_TAG16_NO_KDF', ...OLD, keySize: 16 },
  { id: 0x0046, name: 'AES_192_GCM_IV12_TAG16_NO_KDF', ...OLD, keySize: 24 },
  { id: 0x0078, name: 'AES_256_GCM_IV12_TAG16_NO_KDF', ...OLD, keySize: 32 },
  { id: 0x0114, name: 'AES_128_GCM_IV12_TAG16_HKDF_SHA256', ...OLD, keySize: 16, derivation: 'sha256' },
  { id: 0x0146, name: 'AES_192_GCM_IV12_TAG16_HKDF_SHA256', ...OLD, keySize: 24, derivation: 'sha256' },
  { id: 0x0178, name: 'AES_256_GCM_IV12_TAG16_HKDF_SHA256', ...OLD, keySize: 32, derivation: 'sha256' },
  {
    id: 0x0214,
    name: 'AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256',
    ...OLD,
    keySize: 16,
    derivation: 'sha256',
    signature: P256,
  },
  {
    id: 0x0346,
    name: 'AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384',
    ...OLD,
    keySize: 24,
    derivation: 'sha384',
    signature: P384,
  },
  {
    id: 0x0378,
    name: 'AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384',
    ...OLD,
    keySize: 32,
    derivation: 'sha384',
    signature: P384,
  },
  COMMITTING_SUITE,
  SIGNING_SUITE,
];

/** The suite a header names. Throws `bad-header` where no suite has this id in this message version. */
export function suiteOf({ id, messageVersion }: { id: number; messageVersion: number }): Suite {
  const suite = SUITES.find((row) => row.id === id && row.messageVersion === messageVersion);
  if (suite) return suite;
  const hex = `0x${id.toString(16).padStart(4, '0')}`;
  throw new SealiftError('bad-header', `No algorithm suite of message version ${messageVersion} has the id ${hex}`, {
    hint: 'The object is damaged, or it is not an AWS Encryption SDK message. Fetch another version or another copy of it.',
  });
}

/** The suite's id as the two bytes that headers and key derivations hold. */
export function suiteIdBytes({ id }: Suite): Buffer {
  return Buffer.from([id >> 8, id & 0xff]);
}
