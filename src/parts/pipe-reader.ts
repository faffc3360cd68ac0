/**
 * A pipe, read on the main thread: its chunks are gathered into part-sized buffers that can be moved to a thread. Only
 * what follows a part tells whether it is the last, so a part is handed out once there is more, or the end.
 */
import { SealiftError } from '../errors.ts';
import type { PipedPart } from './task.ts';

export interface PartRead extends PipedPart {
  /** Nothing follows. */
  isLast: boolean;
}

export class PipeReader implements Disposable {
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** What is left of the newest chunk. The source may take its bytes back when it is asked for the next. */
  #rest: Uint8Array = new Uint8Array(0);
  #isOver = false;
  #stopped: { reason: unknown } | undefined;
  #giveUp: (reason: unknown) => void = () => {};

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** The next `size` bytes, or fewer at the end. One call at a time. Throws `source-failed`, or the reason of `stop`. */
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

  /** Ends the reading, also one that waits for a source that is silent. */
  stop(reason: unknown): void {
    if (this.#stopped) return;
    this.#stopped = { reason };
    this.#giveUp(reason);
  }

  /** Lets the source go. It may be silent for ever: nobody waits for its answer. */
  [Symbol.dispose](): void {
    this.stop(new SealiftError('internal', 'A pipe was read that is let go'));
    if (!this.#isOver) this.#iterator.return?.().catch(() => {});
  }

  async #hasMore(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#isOver) {
      const next = await this.#next();
      if (next.done) this.#isOver = true;
      else this.#rest = checkedBytes(next.value);
    }
    return this.#rest.length > 0;
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#stopped) return Promise.reject(this.#stopped.reason);
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      this.#iterator.next().then(resolve, (error) => reject(sourceFailed(error)));
    });
  }
}

function checkedBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new SealiftError('source-failed', `The source gave a ${typeof chunk} where bytes were expected`, {
    hint: 'Give a stream of Uint8Array or Buffer, without an encoding.',
  });
}

function sourceFailed(thrown: unknown): SealiftError {
  if (thrown instanceof SealiftError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SealiftError('source-failed', `The source failed: ${message}`, {
    hint: 'Nothing was completed. Mend what produces the bytes, and run the whole command again.',
    cause: thrown,
  });
}
