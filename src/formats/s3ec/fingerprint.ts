/**
 * The fingerprint of a sealed part: what a part sealed again must match before a byte of it is sent. It is keyed, so
 * that nobody without the data key can make one, and it covers the part's hash, so that another plain byte anywhere gives
 * another fingerprint.
 *
 * The object's tag, which stands behind the last part, is not covered, and need not be. It follows from the hashes of all
 * parts under a key that makes no other message, and it is made once: only when every other part's fingerprint is on disk,
 * so that no resume can seal one otherwise, and it is on disk itself, in the last part's row, before a byte of it leaves.
 * The row is under an HMAC, and a resume sends the tag that is there. While there is none nothing of the last part was sent.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import type { Part } from './layout.ts';

/** In front of the hash, all of fixed width: format, part number, plain offset, sealed size. */
const FIELDS_SIZE = 4 + 4 + 8 + 8;

/**
 * HMAC-SHA-256 over format (4 bytes), part number (4), plain offset (8), sealed size without the object's tag (8), and
 * the part's hash (16). Integers are big-endian.
 */
export function fingerprint(input: { ledgerKey: KeyObject; part: Part; hash: Uint8Array }): Buffer {
  const { ledgerKey, part, hash } = input;
  const fields = Buffer.alloc(FIELDS_SIZE);
  fields.write('s3ec', 0, 'ascii');
  fields.writeUInt32BE(part.number, 4);
  fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);
  fields.writeBigUInt64BE(BigInt(part.sealedSize), 16);
  return createHmac('sha256', ledgerKey).update(fields).update(hash).digest();
}
