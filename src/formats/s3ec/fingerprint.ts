/**
 * The fingerprint of a sealed part: what a part sealed again must match before a byte of it is sent. It is keyed, so
 * that nobody without the data key can make one, and it covers the part's hash, so that another plain byte anywhere gives
 * another fingerprint.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import { TAG_SIZE } from '../gcm/message.ts';
import type { Part } from './layout.ts';

/** In front of the hash, all of fixed width: format, part number, plain offset, sealed size, the object's tag. */
const FIELDS_SIZE = 4 + 4 + 8 + 8 + TAG_SIZE;

/**
 * HMAC-SHA-256 over format (4 bytes), part number (4), plain offset (8), sealed size (8), the object's tag (16, zeros
 * where it is not in this part) and the part's hash (16). Integers are big-endian.
 */
export function fingerprint(input: {
  ledgerKey: KeyObject;
  part: Part;
  /** The hash of the part. */
  hash: Uint8Array;
  /** The object's tag: in the last part, and only there. */
  tag?: Uint8Array | undefined;
}): Buffer {
  const { ledgerKey, part, hash, tag } = input;
  if ((tag?.length ?? 0) !== (part.isLast ? TAG_SIZE : 0)) {
    throw new RangeError(`tag: belongs to the last part alone, got ${tag?.length ?? 0} bytes in part ${part.number}`);
  }
  const fields = Buffer.alloc(FIELDS_SIZE);
  fields.write('s3ec', 0, 'ascii');
  fields.writeUInt32BE(part.number, 4);
  fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);
  fields.writeBigUInt64BE(BigInt(part.sealedSize), 16);
  if (tag) fields.set(tag, 24);
  return createHmac('sha256', ledgerKey).update(fields).update(hash).digest();
}
