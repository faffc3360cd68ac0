/**
 * Cyclic checksums: CRC32 by zlib, CRC32C and CRC64NVME by table, and the arithmetic that turns the CRCs of parts into
 * the CRC of the whole. The sandbox has its own so that a mistake in Sealift's cannot confirm itself.
 *
 * All three are reflected, start from all ones and are inverted at the end.
 */
import { crc32 } from 'node:zlib';

interface Polynomial {
  readonly bits: bigint;
  /** Without its leading term, least significant bit first. */
  readonly value: bigint;
}

export const CRC32: Polynomial = { bits: 32n, value: 0xedb88320n };
/** RFC 3720, appendix B.4. */
export const CRC32C: Polynomial = { bits: 32n, value: 0x82f63b78n };
/** The NVM Express NVM Command Set specification, section 5.2.1.3.4. */
export const CRC64NVME: Polynomial = { bits: 64n, value: 0x9a6c9329ac4bc9b5n };

export interface Crc {
  update(chunk: Uint8Array): void;
  /** Big endian, as S3 writes it. */
  finish(): Buffer;
}

export function crc32Digest(): Crc {
  let state = 0;
  return {
    update(chunk) {
      state = crc32(chunk, state);
    },
    finish: () => bigEndian(BigInt(state), 32n),
  };
}

const CRC32C_TABLE = Uint32Array.from(table(CRC32C), Number);

export function crc32cDigest(): Crc {
  let state = 0xffffffff;
  return {
    update(chunk) {
      let crc = state;
      for (let i = 0; i < chunk.length; i++) crc = CRC32C_TABLE[(crc ^ chunk[i]!) & 0xff]! ^ (crc >>> 8);
      state = crc;
    },
    finish: () => bigEndian(BigInt((state ^ 0xffffffff) >>> 0), 32n),
  };
}

// A 64-bit state is kept as two halves: BigInt arithmetic would be a hundred times slower.
const CRC64_LOW = Uint32Array.from(table(CRC64NVME), (entry) => Number(entry & 0xffffffffn));
const CRC64_HIGH = Uint32Array.from(table(CRC64NVME), (entry) => Number(entry >> 32n));

export function crc64nvmeDigest(): Crc {
  let low = 0xffffffff;
  let high = 0xffffffff;
  return {
    update(chunk) {
      let lo = low;
      let hi = high;
      for (let i = 0; i < chunk.length; i++) {
        const entry = (lo ^ chunk[i]!) & 0xff;
        lo = ((lo >>> 8) | (hi << 24)) ^ CRC64_LOW[entry]!;
        hi = (hi >>> 8) ^ CRC64_HIGH[entry]!;
      }
      low = lo;
      high = hi;
    },
    finish: () => bigEndian((BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0), 64n),
  };
}

/** The CRC of parts laid end to end, from each part's CRC and size. */
export function combineCrcs(polynomial: Polynomial, parts: readonly { crc: Buffer; size: number }[]): Buffer {
  // Nearly all parts of an upload have one size, so the costly power is worked out once a size.
  const shifts = new Map<number, bigint>();
  let whole = 0n;
  for (const { crc, size } of parts) {
    let shift = shifts.get(size);
    if (shift === undefined) {
      shift = powerOfX(polynomial, 8n * BigInt(size));
      shifts.set(size, shift);
    }
    whole = multiply(polynomial, shift, whole) ^ BigInt(`0x${crc.toString('hex')}`);
  }
  return bigEndian(whole, polynomial.bits);
}

/** Product of two polynomials over GF(2), modulo `polynomial`; the highest bit is the term x^0. */
function multiply({ bits, value }: Polynomial, a: bigint, b: bigint): bigint {
  let product = 0n;
  let factor = b;
  for (let bit = 1n << (bits - 1n); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= factor;
    factor = factor & 1n ? (factor >> 1n) ^ value : factor >> 1n;
  }
  return product;
}

/** x to the power `exponent`, modulo `polynomial`, by squaring. */
function powerOfX(polynomial: Polynomial, exponent: bigint): bigint {
  let power = 1n << (polynomial.bits - 1n);
  let square = 1n << (polynomial.bits - 2n);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) power = multiply(polynomial, square, power);
    square = multiply(polynomial, square, square);
  }
  return power;
}

/** What each value of one byte does to the state. */
function table({ value }: Polynomial): bigint[] {
  return Array.from({ length: 256 }, (_, byte) => {
    let entry = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) entry = entry & 1n ? (entry >> 1n) ^ value : entry >> 1n;
    return entry;
  });
}

function bigEndian(value: bigint, bits: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(Number(bits) / 4, '0'), 'hex');
}
