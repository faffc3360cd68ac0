/**
 * A part that is not sealed, on its way up or down. Nothing is done to its bytes but that they are summed up while they are
 * in the cache; and where they can be put into the buffer at once, they are not even copied.
 */
import { crc32 } from 'node:zlib';
import type { PlainRange } from '../message.ts';

/** Gathers the bytes of `range` in a buffer. */
export class PlainPart {
  readonly range: PlainRange;
  /** The part itself: what is put here at its place, and then pushed, is not copied. */
  readonly inPlace: Buffer;
  #size = 0;
  #crc32 = 0;

  /** `buffer` has room for the range, at least. */
  constructor(range: PlainRange, buffer: Buffer) {
    this.range = range;
    this.inPlace = buffer.subarray(0, range.plainSize);
  }

  push(plain: Uint8Array): void {
    if (this.#size + plain.length > this.inPlace.length) {
      throw new RangeError(`plain: expected ${this.inPlace.length} bytes, got more`);
    }
    const isThere = plain.buffer === this.inPlace.buffer && plain.byteOffset === this.inPlace.byteOffset + this.#size;
    if (!isThere) this.inPlace.set(plain, this.#size);
    this.#size += plain.length;
    this.#crc32 = crc32(plain, this.#crc32);
  }

  /** The CRC32 of the bytes, once all are there. Throws RangeError where some are missing. */
  finish(): number {
    if (this.#size === this.inPlace.length) return this.#crc32;
    throw new RangeError(`plain: expected ${this.inPlace.length} bytes, got ${this.#size}`);
  }
}
