/**
 * No wrapping key at hand opens the data key of an object: says which keys would, and why each attempt failed.
 */
import { SealiftError } from '../errors.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { PROVIDER_ID as S3EC_PROVIDER_ID } from '../formats/s3ec/wrapping.ts';
import { keyNameOf } from './raw-aes-info.ts';

export function wrongKey(options: {
  encryptedDataKeys: readonly EncryptedDataKey[];
  /** What was tried with, for example "the raw AES key lab/2026". */
  tried: string;
  /** Why each attempt failed; empty where no wrapped copy was for this key. */
  reasons?: readonly string[];
  cause?: SealiftError | undefined;
}): SealiftError {
  const { encryptedDataKeys, tried, reasons = [], cause } = options;
  const why = reasons.length === 0 ? 'it is sealed under others' : reasons.join('; ');
  const names = encryptedDataKeys.map(nameOf).join(', ');
  return new SealiftError('wrong-key', `The data key does not open with ${tried}: ${why}`, {
    hint: `The object can be opened with: ${names}. Give that key with --kms-key or --raw-key.`,
    cause,
    requestId: cause?.requestId,
  });
}

/** What a wrapped copy says about its wrapping key. The message says it, so what is not plain text is not printed. */
function nameOf(wrapped: EncryptedDataKey): string {
  const name = keyNameOf(wrapped);
  if (wrapped.providerId === S3EC_PROVIDER_ID) return `the key that wrapped it by ${name}, which it does not name`;
  return (wrapped.providerId === 'aws-kms' ? name : `${wrapped.providerId} / ${name}`).replace(/[^\x20-\x7e]/g, '?');
}
