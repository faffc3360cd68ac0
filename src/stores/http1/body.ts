/** The body of an answer, read as its head says where it ends. */
import { KiB } from '../../units.ts';
import { badAnswer, type Framing, parseChunkSize } from './head.ts';
import type { Inlet } from './inlet.ts';

/** Bytes of a body as they come. */
export interface Body extends Disposable {
  /**
   * Fills `bytes`, and resolves to how many there were: fewer where the body ends, or breaks off, which the next call
   * tells. At its end 0.
   */
  readInto(bytes: Uint8Array): Promise<number>;
}

/** Of a line that tells a chunk's size, and of one behind the last chunk. */
const MAX_LINE_SIZE = 4 * KiB;
const MAX_TRAILER_COUNT = 100;
/** Of an answer that is read for what it says. What S3 says has some hundred bytes; a proxy may say anything. */
const MAX_TEXT_SIZE = 256 * KiB;

/** What it asks of its connection. */
export interface BodySource {
  inlet: Inlet;
  /** The server has closed the connection as it should. */
  isEnded(): boolean;
  /** Why it was closed. */
  failure(): Error;
  /** Called once: when the body has come to its end, or when nobody wants the rest of it. */
  onDone(outcome: { isWhole: boolean }): void;
}

export class AnswerBody implements Body {
  readonly #source: BodySource;
  readonly #framing: Framing;
  /** Bytes to come, of the body or of a chunk. */
  #left: number;
  /** A chunk has begun, and its end is still to be read. */
  #isInChunk = false;
  #isDone = false;

  constructor(source: BodySource, framing: Framing) {
    this.#source = source;
    this.#framing = framing;
    this.#left = framing === 'chunked' ? 0 : framing === 'until-close' ? Number.POSITIVE_INFINITY : framing.size;
    if (this.#left === 0 && framing !== 'chunked') this.#done({ isWhole: true });
  }

  async readInto(bytes: Uint8Array): Promise<number> {
    let done = 0;
    while (done < bytes.length && !this.#isDone) {
      if (this.#left === 0 && !(await this.#nextChunk())) break;
      const room = bytes.subarray(done, done + this.#left);
      const count = await this.#source.inlet.readInto(room);
      done += count;
      this.#left -= count;
      if (count < room.length) return this.#brokenOff(done);
      if (this.#left === 0 && this.#framing !== 'chunked') this.#done({ isWhole: true });
    }
    return done;
  }

  /** All of it, or as much as anybody needs to be told: the rest of it nobody wants. */
  async text(): Promise<string> {
    if (this.#isDone) return '';
    const bytes = Buffer.allocUnsafe(Math.min(this.#left || MAX_TEXT_SIZE, MAX_TEXT_SIZE));
    let size = 0;
    try {
      for (let count = -1; count !== 0 && size < bytes.length; size += count) {
        count = await this.readInto(bytes.subarray(size));
      }
    } finally {
      this.#done({ isWhole: false });
    }
    return bytes.toString('utf8', 0, size);
  }

  [Symbol.dispose](): void {
    this.#done({ isWhole: false });
  }

  /** Returns `done`, or throws where that is nothing. */
  #brokenOff(done: number): number {
    if (this.#framing === 'until-close' && this.#source.isEnded()) this.#done({ isWhole: true });
    else if (done === 0) throw this.#source.failure();
    return done;
  }

  /** Resolves to false behind the last one. */
  async #nextChunk(): Promise<boolean> {
    if (this.#isInChunk && (await this.#line()) !== '') throw badAnswer('a chunk that is larger than it says');
    this.#left = parseChunkSize(await this.#line());
    this.#isInChunk = this.#left > 0;
    if (this.#isInChunk) return true;
    for (let count = 0; (await this.#line()) !== ''; count++) {
      if (count === MAX_TRAILER_COUNT) throw badAnswer('too much behind its last chunk');
    }
    this.#done({ isWhole: true });
    return false;
  }

  async #line(): Promise<string> {
    const line = await this.#source.inlet.readUntil('\r\n', MAX_LINE_SIZE);
    if (line === undefined) throw this.#source.failure();
    return line;
  }

  #done(outcome: { isWhole: boolean }): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#source.onDone(outcome);
  }
}
