/**
 * The fingerprint of a part that is not sealed: what the part must have again whenever it is read again.
 *
 * Of a sealed part it keeps a nonce from sealing two plaintexts, and a checksum would be far too weak for that. Here there
 * is no nonce and no secret. What is left to fear is that a file which changed behind the back of its times gives one
 * object parts of both its versions. That is an accident, which a CRC32 misses once in 4,294,967,296 parts; and who can
 * write to the file at will needs none, for nothing compares with anything those parts that were not read yet. A hash over
 * all bytes would cost more than sealing them (measured: 0.5 CPU seconds a GiB, where reading and summing up take 0.26), and
 * buy nothing of that. So it is an HMAC over the part's CRC32.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import type { Part } from '../s3ec/layout.ts';

/** All of fixed width: format, part number, plain offset, size, CRC32. */
const FIELDS_SIZE = 4 + 4 + 8 + 8 + 4;

/** HMAC-SHA-256 over format (4 bytes), part number (4), offset (8), size (8) and CRC32 (4). Integers are big-endian. */
export function fingerprint(input: { ledgerKey: KeyObject; part: Part; crc32: number }): Buffer {
  const { ledgerKey, part, crc32 } = input;
  const fields = Buffer.alloc(FIELDS_SIZE);
  fields.write('none', 0, 'ascii');
  fields.writeUInt32BE(part.number, 4);
  fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);
  fields.writeBigUInt64BE(BigInt(part.plainSize), 16);
  fields.writeUInt32BE(crc32, 24);
  return createHmac('sha256', ledgerKey).update(fields).digest();
}
