/** Where an object is that is to be written anew, under the key that the server has encrypted it with until now (SSE-C). */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { type Place, type RunOptions, underKey } from '../job.ts';

/**
 * Of an object that is to get a key it may have none yet: nobody is asked to say so. Where it `mayBeDone`, because an
 * earlier run did not hear the last answer, it may be as it is to be.
 */
export async function placeAsItIs(
  place: Place,
  {
    customerKey,
    oldCustomerKey,
    mayBeDone = false,
    signal,
  }: Pick<RunOptions, 'signal'> & {
    customerKey?: KeyObject | undefined;
    oldCustomerKey?: KeyObject | undefined;
    mayBeDone?: boolean;
  },
): Promise<Place> {
  const key = oldCustomerKey ?? customerKey;
  const keyed = underKey(place, key);
  if (key === undefined || (oldCustomerKey !== undefined && !mayBeDone)) return keyed;
  try {
    await keyed.store.head(place.key, { signal });
    return keyed;
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code === 'sse-c-not-used') return place;
    if (code === 'sse-c-wrong-key' && customerKey) return underKey(place, customerKey);
    throw error;
  }
}
