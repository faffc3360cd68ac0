/** Reads big-endian fields off the front of some bytes, one after the other. */
export class Cursor {
  readonly #bytes: Buffer;
  readonly #short: () => Error;
  #offset = 0;

  /** `short` makes the error thrown where a field reaches past the end of the bytes. */
  constructor(bytes: Uint8Array, short: () => Error) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#short = short;
  }

  get offset(): number {
    return this.#offset;
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  u8(): number {
    return this.#take(1).readUInt8();
  }

  u16(): number {
    return this.#take(2).readUInt16BE();
  }

  u32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** The next `size` bytes, copied: a header outlives the chunk it came in. */
  bytes(size: number): Buffer {
    return Buffer.from(this.#take(size));
  }

  /** A field that carries its size in two bytes in front of it. */
  sized(): Buffer {
    return this.bytes(this.u16());
  }

  #take(size: number): Buffer {
    if (this.#offset + size > this.#bytes.length) throw this.#short();
    this.#offset += size;
    return this.#bytes.subarray(this.#offset - size, this.#offset);
  }
}
