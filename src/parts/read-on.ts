/**
 * An object's bytes in order, on their way for as long as it takes: where they break off the store is asked again from
 * there on, for the same version.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SealiftError } from '../errors.ts';
import { slicesOf } from '../stores/object-stream.ts';
import type { PartStore, ReadOptions } from '../stores/store.ts';

/** Tries that a broken stream gets without any byte arriving between. */
const ATTEMPT_COUNT = 5;
const FIRST_PAUSE_MS = 200;

/** Bytes `first` to `last`; none where `last` < `first`. Each slice is good until the next one is asked for. */
export async function* readOn(
  { store, key }: { store: PartStore; key: string },
  { first, last }: { first: number; last: number },
  { sliceSize, ...version }: ReadOptions & { sliceSize?: number },
): AsyncGenerator<Buffer, void> {
  for (let position = first, attempt = 1; position <= last; attempt++) {
    try {
      for await (const slice of slicesOf(await store.read(key, { first: position, last }, version), sliceSize)) {
        yield slice;
        position += slice.length;
        attempt = 1;
      }
    } catch (error) {
      const passing = error instanceof SealiftError && error.code === 'store-unavailable';
      if (!passing || attempt === ATTEMPT_COUNT || version.signal?.aborted) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}
