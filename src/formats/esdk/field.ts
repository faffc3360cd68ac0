/** A small field of a message, gathered from as many pieces as it comes in. */
export class Field {
  readonly #bytes: Buffer;
  #size = 0;
  #filled = 0;

  constructor(maxSize: number) {
    this.#bytes = Buffer.alloc(maxSize);
  }

  get empty(): boolean {
    return this.#filled === 0;
  }

  get full(): boolean {
    return this.#filled === this.#size;
  }

  /** What has come so far, valid until the next `take`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#filled);
  }

  /** Copies from the front of `source` until the field has `size` bytes. Returns how many it took. */
  fill(source: Uint8Array, size: number): number {
    const piece = source.subarray(0, size - this.#filled);
    this.#bytes.set(piece, this.#filled);
    this.#size = size;
    this.#filled += piece.length;
    return piece.length;
  }

  /** The full field, valid until the next `fill`. */
  take(): Buffer {
    this.#filled = 0;
    return this.#bytes.subarray(0, this.#size);
  }
}
