/**
 * A part's plain bytes out of an object, fetched by range on the thread that seals them. Those of a sealed one are verified
 * first, frame by frame, or, where only the whole object proves itself, by the digest they had when it did. A lane holds both,
 * and took its one ticket for both: no two lanes wait for what the other has. Plain ones are sealed as they come.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { SealiftError } from '../errors.ts';
import type { Cut, Message, PartSealer, PlainRange } from '../formats/message.ts';
import { gridOf, unitsCovering } from '../formats/units.ts';
import type { PartStore } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { openPart } from './open-part.ts';
import { readOn } from './read-on.ts';
import type { Stopwatch } from './stopwatch.ts';
import type { ObjectPart } from './task.ts';

/** How an object is reached, by whoever opens it. */
export interface ObjectAccess {
  /** Its own, not the new one's. */
  store: PartStore;
  buffers: BufferPool;
  watch: Stopwatch;
  /** Aborts when nobody waits any longer. */
  cut: AbortSignal | undefined;
}

/** Plain bytes that may be held to give `wanted` of them: units are opened whole. */
export function openedSizeOf(cut: Cut, wanted: number): number {
  const { plainSize, unitSize } = gridOf(cut);
  return Math.min(plainSize, wanted + 2 * unitSize);
}

/**
 * Gives the sealer the bytes it takes. Throws `object-changed` where the object is another by now, whatever the store says of
 * it, and what opening throws. Resolves to the CRC32 of the first `ownSize` of them, where there is one to compare with.
 */
export async function openInto(
  sealer: Pick<PartSealer, 'range' | 'push'>,
  source: ObjectPart,
  { ownSize, ...access }: ObjectAccess & { ownSize: number },
): Promise<number | undefined> {
  const { message } = source;
  if (!message) return await fetchInto(sealer, source, { ownSize, ...access });
  await openVerified(sealer, { ...source, message }, access);
  return undefined;
}

async function openVerified(
  sealer: Pick<PartSealer, 'range' | 'push'>,
  { object, objectKey, message, digest }: ObjectPart & { message: Message },
  { store, buffers, watch, cut }: ObjectAccess,
): Promise<void> {
  const { etag, versionId } = object;
  const range = bytesOf(sealer.range);
  const units = { message, objectKey, etag, versionId, ...unitsCovering(message, range), range };
  const show = async (plain: Uint8Array) => {
    if (digest && !timingSafeEqual(digestOf(plain), digest)) throw notAsProven(object.url);
    watch.enter('cipher');
    sealer.push(plain);
  };
  await openPart({ ...units, target: { shown: true } }, store, buffers, { show, isElsewhere: false, cut, watch });
}

async function fetchInto(
  sealer: Pick<PartSealer, 'range' | 'push'>,
  { object, objectKey, crc32: whole }: ObjectPart,
  { store, watch, cut, ownSize }: ObjectAccess & { ownSize: number },
): Promise<number | undefined> {
  const { etag, versionId } = object;
  const version = { ifMatch: etag, versionId, signal: cut };
  let checksum = 0;
  let left = whole === undefined ? 0 : ownSize;
  watch.enter('network');
  for await (const chunk of readOn({ store, key: objectKey }, bytesOf(sealer.range), version)) {
    watch.enter('cipher');
    sealer.push(chunk);
    const own = chunk.subarray(0, left);
    checksum = crc32(own, checksum);
    left -= own.length;
    watch.enter('network');
  }
  return whole === undefined ? undefined : checksum;
}

function bytesOf({ plainOffset, plainSize }: PlainRange): { first: number; last: number } {
  return { first: plainOffset, last: plainOffset + plainSize - 1 };
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
