/**
 * The fingerprint of a sealed part: what a part sealed again must match before a byte of it is sent. It is keyed, so
 * that nobody without the data key can make one, and it covers every authentication tag of the part, so that another
 * plain byte anywhere gives another fingerprint.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import { TAG_SIZE } from './frame.ts';
import type { Part } from './layout.ts';

/** Fields in front of the tags, all of fixed width, and the tags last: no two inputs share an encoding. */
const FIELDS_SIZE = 4 + 4 + 8 + 8 + TAG_SIZE;

/**
 * HMAC-SHA-256 over format (4 bytes), part number (4), plain offset (8), sealed size (8), the header's tag (16, zeros
 * where it is not in this part) and the tags of all its frames in order (16 each), those it shares too. Integers are big-endian.
 */
export function fingerprint(input: {
  ledgerKey: KeyObject;
  format: 'esdk';
  part: Part;
  /** The header's tag: in the first part, and only there. */
  headerTag?: Uint8Array | undefined;
  /** The tags of the part's frames, one after the other. */
  tags: Uint8Array;
}): Buffer {
  const { ledgerKey, format, part, headerTag, tags } = input;
  const headerTagSize = headerTag?.length ?? 0;
  if (headerTagSize !== (part.isFirst ? TAG_SIZE : 0)) {
    throw new RangeError(
      `headerTag: belongs to the first part alone, got ${headerTagSize} bytes in part ${part.number}`,
    );
  }
  const tagsSize = part.frames.frameCount * TAG_SIZE;
  if (tags.length !== tagsSize) throw new RangeError(`tags: expected ${tagsSize} bytes, got ${tags.length}`);
  const fields = Buffer.alloc(FIELDS_SIZE);
  fields.write(format, 0, 'ascii');
  fields.writeUInt32BE(part.number, 4);
  fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);
  fields.writeBigUInt64BE(BigInt(part.sealedSize), 16);
  if (headerTag) fields.set(headerTag, 24);
  return createHmac('sha256', ledgerKey).update(fields).update(tags).digest();
}
