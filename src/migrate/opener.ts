/**
 * What opens a migration's sealed objects. An object says itself under which key it is sealed, and whoever wrote it chose
 * that. So what KMS has against the key is a failure of this object, and pauses nothing: one under a key that is not ours
 * would keep millions from being moved.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';

/** KMS's words about a key, or about what was wrapped with it. */
const OF_ITS_KEY: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'no-key',
  'kms-key-not-found',
  'kms-key-disabled',
  'kms-access-denied',
  'kms-error',
]);

/** Throws `wrong-key` where an object's own key cannot be used, with the reason in its message. */
export function openerOfMany(keyring: Keyring): Keyring {
  return {
    id: keyring.id,
    makeDataKey: (request) => keyring.makeDataKey(request),
    openDataKey: (request) => keyring.openDataKey(request).catch((thrown) => Promise.reject(itsOwn(thrown))),
  };
}

function itsOwn(thrown: unknown): SealiftError {
  const error = SealiftError.from(thrown);
  if (!OF_ITS_KEY.has(error.code)) return error;
  const { message, hint, requestId } = error;
  return new SealiftError('wrong-key', message, { hint, cause: error, requestId });
}
