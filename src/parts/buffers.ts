/**
 * Part-sized buffers of one thread. A fresh 8 MiB allocation costs 2,048 page faults before its first use; a buffer
 * that goes back into the pool costs none. A buffer has one owner at a time, and the owner gives it back.
 *
 * Shared ones are for parts that another thread reads too. Their memory cannot be given back, only left to the
 * collector, which does not count it and is in no hurry; so they stay, and serve those who need none of their kind.
 */
import { release } from '../formats/release.ts';
import { MiB } from '../units.ts';

export class BufferPool {
  readonly #free: Buffer[] = [];

  /**
   * A buffer of at least `size` bytes with unspecified content. Pooled ones that are too small are dropped, and so are
   * those of an earlier job with larger parts: the caller's ticket is for a buffer of this size.
   */
  take(size: number, { isShared = false }: { isShared?: boolean } = {}): Buffer {
    for (;;) {
      const buffer = this.#free.pop();
      if (!buffer) return isShared ? Buffer.from(new SharedArrayBuffer(size)) : Buffer.allocUnsafeSlow(size);
      const fits = buffer.length >= size && buffer.length <= 2 * size + MiB;
      if (fits && (!isShared || isSharedBuffer(buffer))) return buffer;
      release(buffer);
    }
  }

  give(buffer: Buffer): void {
    this.#free.push(buffer);
  }

  /** Gives the memory of all free buffers back at once that can be; the collector would do it some time later. */
  clear(): void {
    for (const buffer of this.#free.splice(0)) {
      if (isSharedBuffer(buffer)) this.#free.push(buffer);
      else release(buffer);
    }
  }
}

function isSharedBuffer({ buffer }: Buffer): boolean {
  return buffer instanceof SharedArrayBuffer;
}
