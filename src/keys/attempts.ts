/**
 * Several wrapping keys may open a data key, and each may fail for a reason of its own. They are tried in turn; where
 * none does it, the reason most worth telling is told.
 */
import { SealiftError } from '../errors.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import type { DataKey } from './keyring.ts';
import { wrongKey } from './wrong-key.ts';

/** Not for another key to mend: the user stopped us, or answers cannot be trusted. */
const ENDS_IT = new Set(['interrupted', 'kms-answer-mismatch', 'internal']);

/** Failures that say nothing about the key: they may pass, and must not be told as "wrong key". */
const MAY_PASS = new Set(['kms-throttled', 'kms-unavailable', 'credentials-expired', 'credentials-missing']);

/** Resolves to the first data key that an attempt opens. `tried` names the keys that the attempts were made with. */
export async function firstToOpen(
  attempts: readonly (() => Promise<DataKey>)[],
  { encryptedDataKeys, tried }: { encryptedDataKeys: readonly EncryptedDataKey[]; tried: string },
): Promise<DataKey> {
  const failures: SealiftError[] = [];
  for (const attempt of attempts) {
    try {
      return await attempt();
    } catch (error) {
      const failure = SealiftError.from(error);
      if (ENDS_IT.has(failure.code)) throw failure;
      failures.push(failure);
    }
  }
  const reasons = failures.map((failure) => failure.message);
  if (failures.every((failure) => failure.code === 'wrong-key')) {
    throw wrongKey({ encryptedDataKeys, tried, reasons, cause: failures[0] });
  }
  throw worthTelling(failures, reasons);
}

/** Of several attempts' failures the one that may pass, else the first that is more than "wrong key", with all reasons. */
function worthTelling(failures: readonly SealiftError[], reasons: readonly string[]): SealiftError {
  const telling =
    failures.find((failure) => MAY_PASS.has(failure.code)) ?? failures.find((failure) => failure.code !== 'wrong-key')!;
  if (failures.length === 1) return telling;
  const { code, hint, requestId } = telling;
  return new SealiftError(code, reasons.join('; '), { hint, cause: telling, requestId });
}
