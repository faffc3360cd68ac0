/**
 * The one concurrency primitive: n lanes pull work from an iterator, each taking the next item only when it has room.
 * The first failure, or `stop`, ends the pulling; work in flight is waited for, because it may already have effects
 * that the ledger must hear of. After `stop` that wait has an end: somebody wants to leave.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** How long work in flight may go on after `stop`: a part on a slow line, not a stalled one. */
const GRACE_MS = 10_000;

export interface LanesOptions<T> {
  items: Iterable<T>;
  /** Items in flight at most. */
  count: number;
  /** Once aborted no new item is taken. In-flight work goes on. */
  stop?: AbortSignal | undefined;
  work: (item: T) => Promise<void>;
}

/**
 * Resolves to true when every item is done, to false when `stop` came first: then work in flight has settled, or had
 * its grace. Rejects with the first failure, after all work in flight has settled.
 */
export async function runLanes<T>({ items, count, stop, work }: LanesOptions<T>): Promise<boolean> {
  const iterator = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  let exhausted = false;

  async function lane(): Promise<void> {
    while (!failure && !stop?.aborted) {
      const next = iterator.next();
      if (next.done) {
        exhausted = true;
        return;
      }
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  }

  const all = Promise.all(Array.from({ length: count }, lane));
  await (stop ? Promise.race([all, graceAfter(stop)]) : all);
  if (failure) throw failure.error;
  return exhausted && !stop?.aborted;
}

/** Resolves `GRACE_MS` after the signal; never without it, and never keeps the process alive. */
async function graceAfter(stop: AbortSignal): Promise<void> {
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await sleep(GRACE_MS, undefined, { ref: false });
}
