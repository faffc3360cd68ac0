/**
 * Bytes that somebody else makes: a caller's stream, Node's or the Web's, or any async iterable. It may fail, give what
 * are no bytes, or be silent for ever: once it is stopped or let go, nobody waits for it.
 */
import { SealiftError } from '../errors.ts';

export class PipeSource implements Disposable {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #letGo = new AbortController();
  #hasEnded = false;
  #stopped: { reason: unknown } | undefined;
  #giveUp: (reason: unknown) => void = () => {};

  /** Throws `bad-option`. */
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = checkedStream(source)[Symbol.asyncIterator]();
  }

  /**
   * The next chunk, undefined at the end. It is good until the next one is asked for: the source may take its bytes back
   * then. One call at a time. Throws `source-failed`, or the reason of `stop`.
   */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#hasEnded) return undefined;
    const { done, value } = await this.#ask();
    if (!done) return checkedBytes(value);
    this.#hasEnded = true;
    return undefined;
  }

  /** Ends the reading, also one that waits for a source that is silent. The first reason counts. */
  stop(reason: unknown): void {
    if (this.#stopped) return;
    this.#stopped = { reason };
    this.#giveUp(reason);
  }

  /** Stops once the signal has aborted, with what `reason` gives then. */
  stopOn(signal: AbortSignal | undefined, reason: () => unknown): void {
    const stop = () => this.stop(reason());
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true, signal: this.#letGo.signal });
  }

  /** Lets the source go, so that it can end as well. Once is enough. */
  [Symbol.dispose](): void {
    if (this.#letGo.signal.aborted) return;
    this.#letGo.abort();
    this.stop(new SealiftError('internal', 'A pipe was read that is let go'));
    if (!this.#hasEnded) this.#iterator.return?.().catch(() => {});
  }

  #ask(): Promise<IteratorResult<Uint8Array>> {
    if (this.#stopped) return Promise.reject(this.#stopped.reason);
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      this.#iterator.next().then(resolve, (error) => reject(sourceFailed(error)));
    });
  }
}

/** Throws `bad-option` where it is no stream: not every program is checked by a compiler. */
export function checkedStream(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (typeof source?.[Symbol.asyncIterator] === 'function') return source;
  throw new SealiftError('bad-option', 'The source is neither a string nor a stream of bytes', {
    hint: 'Give a Node or Web stream, or an async iterable of Uint8Array. Of a Blob that is blob.stream(), of bytes new Blob([bytes]).stream().',
  });
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
    hint: 'Mend what produces the bytes, and run the whole command again.',
    cause: thrown,
  });
}
