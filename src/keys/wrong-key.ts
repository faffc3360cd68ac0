/**
 * No wrapping key at hand opens the data key of an object: says which keys would, and why each attempt failed.
 */
import { SealiftError } from '../errors.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';

export function wrongKey(options: {
  encryptedDataKeys: readonly EncryptedDataKey[];
  /** What was tried with, for example "the raw AES key lab/2026". */
  tried: string;
  /** Why each attempt failed; empty where no wrapped copy was for this key. */
  reasons?: readonly string[];
  cause?: unknown;
}): SealiftError {
  const { encryptedDataKeys, tried, reasons = [], cause } = options;
  const why = reasons.length === 0 ? 'it is sealed under others' : reasons.join('; ');
  const names = encryptedDataKeys.map(nameOf).join(', ');
  return new SealiftError('wrong-key', `The data key does not open with ${tried}: ${why}`, {
    hint: `The object can be opened with: ${names}. Give that key with --kms-key or --raw-key.`,
    cause,
  });
}

/** A raw AES keyring puts these sizes, and 12 bytes of IV, behind its key's name. */
const RAW_AES_SIZES = Buffer.from('000000800000000c', 'hex');
const RAW_AES_SUFFIX_SIZE = RAW_AES_SIZES.length + 12;

/** What a wrapped copy says about its wrapping key. The message says it, so what is not plain text is not printed. */
function nameOf({ providerId, providerInfo }: EncryptedDataKey): string {
  const suffix = providerInfo.subarray(-RAW_AES_SUFFIX_SIZE);
  const isRawAes = suffix.subarray(0, RAW_AES_SIZES.length).equals(RAW_AES_SIZES);
  const info = isRawAes ? providerInfo.subarray(0, -RAW_AES_SUFFIX_SIZE) : providerInfo;
  const name = providerId === 'aws-kms' ? info.toString() : `${providerId} / ${info.toString()}`;
  return name.replace(/[^\x20-\x7e]/g, '?');
}
