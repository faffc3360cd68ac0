/**
 * How an object that was not sealed says so. The mark proves nothing: whoever can write the object can write it. It only
 * tells what a reader should not expect, and a reader takes such an object for what it is only where the user says so too.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';

/** User metadata. Its one value is `none`. */
export const SEAL_METADATA = 'sealift-seal';

export function isUnsealed(metadata: Readonly<Record<string, string>>): boolean {
  return metadata[SEAL_METADATA] === 'none';
}

/** What a ledger's rows are tagged under, where no data key leads to a key that others do not have. */
export function ledgerKeyOf(root: Uint8Array): KeyObject {
  return createSecretKey(root);
}
