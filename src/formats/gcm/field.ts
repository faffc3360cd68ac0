/**
 * The field GF(2^128) in which GCM hashes (NIST SP 800-38D, 6.3): polynomials over one bit, of degree below 128, modulo
 * x^128 + x^7 + x^2 + x + 1. A block of 16 bytes is such a polynomial, and its first bit, the highest of the first byte,
 * is the coefficient of x^0. Sums are exclusive ors.
 *
 * Blocks hold secrets here. No branch and no index depends on one, so that their values do not show in time.
 */

/** Four words of 32 bits; the first holds x^0 (its highest bit) to x^31. */
export type Element = Uint32Array;

/** x^128 modulo the polynomial, as the first word of an element: x^0 + x^1 + x^2 + x^7. */
const REDUCTION = 0xe1000000;

export function elementOf(block: Uint8Array): Element {
  const { buffer, byteOffset } = block;
  const view = new DataView(buffer, byteOffset, 16);
  return Uint32Array.from([0, 4, 8, 12], (offset) => view.getUint32(offset));
}

/** The inverse of `elementOf`. */
export function blockOf(element: Element): Buffer {
  const block = Buffer.alloc(16);
  for (const [index, word] of element.entries()) block.writeUInt32BE(word, 4 * index);
  return block;
}

export function add(...elements: readonly Element[]): Element {
  const sum = new Uint32Array(4);
  for (const element of elements) for (let index = 0; index < 4; index++) sum[index]! ^= element[index]!;
  return sum;
}

/** a · b: b times x^i is added for every bit i of a. */
export function multiply(a: Element, b: Element): Element {
  let [b0, b1, b2, b3] = b as unknown as [number, number, number, number];
  let p0 = 0;
  let p1 = 0;
  let p2 = 0;
  let p3 = 0;
  for (let index = 0; index < 4; index++) {
    const word = a[index]!;
    for (let bit = 0; bit < 32; bit++) {
      // All ones where the bit is set, else zero: shifting right repeats the sign.
      const isSet = (word << bit) >> 31;
      p0 ^= b0 & isSet;
      p1 ^= b1 & isSet;
      p2 ^= b2 & isSet;
      p3 ^= b3 & isSet;
      const isOver = -(b3 & 1);
      b3 = (b3 >>> 1) | (b2 << 31);
      b2 = (b2 >>> 1) | (b1 << 31);
      b1 = (b1 >>> 1) | (b0 << 31);
      b0 = (b0 >>> 1) ^ (isOver & REDUCTION);
    }
  }
  return Uint32Array.of(p0, p1, p2, p3);
}

/** a^exponent, for exponents from 1 that a double holds exactly. */
export function power(a: Element, exponent: number): Element {
  if (!Number.isSafeInteger(exponent) || exponent < 1) {
    throw new RangeError(`exponent: expected a whole number from 1, got ${exponent}`);
  }
  let product: Element | undefined;
  let square = a;
  for (let left = exponent; ; square = multiply(square, square)) {
    if (left % 2 === 1) product = product ? multiply(product, square) : square;
    left = Math.floor(left / 2);
    if (left === 0) return product!;
  }
}

/**
 * 1 / a, which is a^(2^128 - 2), because a^(2^128) = a. The exponent is 127 ones and a zero in binary: ones are put
 * behind ones, from n of them to 2n + 1, and a last squaring appends the zero (Itoh and Tsujii, 1988). Throws RangeError
 * for zero, which has no inverse.
 */
export function inverse(a: Element): Element {
  if (a.every((word) => word === 0)) throw new RangeError('a: expected another element than zero');
  let ones = a;
  for (let count = 1; count < 127; count = 2 * count + 1) {
    const twice = multiply(squared(ones, count), ones);
    ones = multiply(squared(twice, 1), a);
  }
  return squared(ones, 1);
}

function squared(a: Element, times: number): Element {
  let square = a;
  for (let done = 0; done < times; done++) square = multiply(square, square);
  return square;
}
