/**
 * A write and its witnesses: nothing is called done that the store has not confirmed. The write's own answer is the
 * first witness, HEAD of the version it names the second. Where the answer is lost or is an error, HEAD decides alone,
 * by the random id that every object of ours carries. Servers differ in what they guard (README, "Servers that speak S3"):
 * what one is seen to lack is told.
 */
import { isDenied, SealiftError } from '../errors.ts';
import { isOurs, otherChecksum, targetChanged, targetExists, type Written } from '../parts/written.ts';
import type { PutRun } from '../put.ts';
import { checkEncrypted, type ServerEncryption } from '../stores/encryption.ts';
import type { CallOptions, ObjectInfo, WriteAnswer, WriteCondition } from '../stores/store.ts';
import { withGrace } from './grace.ts';
import { lookAtTarget } from './look.ts';
import { StartOver } from './start-over.ts';

/** The object as it must be once it is written, and what must hold before. */
export interface Expected extends Written {
  condition: WriteCondition;
  /** How the server was asked to encrypt it. */
  sse: ServerEncryption | undefined;
}

/**
 * Makes the write and hears both witnesses. What they cannot tell becomes a warning. Throws StartOver where the upload
 * is gone and nothing of ours is there; after `interrupted` only a later HEAD can tell.
 */
export function confirmWrite(
  run: PutRun,
  expected: Expected,
  write: (options: CallOptions) => Promise<WriteAnswer>,
): Promise<WriteAnswer> {
  return withGrace(run.request.signal, async (signal) => {
    let answer: WriteAnswer;
    try {
      answer = await write({ signal });
    } catch (error) {
      return await decideByHead(run, expected, error, { signal });
    }
    if (answer.crc32 !== undefined && answer.crc32 !== expected.crc32) throw otherChecksum(run.place.url);
    const there = await lookAgain(run, expected, answer, { signal });
    const crc32 = there?.crc32 ?? answer.crc32;
    if (crc32 === undefined) warnOfNoChecksum(run);
    const sse = there?.sse ?? answer.sse;
    if (there ?? sse) checkEncrypted(run.place.url, { asked: expected.sse, told: sse });
    else if (expected.sse) warnOfNoEncryption(run);
    // Ceph 16 answers Complete with an empty ETag.
    return { ...answer, etag: answer.etag || (there?.etag ?? ''), crc32, sse };
  });
}

/**
 * The target once more before an upload is completed, which may have taken days: some servers complete it whatever the
 * condition. Throws `target-exists`, `target-changed`. Who may only write gets no answer to HEAD, not even for an object
 * that does not exist, and trusts the condition.
 */
export async function lookBeforeComplete({ place, request }: PutRun, expected: Expected): Promise<void> {
  let there: ObjectInfo | undefined;
  try {
    there = await lookAtTarget(place, { signal: request.signal });
  } catch (error) {
    if (!isDenied(error)) throw error;
    return;
  }
  if (there && isOurs(there, expected)) return;
  const { condition } = expected;
  if ('ifMatch' in condition) {
    if (there?.etag !== condition.ifMatch) throw targetChanged(place.url);
  } else if (there) throw targetExists(place.url);
}

/** Our object, where it is there: a write had its effect and the answer was lost. */
export async function findOurs(
  run: PutRun,
  expected: Expected,
  options: CallOptions,
): Promise<WriteAnswer | undefined> {
  const there = await lookAtTarget(run.place, options);
  return there && isOurs(there, expected) ? answerOf(run, expected, there) : undefined;
}

function answerOf(run: PutRun, expected: Expected, { etag, versionId, crc32, sse }: ObjectInfo): WriteAnswer {
  if (crc32 === undefined) warnOfNoChecksum(run);
  checkEncrypted(run.place.url, { asked: expected.sse, told: sse });
  return { etag, versionId, crc32, sse };
}

/** After a failed or lost write: our object where it is there after all, else what the user should hear, or StartOver. */
async function decideByHead(
  run: PutRun,
  expected: Expected,
  error: unknown,
  options: CallOptions,
): Promise<WriteAnswer> {
  let there: ObjectInfo | undefined;
  try {
    there = await lookAtTarget(run.place, options);
  } catch (headError) {
    // HEAD cannot tell either. The job stays, and a resume asks again.
    if (!mayBeOurs(error)) throw error;
    throw isDenied(headError) ? perhapsOurs(run, headError) : headError;
  }
  if (there && isOurs(there, expected)) return answerOf(run, expected, there);
  const { code } = SealiftError.from(error);
  const { condition } = expected;
  if (code === 'target-changed' && 'ifMatch' in condition && there?.etag === condition.ifMatch) {
    throw noIfMatch(run, error);
  }
  if (code === 'target-exists') throw targetExists(run.place.url);
  if (code === 'upload-lost') throw new StartOver('The upload is gone and there is no object of ours', error);
  throw error;
}

/** A write that was tried again may have met its own first try: the object there, or the upload completed. */
function mayBeOurs(error: unknown): boolean {
  const { code, cause } = SealiftError.from(error);
  const { attempts = 1 } = (cause ?? {}) as { attempts?: number };
  return attempts > 1 && (code === 'target-exists' || code === 'target-changed' || code === 'upload-lost');
}

function perhapsOurs({ place }: PutRun, cause: unknown): SealiftError {
  return new SealiftError(
    'access-denied',
    `Something is at ${place.url}, perhaps what was just written: HEAD is denied`,
    {
      hint: 'Look at it with an identity that may (s3:GetObject), or give --overwrite to replace it.',
      cause,
    },
  );
}

/** The second witness: HEAD of the written version must show our id, size and checksum. Undefined where it is denied. */
async function lookAgain(
  { place, progress }: PutRun,
  expected: Expected,
  { versionId }: WriteAnswer,
  options: CallOptions,
): Promise<ObjectInfo | undefined> {
  let there: ObjectInfo | undefined;
  try {
    there = await place.store.head(place.key, { ...options, versionId });
  } catch (error) {
    if (!isDenied(error)) throw error;
    progress.warn(`${place.url} is written, but HEAD is denied: it was not looked at again`);
    return undefined;
  }
  if (there && isOurs(there, expected)) return there;
  throw new SealiftError('checksum-mismatch', `${place.url} is not what was just written`, {
    hint: 'Somebody may have replaced it meanwhile. Look at it with `sealift inspect`, and run again with --overwrite.',
  });
}

/** Ceph 16 compares If-Match with its own ETag, quotes and all. */
function noIfMatch({ place }: PutRun, cause: unknown): SealiftError {
  return new SealiftError('store-error', `${place.url} is unchanged, but the server refuses If-Match of its own ETag`, {
    hint: 'It cannot replace an object safely. Delete the object, or choose another name.',
    cause,
  });
}

function warnOfNoChecksum({ place, progress }: PutRun): void {
  progress.warn(
    `${place.url} is written, but the server confirmed no checksum. README's "Servers that speak S3" tells what else such a server may lack`,
  );
}

/** S3's answer to Complete tells nothing of a customer's key; its answer to Create has told, before a part was sent. */
function warnOfNoEncryption({ place, progress }: PutRun): void {
  progress.warn(`${place.url} is written, but nothing told at its end how it is encrypted at rest`);
}
