/** Many small things of one task, each answered for itself: one that fails stops no other. */
import { type ErrorData, SealiftError } from '../errors.ts';
import { runLanes } from './lanes.ts';

/** Requests of a task in flight, and files being written: while some wait another is opened or sealed. */
export const IN_FLIGHT_COUNT = 4;

export interface FailedObject {
  outcome: 'failed';
  error: ErrorData;
}

export function failed(error: ErrorData): FailedObject {
  return { outcome: 'failed', error };
}

/** What `work` makes of each, in their order, some at a time. An error is an answer. */
export async function eachOf<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<(Result | FailedObject)[]> {
  const results: (Result | FailedObject)[] = [];
  await runLanes({
    items: items.entries(),
    lanes: { count: IN_FLIGHT_COUNT },
    async work([index, item]) {
      results[index] = await work(item).catch((error) => failed(SealiftError.from(error).toJSON()));
    },
  });
  return results;
}
