/** An object as it must be once it is written, and what is said where another stands in its place. */
import { SealiftError } from '../errors.ts';
import type { ObjectInfo } from '../stores/store.ts';

/** User metadata that names the writing of one object: what tells our object from somebody else's. */
export const ID_METADATA = 'sealift-id';

/** What our object is known by. */
export interface Written {
  sealiftId: string;
  size: number;
  crc32: number;
}

export function isOurs(there: ObjectInfo, { sealiftId, size, crc32 }: Written): boolean {
  return (
    there.metadata[ID_METADATA] === sealiftId &&
    there.size === size &&
    (there.crc32 === undefined || there.crc32 === crc32)
  );
}

export function targetExists(url: string): SealiftError {
  return new SealiftError('target-exists', `${url} exists already`, {
    hint: 'Give --overwrite to replace it, or choose another name.',
  });
}

export function targetChanged(url: string): SealiftError {
  return new SealiftError('target-changed', `${url} was changed by someone else since the start`, {
    hint: 'Look at it before you go on.',
  });
}

export function otherChecksum(url: string): SealiftError {
  return new SealiftError('checksum-mismatch', `${url} was stored with another checksum than was sent`, {
    hint: 'Run the same command again with --overwrite; if it happens again the server or the line damages data.',
  });
}
