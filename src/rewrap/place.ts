/** Where an object is that is to be written anew, under the key that the server has encrypted it with until now (SSE-C). */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { type Place, type RunOptions, underKey } from '../job.ts';

/** Of an object that is to get a key it may have none yet: nobody is asked to say so. */
export async function placeAsItIs(
  place: Place,
  {
    customerKey,
    oldCustomerKey,
    signal,
  }: Pick<RunOptions, 'signal'> & { customerKey?: KeyObject | undefined; oldCustomerKey?: KeyObject | undefined },
): Promise<Place> {
  const keyed = underKey(place, oldCustomerKey ?? customerKey);
  if (customerKey === undefined || oldCustomerKey !== undefined) return keyed;
  try {
    await keyed.store.head(place.key, { signal });
    return keyed;
  } catch (error) {
    if (SealiftError.from(error).code === 'sse-c-not-used') return place;
    throw error;
  }
}
