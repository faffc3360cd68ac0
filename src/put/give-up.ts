/**
 * An attempt given up: what the store holds of it is freed. An upload that cannot be aborted is told by its id, and is
 * `lost`: the job's ledger keeps it, whatever attempts follow, and whoever gives the job up tries again.
 */
import { SealiftError } from '../errors.ts';
import type { Place } from '../job.ts';
import type { AttemptRow, Ledger } from '../ledger/ledger.ts';
import { putBackInstructions } from './instructions.ts';

export interface GivingUp {
  ledger: Ledger;
  /** Asked for only where there is something to free. */
  place: () => Promise<Place>;
  warn: (message: string) => void;
}

/** S3 refuses requests from clocks that differ by more. */
const MAX_CLOCK_SKEW_MS = 15 * 60 * 1000;

/**
 * Gives the current attempt up, if there is one, and tries again with those lost before it. Resolves to whether the
 * store is known to hold nothing of any.
 */
export async function giveUpAttempt(giving: GivingUp): Promise<boolean> {
  const { ledger } = giving;
  const areFreed = await freeLostUploads(giving);
  const attempt = ledger.attempt();
  if (!attempt || attempt.state === 'aborted' || attempt.state === 'lost') return areFreed;
  const isFreed = await free(attempt, giving);
  ledger.setState(isFreed ? 'aborted' : 'lost');
  return isFreed && areFreed;
}

/** Tries again with what could not be aborted. Resolves to whether none of it is left. */
export async function freeLostUploads(giving: GivingUp): Promise<boolean> {
  const { ledger } = giving;
  for (const attempt of ledger.lostAttempts()) {
    if (await free(attempt, giving)) ledger.setAborted(attempt.number);
  }
  return ledger.lostAttempts().length === 0;
}

async function free(attempt: AttemptRow, giving: GivingUp): Promise<boolean> {
  const { single, uploadId, instructions } = attempt;
  if (single && instructions === undefined) return true;
  const place = await giving.place();
  const isAborted = single || (await freeUpload(uploadId, place, giving));
  // With no upload left nothing can make the object any more.
  return (await putBackInstructions(place, attempt, giving.warn)) && isAborted;
}

async function freeUpload(
  uploadId: string | undefined,
  { store, key, url }: Place,
  { ledger, warn }: Pick<GivingUp, 'ledger' | 'warn'>,
): Promise<boolean> {
  try {
    if (uploadId !== undefined) await store.abortUpload(key, uploadId);
    else await tellStrays({ store, key, url }, ledger.job.createdMs, { warn });
    return true;
  } catch (error) {
    const { code, message } = SealiftError.from(error);
    // Uploads go with their bucket. A directory may only be on a disk that is not mounted.
    if (code === 'bucket-not-found' && !isInDirectory(url)) return true;
    warn(
      uploadId === undefined
        ? cannotLook(url, message)
        : `Upload ${uploadId} of ${url} could not be aborted: ${message}`,
    );
    return false;
  }
}

/** An upload was asked for more than once: one that nobody heard of may be there beside `ours`. */
export async function tellSecondUpload(
  place: Place,
  { sinceMs, ours, warn }: { sinceMs: number; ours: string; warn: (message: string) => void },
): Promise<void> {
  try {
    await tellStrays(place, sinceMs, { warn, ours });
  } catch (error) {
    warn(cannotLook(place.url, SealiftError.from(error).message));
  }
}

function cannotLook(url: string, why: string): string {
  return `An upload of ${url} may be left behind, and could not be looked for: ${why}`;
}

/**
 * An upload was asked for, and its id never came: it may be there all the same. Uploads do not tell whose they are, so
 * those that may be ours are named, and left alone.
 */
async function tellStrays(
  { store, key, url }: Pick<Place, 'store' | 'key' | 'url'>,
  sinceMs: number,
  { warn, ours }: { warn: (message: string) => void; ours?: string | undefined },
): Promise<void> {
  for await (const { uploadId, initiated } of store.listUploads(key)) {
    if (uploadId === ours || initiated.getTime() < sinceMs - MAX_CLOCK_SKEW_MS) continue;
    const remedy = isInDirectory(url)
      ? `remove it (rm -r, the hidden folder .${key}.sealift-${uploadId})`
      : 'abort it (aws s3api abort-multipart-upload)';
    warn(
      `Upload ${uploadId} of ${url}, begun ${initiated.toISOString()}, may be ours: unless another program is writing there, ${remedy}`,
    );
  }
}

function isInDirectory(url: string): boolean {
  return url.startsWith('file:');
}
