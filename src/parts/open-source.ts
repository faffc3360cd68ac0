/**
 * A part's plain bytes out of a sealed object: fetched by range and verified frame by frame, on the thread that seals them
 * again. A lane holds both, and took its one ticket for both: no two lanes wait for what the other has.
 */
import type { Layout } from '../formats/esdk/layout.ts';
import type { PartSealer } from '../formats/message.ts';
import { unitsCovering } from '../formats/units.ts';
import type { Store } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { openPart } from './open-part.ts';
import type { SealedSource } from './task.ts';

/** How an object is reached, by whoever opens it. */
export interface ObjectAccess {
  store: Store;
  objectKey: string;
  buffers: BufferPool;
  /** Aborts when nobody waits any longer. */
  cut: AbortSignal | undefined;
}

/** Plain bytes that may be held to give `wanted` of them: frames are opened whole. */
export function openedSizeOf({ frameSize, plainSize }: Layout, wanted: number): number {
  return Math.min(plainSize, wanted + 2 * frameSize);
}

/**
 * Gives the sealer the bytes it takes, once all of them are verified. Throws `object-changed` where the object is another
 * by now, and what opening throws.
 */
export async function openInto(
  sealer: Pick<PartSealer, 'range' | 'push'>,
  { object, message }: SealedSource,
  { store, objectKey, buffers, cut }: ObjectAccess,
): Promise<void> {
  const { etag, versionId } = object;
  const { plainOffset, plainSize } = sealer.range;
  const range = { first: plainOffset, last: plainOffset + plainSize - 1 };
  const units = { message, objectKey, etag, versionId, ...unitsCovering(message, range), range };
  const show = async (plain: Uint8Array) => sealer.push(plain);
  await openPart({ ...units, target: { shown: true } }, store, buffers, { show, isElsewhere: false, cut });
}
