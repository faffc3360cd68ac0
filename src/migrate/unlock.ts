/** The keys of small sealed objects, for the threads that hold them: all of a task's at once. */
import { type ErrorData, SealiftError } from '../errors.ts';
import { decodeHeader as decodeMessage } from '../formats/esdk/header.ts';
import { decodeHeader } from '../formats/s3ec/header.ts';
import { type OpenRules, unlock } from '../get/unlock.ts';
import { unlockObject } from '../get/unlock-s3ec.ts';
import type { Keyring, KeyringRequest } from '../keys/keyring.ts';
import type { Keys } from '../parts/held-object.ts';
import type { KeyRequest, RestoreLink } from '../parts/restore-objects.ts';
import type { Store } from '../stores/store.ts';
import { failsAll } from './pause.ts';

export type Unlocking = OpenRules & Pick<KeyringRequest, 'signal' | 'onCall'>;

/** What one object's keys cannot be had for is that object's failure; what all fail by is thrown. */
export function unlocker(store: Store, keyring: Keyring, rules: Unlocking): RestoreLink['unlock'] {
  return (requests) =>
    Promise.all(requests.map((request) => keysOf(request, store, keyring, rules).catch((error) => refusal(error))));
}

async function keysOf(
  { objectKey, locked }: KeyRequest,
  store: Store,
  keyring: Keyring,
  rules: Unlocking,
): Promise<Keys> {
  const at = { url: store.url(objectKey), objectKey };
  if (locked.format === 's3ec') return await unlockObject(decodeHeader(locked.metadata), at, { keyring }, rules);
  const { keys } = await unlock(decodeMessage(locked.header, rules)!, at, { keyring }, rules);
  return keys;
}

function refusal(thrown: unknown): { error: ErrorData } {
  const error = SealiftError.from(thrown);
  if (failsAll(error)) throw error;
  return { error: error.toJSON() };
}
