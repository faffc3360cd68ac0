/**
 * The algorithm suites of the ESDK. A message names its suite by id; this table says what the ids mean and which of
 * them Sealift reads, so that a message it cannot open is refused by name and not as rubbish.
 */
import { SealiftError } from '../../errors.ts';

export interface Suite {
  id: number;
  /** As the specification spells it. */
  name: string;
  messageVersion: 1 | 2;
  supported: boolean;
}

/** AES-256-GCM under a key derived for the message, which the header commits to; no signature. All we write. */
export const COMMITTING_SUITE_ID = 0x0478;

const SUITES: readonly Suite[] = [
  { id: 0x0014, name: 'AES_128_GCM_IV12_TAG16_NO_KDF', messageVersion: 1, supported: false },
  { id: 0x0046, name: 'AES_192_GCM_IV12_TAG16_NO_KDF', messageVersion: 1, supported: false },
  { id: 0x0078, name: 'AES_256_GCM_IV12_TAG16_NO_KDF', messageVersion: 1, supported: false },
  { id: 0x0114, name: 'AES_128_GCM_IV12_TAG16_HKDF_SHA256', messageVersion: 1, supported: false },
  { id: 0x0146, name: 'AES_192_GCM_IV12_TAG16_HKDF_SHA256', messageVersion: 1, supported: false },
  { id: 0x0178, name: 'AES_256_GCM_IV12_TAG16_HKDF_SHA256', messageVersion: 1, supported: false },
  { id: 0x0214, name: 'AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256', messageVersion: 1, supported: false },
  { id: 0x0346, name: 'AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384', messageVersion: 1, supported: false },
  { id: 0x0378, name: 'AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384', messageVersion: 1, supported: false },
  { id: COMMITTING_SUITE_ID, name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY', messageVersion: 2, supported: true },
  { id: 0x0578, name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384', messageVersion: 2, supported: false },
];

/**
 * The suite a header names. Throws `bad-header` where no suite has this id in this message version, and
 * `unsupported-message` where Sealift cannot open it yet.
 */
export function suiteOf({ id, messageVersion }: { id: number; messageVersion: number }): Suite {
  const hex = `0x${id.toString(16).padStart(4, '0')}`;
  const suite = SUITES.find((row) => row.id === id && row.messageVersion === messageVersion);
  if (!suite) {
    throw new SealiftError('bad-header', `No algorithm suite of message version ${messageVersion} has the id ${hex}`, {
      hint: 'The object is damaged, or it is not an AWS Encryption SDK message. Fetch another version or another copy of it.',
    });
  }
  if (!suite.supported) {
    throw new SealiftError(
      'unsupported-message',
      `The message uses suite ${hex} ${suite.name}, which is not supported`,
      {
        hint: 'Open it with an AWS Encryption SDK.',
      },
    );
  }
  return suite;
}
