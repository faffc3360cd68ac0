/**
 * An object's bytes in order, on their way for as long as it takes: where they break off the store is asked again from
 * there on, for the same version.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SealiftError } from '../errors.ts';
import { release } from '../formats/release.ts';
import type { PartStore, ReadOptions } from '../stores/store.ts';

/** Tries that a broken stream gets without any byte arriving between. */
const ATTEMPT_COUNT = 5;
const FIRST_PAUSE_MS = 200;

/** Bytes `first` to `last`; none where `last` < `first`. Each chunk is the reader's until it asks for the next. */
export async function* readOn(
  { store, key }: { store: PartStore; key: string },
  { first, last }: { first: number; last: number },
  version: ReadOptions,
): AsyncGenerator<Uint8Array, void> {
  for (let position = first, attempt = 1; position <= last; attempt++) {
    try {
      for await (const chunk of await store.read(key, { first: position, last }, version)) {
        const { length } = chunk;
        yield chunk;
        position += length;
        attempt = 1;
        release(chunk);
      }
    } catch (error) {
      const passing = error instanceof SealiftError && error.code === 'store-unavailable';
      if (!passing || attempt === ATTEMPT_COUNT || version.signal?.aborted) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}
