/**
 * A pipe, read on the main thread: its chunks are gathered into part-sized buffers that can be moved to a thread. Only
 * what follows a part tells whether it is the last, so a part is handed out once there is more, or the end.
 */
import { PipeSource } from './pipe-source.ts';
import type { PipedPart } from './task.ts';

export interface PartRead extends PipedPart {
  /** Nothing follows. */
  isLast: boolean;
}

export class PipeReader extends PipeSource {
  /** What is left of the newest chunk. */
  #rest: Uint8Array = new Uint8Array(0);

  /** The next `size` bytes, or fewer at the end. One call at a time. Throws as `next` does. */
  async read(size: number): Promise<PartRead> {
    const buffer = new Uint8Array(size);
    let length = 0;
    while (length < size && (await this.#hasMore())) {
      const piece = this.#rest.subarray(0, size - length);
      buffer.set(piece, length);
      length += piece.length;
      this.#rest = this.#rest.subarray(piece.length);
    }
    return { plain: buffer.subarray(0, length), isLast: !(await this.#hasMore()) };
  }

  async #hasMore(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.next();
      if (!next) return false;
      this.#rest = next;
    }
    return true;
  }
}
