/**
 * CRC32 of a whole from the CRC32s of its parts. Parts are sealed in any order on any thread, and S3 wants one checksum
 * of the object: this joins them without touching the bytes again.
 *
 * A CRC is the remainder of the bytes, read as a polynomial over one bit, by the CRC polynomial. Appending n bytes
 * multiplies what stood before by x^(8n), so crc(a ‖ b) = crc(a) · x^(8n) + crc(b). Polynomials are written as CRC32
 * writes them: the highest bit of the 32 is x^0.
 */

const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;
const X = 0x40000000;

/** The 32 powers x^(2^k). Squaring once more leads back to x. */
const POWERS: readonly number[] = powers();

/** The CRC32 of a ‖ b, from the CRC32 of a, the CRC32 of b and b's size in bytes. */
export function combineCrc32(a: number, b: number, sizeOfB: number): number {
  return (multiply(a, powerOfX8(sizeOfB)) ^ b) >>> 0;
}

/** x^(8 · size): one factor for each bit of the size. Division, not shifts: a size may pass 2^32. */
function powerOfX8(size: number): number {
  let product = ONE;
  for (let k = 3, left = size; left > 0; left = Math.floor(left / 2), k++) {
    if (left % 2 === 1) product = multiply(product, POWERS[k % 32]!);
  }
  return product;
}

/** a · b modulo the polynomial: b is shifted through and added for every bit of a. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

function powers(): number[] {
  const list = [X];
  while (list.length < 32) list.push(multiply(list.at(-1)!, list.at(-1)!));
  return list;
}
