/**
 * The one concurrency primitive: lanes pull work from an iterator, each taking the next item only when it has room. How
 * many there may be is asked again whenever an item is done: a lane beyond that ends, and one that is missing begins.
 * The first failure, or `stop`, ends the pulling; work in flight is waited for, because it may already have effects
 * that the ledger must hear of. After `stop` that wait has an end: somebody wants to leave.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SealiftError } from '../errors.ts';

/** Long enough for a part on a slow line, not for a stalled one. */
export const GRACE_MS = 10_000;
/** How long work that was cut may take to end. It is a socket being closed. */
const CUT_MS = 2_000;

export interface LanesOptions<T> {
  /** What comes asynchronously is asked for in turn. Whatever an item holds is its work's to give back. */
  items: Iterable<T> | AsyncIterable<T>;
  /** Items in flight at most; may change while the work goes on, and is never less than one. */
  lanes: { readonly count: number };
  /** Once aborted no new item is taken. In-flight work goes on. */
  stop?: AbortSignal | undefined;
  /** How long work in flight may go on after `stop`. */
  graceMs?: number | undefined;
  /** `cut` aborts when the grace is over: the work must end then, one way or the other. */
  work: (item: T, cut: AbortSignal) => Promise<void>;
}

/**
 * Resolves to true when every item is done, to false when `stop` came first. Rejects with the first failure. Work in
 * flight has settled by then, unless even cutting it did not help.
 */
export async function runLanes<T>(options: LanesOptions<T>): Promise<boolean> {
  const { items, lanes, stop, graceMs = GRACE_MS, work } = options;
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const cut = new AbortController();
  const done = new AbortController();
  const all = Promise.withResolvers<void>();
  let laneCount = 0;
  let failure: { error: unknown } | undefined;
  let exhausted = false;

  const isOpen = () => !failure && !stop?.aborted && !exhausted;

  async function lane(): Promise<void> {
    while (isOpen() && laneCount <= lanes.count) {
      try {
        const next = await iterator.next();
        if (next.done) exhausted = true;
        else await work(next.value, cut.signal);
      } catch (error) {
        failure ??= { error };
      }
      beginMissing();
    }
    laneCount--;
    if (laneCount === 0) all.resolve();
  }

  function beginMissing(): void {
    while (isOpen() && laneCount < lanes.count) {
      laneCount++;
      void lane();
    }
  }

  beginMissing();
  if (laneCount === 0) all.resolve();
  await Promise.race([all.promise, cutAfterGrace({ stop, graceMs, cut, done: done.signal })]);
  done.abort();
  const error = failure?.error;
  // A real failure counts, whatever was cut beside it; a failure by cutting is the interruption itself.
  if (failure && !(cut.signal.aborted && isInterruption(error))) throw error;
  if (cut.signal.aborted) return false;
  return exhausted;
}

function isInterruption(error: unknown): boolean {
  return error instanceof SealiftError && error.code === 'interrupted';
}

/** Cuts the work some time after the signal and resolves when that should have helped; ends early once `done`. */
async function cutAfterGrace(input: {
  stop: AbortSignal | undefined;
  graceMs: number;
  cut: AbortController;
  done: AbortSignal;
}): Promise<void> {
  const { stop, graceMs, cut, done } = input;
  if (!stop) return new Promise(() => {});
  try {
    if (!stop.aborted) await once(stop, 'abort', { signal: done });
    await sleep(graceMs, undefined, { signal: done });
    cut.abort();
    await sleep(CUT_MS, undefined, { signal: done });
  } catch {
    // `done` came first: the lanes have settled, and say so themselves.
  }
}
