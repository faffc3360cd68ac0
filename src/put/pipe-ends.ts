/** How a pipe ends before it is an object. */
import { setImmediate as turn } from 'node:timers/promises';
import { SealiftError } from '../errors.ts';
import type { Cut } from '../formats/message.ts';
import type { PutRun } from '../put.ts';
import { formatSize } from '../units.ts';

export const AGAIN = 'A pipe cannot be gone on with: run the whole command again.';

/**
 * Ctrl-C reaches the producer too, and its death looks like an end. A turn of the event loop lets a signal be heard that
 * came with it.
 */
export async function checkNotStopped(run: PutRun): Promise<void> {
  await turn();
  if (run.request.signal?.aborted) throw interrupted(run);
}

export function interrupted({ place }: PutRun): SealiftError {
  return new SealiftError('pipe-interrupted', `Interrupted: ${place.url} was not completed`, {
    hint: AGAIN,
  });
}

export function tooLong({ layout: { plainSize } }: Cut): SealiftError {
  return new SealiftError('pipe-too-long', `The pipe has more than ${formatSize(plainSize)}: it was not completed`, {
    hint: 'Give --expected-size to begin with larger parts, and more --max-memory for parts that are larger still.',
  });
}
