/**
 * Paddings of RSA that stock OpenSSL does not take off as they must be: PKCS#1 v1.5 without telling whether it was
 * right, and the OAEP of Java, whose two hashes differ. What comes in is the bare block, as RSA_NO_PADDING gives it.
 */
import { createHash, randomBytes } from 'node:crypto';

/**
 * Takes PKCS#1 v1.5 off a block: 00 02 ‖ at least eight bytes that are not zero ‖ 00 ‖ the data key, whose size is known.
 * Whether the block was well-formed shows neither in time nor in the result, or whoever can send us messages could have
 * any ciphertext opened by asking often enough: for a malformed one the data key is random, and the header does not
 * open under it. By ourselves, because not every OpenSSL that Node is built with does the same.
 */
export function unpadPkcs1(block: Buffer, size: number): Buffer {
  const start = block.length - size;
  if (start < 11) throw new RangeError('block: too short for a data key');
  let wrong = block[0]! | (block[1]! ^ 2) | block[start - 1]!;
  // Below zero, and so with its highest bit set, is only what was zero.
  for (let index = 2; index < start - 1; index++) wrong |= (block[index]! - 1) >>> 31;
  const isGood = (wrong - 1) >> 31;
  const dataKey = randomBytes(size);
  for (let index = 0; index < size; index++) {
    dataKey[index] = (block[start + index]! & isGood) | (dataKey[index]! & ~isGood);
  }
  block.fill(0);
  return dataKey;
}

const SHA1_SIZE = 20;
const SHA256_SIZE = 32;

/**
 * Takes OAEP off a block (RFC 8017, 7.1.2, without a label): 00 ‖ masked seed ‖ masked (hash of the label ‖ zeros ‖ 01 ‖
 * message). The label is hashed by SHA-256, as Java's name for it says; masks are made with SHA-1, as Java has them all
 * the same. Undefined where the block is malformed, in whichever way: that is decided once, after all of it was looked at.
 */
export function unpadJavaOaep(block: Buffer): Buffer | undefined {
  const seed = block.subarray(1, 1 + SHA256_SIZE);
  const masked = block.subarray(1 + SHA256_SIZE);
  unmask(seed, masked);
  unmask(masked, seed);
  const labelHash = createHash('sha256').digest();
  let wrong = block[0]!;
  for (let index = 0; index < SHA256_SIZE; index++) wrong |= masked[index]! ^ labelHash[index]!;
  let start = 0;
  for (let index = SHA256_SIZE; index < masked.length; index++) {
    // Only zeros stand before the first byte that is none, which is 01.
    const isFirst = Number(start === 0 && masked[index] !== 0);
    start |= isFirst * (index + 1);
    wrong |= isFirst * (masked[index]! ^ 1);
  }
  return wrong === 0 && start > 0 ? masked.subarray(start) : undefined;
}

/** Takes the mask that `seed` gives (MGF1 with SHA-1) off `bytes`, in place. */
function unmask(bytes: Buffer, seed: Buffer): void {
  const counter = Buffer.alloc(4);
  for (let offset = 0; offset < bytes.length; offset += SHA1_SIZE) {
    counter.writeUInt32BE(offset / SHA1_SIZE);
    const mask = createHash('sha1').update(seed).update(counter).digest();
    const end = Math.min(SHA1_SIZE, bytes.length - offset);
    for (let index = 0; index < end; index++) bytes[offset + index]! ^= mask[index]!;
  }
}
