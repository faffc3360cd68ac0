/**
 * A part's plain bytes out of a sealed object: fetched by range and verified, on the thread that seals them again, frame by
 * frame, or, where only the whole object proves itself, by the digest they had when it did. A lane holds both, and took its
 * one ticket for both: no two lanes wait for what the other has.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import type { Cut, PartSealer } from '../formats/message.ts';
import { gridOf, unitsCovering } from '../formats/units.ts';
import type { Store } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { openPart } from './open-part.ts';
import { STANDING } from './stopwatch.ts';
import type { SealedSource } from './task.ts';

/** How an object is reached, by whoever opens it. */
export interface ObjectAccess {
  store: Store;
  objectKey: string;
  buffers: BufferPool;
  /** Aborts when nobody waits any longer. */
  cut: AbortSignal | undefined;
}

/** Plain bytes that may be held to give `wanted` of them: units are opened whole. */
export function openedSizeOf(cut: Cut, wanted: number): number {
  const { plainSize, unitSize } = gridOf(cut);
  return Math.min(plainSize, wanted + 2 * unitSize);
}

/**
 * Gives the sealer the bytes it takes, once all of them are verified. Throws `object-changed` where the object is another
 * by now, whatever the store says of it, and what opening throws.
 */
export async function openInto(
  sealer: Pick<PartSealer, 'range' | 'push'>,
  { object, message, digest, customerKey }: SealedSource,
  { store, objectKey, buffers, cut }: ObjectAccess,
): Promise<void> {
  const { etag, versionId } = object;
  const { plainOffset, plainSize } = sealer.range;
  const range = { first: plainOffset, last: plainOffset + plainSize - 1 };
  const units = { message, objectKey, etag, versionId, ...unitsCovering(message, range), range };
  const show = async (plain: Uint8Array) => {
    if (digest && !timingSafeEqual(digestOf(plain), digest)) throw notAsProven(object.url);
    sealer.push(plain);
  };
  const from = store.withCustomerKey(customerKey);
  await openPart({ ...units, target: { shown: true } }, from, buffers, {
    show,
    isElsewhere: false,
    cut,
    watch: STANDING,
  });
}

/** Collision-resistant, unlike a tag: who has the key of a signed message could make other frames with the same tags. */
function digestOf(plain: Uint8Array): Buffer {
  return createHash('sha256').update(plain).digest();
}

function notAsProven(url: string): SealiftError {
  return new SealiftError('object-changed', `${url}, read a second time, is not what proved itself the first time`, {
    hint: 'Nothing was changed. The store gave other bytes under the same ETag: look into that before you run the command again.',
  });
}
