/**
 * An attempt given up: what the store holds of it is freed. An upload is forgotten only once it is gone; one that
 * cannot be aborted is told by its id, and the ledger keeps it, so that `cancel` can try again.
 */
import { SealiftError } from '../errors.ts';
import type { Place } from '../job.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { AttemptRow } from '../ledger/types.ts';

export interface GivingUp {
  ledger: Ledger;
  /** Asked for only where there is something to free. */
  place: () => Promise<Place>;
  warn: (message: string) => void;
}

/** S3 refuses requests from clocks that differ by more. */
const MAX_CLOCK_SKEW_MS = 15 * 60 * 1000;

/** Gives the current attempt up, if there is one. Resolves to whether the store is known to hold nothing of it. */
export async function giveUpAttempt({ ledger, place, warn }: GivingUp): Promise<boolean> {
  const attempt = ledger.attempt();
  if (!attempt || attempt.state === 'aborted') return true;
  const isFreed = attempt.single || (await freeUpload(attempt, await place(), { ledger, warn }));
  ledger.setState(isFreed ? 'aborted' : 'lost');
  return isFreed;
}

async function freeUpload(
  { uploadId }: AttemptRow,
  { store, key, url }: Place,
  { ledger, warn }: Pick<GivingUp, 'ledger' | 'warn'>,
): Promise<boolean> {
  try {
    if (uploadId !== undefined) await store.abortUpload(key, uploadId);
    else await tellStrays({ store, key, url }, ledger.job.createdMs, warn);
    return true;
  } catch (error) {
    const { code, message } = SealiftError.from(error);
    // Uploads go with their bucket.
    if (code === 'bucket-not-found') return true;
    warn(
      uploadId === undefined
        ? `An upload of ${url} may be left behind, and could not be looked for: ${message}`
        : `Upload ${uploadId} of ${url} could not be aborted: ${message}`,
    );
    return false;
  }
}

/**
 * An upload was asked for, and its id never came: it may be there all the same. Uploads do not tell whose they are, so
 * those that may be ours are named, and left alone.
 */
async function tellStrays(
  { store, key, url }: Pick<Place, 'store' | 'key' | 'url'>,
  sinceMs: number,
  warn: (message: string) => void,
): Promise<void> {
  for await (const { uploadId, initiated } of store.listUploads(key)) {
    if (initiated.getTime() < sinceMs - MAX_CLOCK_SKEW_MS) continue;
    warn(
      `Upload ${uploadId} of ${url}, begun ${initiated.toISOString()}, may be ours: unless another program is writing there, abort it (aws s3api abort-multipart-upload)`,
    );
  }
}
