/**
 * What a connection receives, pulled by whoever reads it. Bytes that are waited for are read from the socket into their
 * place; those that come before anybody waits are kept, and the socket is paused.
 */
import { KiB } from '../../units.ts';
import { badAnswer } from './head.ts';

/** Takes bytes that have no place yet. For all sockets of a thread: what they hand over is copied before the next one does. */
const SCRATCH = Buffer.allocUnsafeSlow(64 * KiB);
const NOTHING = Buffer.alloc(0);

/** What it asks of its connection. */
export interface Source {
  /** Lets the socket go on after a pause. */
  resume(): void;
  /** Bytes came that nobody waits for. */
  onStray(): void;
}

export class Inlet {
  readonly #source: Source;
  /** Came, and was not asked for yet. */
  #kept: Buffer = NOTHING;
  /** What is to be filled next. */
  #place: Uint8Array | undefined;
  #filled = 0;
  #wake: (() => void) | undefined;
  #isPaused = false;
  #isClosed = false;

  constructor(source: Source) {
    this.#source = source;
  }

  /** What Node asks of a socket's `onread`: where the next bytes go, and what to do once they are there. */
  readonly onread = {
    buffer: (): Uint8Array => this.#place?.subarray(this.#filled) ?? SCRATCH,
    callback: (size: number, buffer: Uint8Array): boolean => this.#take(size, buffer),
  };

  get isWaiting(): boolean {
    return this.#wake !== undefined;
  }

  /** Nothing lies here that was not asked for. */
  get isEmpty(): boolean {
    return this.#kept.length === 0;
  }

  /** Reads on after a pause. Also while nobody waits: so a connection that rests hears when the server closes it. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#source.resume();
  }

  /** The socket is closed: who waits, waits no longer. */
  close(): void {
    this.#isClosed = true;
    this.#place = undefined;
    this.#woken();
  }

  /** Resolves to how many bytes of `bytes` are filled: fewer only where the connection was closed. */
  async readInto(bytes: Uint8Array): Promise<number> {
    this.#filled = this.#copyKept(bytes);
    while (this.#filled < bytes.length && !this.#isClosed) {
      this.#place = bytes;
      await this.#more();
    }
    this.#place = undefined;
    return this.#filled;
  }

  /**
   * Resolves to the bytes before the next `delimiter`, in Latin-1, and drops that; undefined where the connection was
   * closed before. Throws where more than `limit` bytes came without one.
   */
  async readUntil(delimiter: string, limit: number): Promise<string | undefined> {
    for (;;) {
      const end = this.#kept.indexOf(delimiter, 0, 'latin1');
      if (end > limit || (end < 0 && this.#kept.length > limit)) throw badAnswer('a line or a head without an end');
      if (end >= 0) {
        const text = this.#kept.toString('latin1', 0, end);
        this.#kept = this.#kept.subarray(end + delimiter.length);
        return text;
      }
      if (this.#isClosed) return undefined;
      await this.#more();
    }
  }

  /** Returns how many there were. */
  #copyKept(bytes: Uint8Array): number {
    const size = Math.min(bytes.length, this.#kept.length);
    if (size === 0) return 0;
    bytes.set(this.#kept.subarray(0, size));
    this.#kept = this.#kept.subarray(size);
    return size;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.resume();
    });
  }

  /** Returns whether the socket is to go on: false pauses it. */
  #take(size: number, buffer: Uint8Array): boolean {
    if (buffer === SCRATCH) this.#store(SCRATCH.subarray(0, size));
    else this.#filled += size;
    if (this.#place && this.#filled < this.#place.length) return true;
    this.#place = undefined;
    if (!this.#wake) this.#source.onStray();
    this.#woken();
    this.#isPaused = true;
    return false;
  }

  /** The first bytes after a pause come before their place is known. */
  #store(bytes: Buffer): void {
    let rest = bytes;
    if (this.#place) {
      const room = this.#place.subarray(this.#filled);
      const size = Math.min(room.length, bytes.length);
      room.set(bytes.subarray(0, size));
      this.#filled += size;
      rest = bytes.subarray(size);
    }
    if (rest.length > 0) this.#kept = Buffer.concat([this.#kept, rest]);
  }

  #woken(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
