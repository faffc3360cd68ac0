/**
 * Part-sized buffers of one thread. A fresh 8 MiB allocation costs 2,048 page faults before its first use; a buffer
 * that goes back into the pool costs none. A buffer has one owner at a time, and the owner gives it back.
 */
import { release } from '../formats/release.ts';
import { MiB } from '../units.ts';

export class BufferPool {
  readonly #free: Buffer<ArrayBuffer>[] = [];

  /**
   * A buffer of at least `size` bytes with unspecified content. Pooled ones that are too small are dropped, and so are
   * those of an earlier job with larger parts: the caller's ticket is for a buffer of this size.
   */
  take(size: number): Buffer<ArrayBuffer> {
    for (;;) {
      const buffer = this.#free.pop();
      if (!buffer) return Buffer.allocUnsafeSlow(size);
      if (buffer.length >= size && buffer.length <= 2 * size + MiB) return buffer;
      release(buffer);
    }
  }

  /** One that was lost on its way to another thread reads as empty. */
  give(buffer: Buffer<ArrayBuffer>): void {
    if (buffer.length > 0) this.#free.push(buffer);
  }

  /** Gives the memory of all free buffers back at once; the collector would do it some time later. */
  clear(): void {
    for (const buffer of this.#free.splice(0)) release(buffer);
  }
}
