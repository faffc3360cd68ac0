/** How work on keys ends when its caller has had enough. */
import { SealiftError } from '../errors.ts';

/** What work rejects with once its signal has aborted: the signal's own reason where that is one of our errors. */
export function interrupted(signal: AbortSignal, what: string): SealiftError {
  if (signal.reason instanceof SealiftError) return signal.reason;
  return new SealiftError('interrupted', `${what}: interrupted`, { cause: signal.reason });
}
