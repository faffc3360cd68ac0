/**
 * One AES-GCM message, cut into parts that are sealed or opened in any order, on any thread, and hashed on their own.
 * The bytes and the tag are those of one call over all of it. Every cut is at a multiple of 16 bytes, a block.
 *
 * Why that is possible (NIST SP 800-38D, 7.1; McGrew and Viega, The Galois/Counter Mode of Operation, 2004):
 *
 *   E    AES under the message's key, a block at a time        J(n)  the IV's 12 bytes, then n in 4 bytes
 *   H    E of the block of zeros, which is the hash's key
 *
 * GCM seals data block i, counted from 0, by adding E(J(2 + i)) to it: counter mode, which can begin anywhere. The tag is
 * a polynomial in H over all blocks X1 … Xk, these being the additional data, the sealed bytes, both padded with zeros,
 * and a block with both lengths in bits:
 *
 *   tag = X1·H^k + X2·H^(k-1) + … + Xk·H + E(J(1))
 *
 * So every block counts H once for itself and once for each block behind it. Let the hash of a part be what its m blocks
 * C1 … Cm would count for if only the block of lengths followed them:
 *
 *   hash = C1·H^(m+1) + C2·H^m + … + Cm·H^2
 *
 * Each block behind the part lifts all of these by one more H: the hash of two parts is that of the first, times H to the
 * blocks of the second, plus that of the second. The message's tag is the hash of all, plus the lengths times H, plus
 * E(J(1)). Parts are hashed by a GCM call of their own, whose tag is that same formula with other lengths and another
 * mask; taking both off leaves the hash.
 *
 * The hash of a part and the tag it came from are as secret as the key: with the sealed bytes beside them they are
 * equations in H, and whoever knows H makes tags. Neither leaves the process in the clear.
 */
import { createCipheriv, type KeyObject } from 'node:crypto';
import { add, blockOf, type Element, elementOf, multiply, power } from './field.ts';

export const BLOCK_SIZE = 16;
export const TAG_SIZE = 16;
export const IV_SIZE = 12;

/** Counters are 32 bits: 0 is not used, 1 masks the tag, and all others have their block of plain bytes. */
export const MAX_PLAIN_SIZE = (2 ** 32 - 2) * BLOCK_SIZE;

export interface GcmMessage {
  /** AES-256. Seals this message and no other. */
  key: KeyObject;
  /** 12 bytes. */
  iv: Uint8Array;
  /** What the tag covers besides the plain bytes. May be empty. */
  additional: Uint8Array;
}

/** What is known of a part once it is sealed or opened. */
export interface HashedPart {
  /** Plain bytes. */
  size: number;
  /** 16 bytes. Secret. */
  hash: Uint8Array;
}

/** The message's tag, from all of its parts in order. */
export function tagOf({ key, iv, additional }: GcmMessage, parts: Iterable<HashedPart>): Buffer {
  const hashKey = hashKeyOf(key);
  let hash = hashOf(hashKey, additional);
  let plainSize = 0;
  for (const part of parts) {
    if (plainSize % BLOCK_SIZE !== 0) throw new RangeError('parts: expected whole blocks in all but the last');
    const blocks = Math.ceil(part.size / BLOCK_SIZE);
    if (blocks > 0) hash = add(multiply(hash, power(hashKey, blocks)), elementOf(part.hash));
    plainSize += part.size;
  }
  const lengths = { additionalSize: additional.length, plainSize };
  return blockOf(maskedOf(hash, { hashKey, lengths, mask: encryptBlock(key, counterBlock(iv, 1)) }));
}

/** The sizes that stand in the last block which is hashed. */
interface Lengths {
  additionalSize: number;
  plainSize: number;
}

/**
 * From the hash to the tag of a GCM call, by adding the lengths and the mask; from the tag to the hash likewise, since
 * adding is its own inverse.
 */
export function maskedOf(
  hashOrTag: Element,
  { hashKey, lengths, mask }: { hashKey: Element; lengths: Lengths; mask: Element },
): Element {
  const bits = Buffer.alloc(BLOCK_SIZE);
  bits.writeBigUInt64BE(8n * BigInt(lengths.additionalSize), 0);
  bits.writeBigUInt64BE(8n * BigInt(lengths.plainSize), 8);
  return add(hashOrTag, multiply(elementOf(bits), hashKey), mask);
}

/** H. */
export function hashKeyOf(key: KeyObject): Element {
  return encryptBlock(key, Buffer.alloc(BLOCK_SIZE));
}

/** J(counter). */
export function counterBlock(iv: Uint8Array, counter: number): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  block.set(iv);
  block.writeUInt32BE(counter, IV_SIZE);
  return block;
}

/** E. */
export function encryptBlock(key: KeyObject, block: Uint8Array): Element {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return elementOf(cipher.update(block));
}

/** The counter of the first block of a part. Throws RangeError for what is no part of any message. */
export function counterOf({ plainOffset, plainSize }: { plainOffset: number; plainSize: number }): number {
  if (!(plainOffset >= 0 && plainOffset % BLOCK_SIZE === 0 && plainOffset + plainSize <= MAX_PLAIN_SIZE)) {
    throw new RangeError(
      `plainOffset: expected whole blocks, at most ${MAX_PLAIN_SIZE} bytes, got ${plainSize} at ${plainOffset}`,
    );
  }
  return 2 + plainOffset / BLOCK_SIZE;
}

/** The hash of a few bytes, block by block: of the additional data, which opens the message. */
function hashOf(hashKey: Element, bytes: Uint8Array): Element {
  let hash: Element = new Uint32Array(4);
  for (let offset = 0; offset < bytes.length; offset += BLOCK_SIZE) {
    const block = Buffer.alloc(BLOCK_SIZE);
    block.set(bytes.subarray(offset, offset + BLOCK_SIZE));
    hash = add(multiply(hash, hashKey), multiply(elementOf(block), power(hashKey, 2)));
  }
  return hash;
}
