/**
 * Whether the wrapping key may still be used. One data key seals a hundred thousand objects, and for an hour KMS might
 * not be asked at all: a key that was disabled, or denied to us, would be used all that time. So KMS is asked now and then
 * for a data key that nobody uses. What it has against the key pauses the job.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, SealiftError } from '../errors.ts';
import type { MigrateRun } from '../migrate.ts';

/** Small migrations are over by then, and of one of a hundred thousand objects these are half a dozen calls. */
const FIRST_MS = 12_000;
const LONGEST_MS = 300_000;

/** What passes by itself is none of it: whoever needs a data key meets that. */
const AGAINST_KEY: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'kms-key-not-found',
  'kms-key-disabled',
  'kms-access-denied',
]);

type Watched = Pick<MigrateRun, 'tools' | 'format' | 'pause' | 'progress'>;

/** Asks whenever the job has lasted twice as long, until it is `through`, or where keys are made without a service. */
export async function watchKey(run: Watched, through: AbortSignal, firstMs = FIRST_MS): Promise<void> {
  const ended = AbortSignal.any([through, run.pause.signal]);
  for (let lastedMs = firstMs, waitMs = firstMs; ; lastedMs += waitMs) {
    await sleep(waitMs, undefined, { signal: ended, ref: false }).catch(() => undefined);
    if (ended.aborted || !(await isService(run, ended))) return;
    waitMs = Math.min(lastedMs, LONGEST_MS);
  }
}

/** Asks once. False where a key is made without a service: such a one cannot be taken away. */
async function isService({ tools, format, pause, progress }: Watched, signal: AbortSignal): Promise<boolean> {
  let isAsked = false;
  const onCall = (requestId?: string) => {
    isAsked = true;
    progress.countKmsCall(requestId);
  };
  try {
    using _unused = await tools.keyring.makeDataKey({ ...format.keyNeeds!, cacheable: false, signal, onCall });
  } catch (thrown) {
    const error = SealiftError.from(thrown);
    if (AGAINST_KEY.has(error.code)) pause.because(error);
    return true;
  }
  return isAsked;
}
