/**
 * A request's body on its way to the socket, slice by slice: the next slice is asked for only when the kernel has taken
 * the one before. So TLS never holds a second copy of a part, a slice's buffer can be used again at once, and when the
 * body is stopped nothing of it is still to be sent.
 */
import { Readable, type Writable } from 'node:stream';
import { KiB } from '../units.ts';
import type { PartBody } from './store.ts';

/** Bytes of a held body handed to the socket at once. */
const SLICE_SIZE = 256 * KiB;

/** A Readable, because the SDK pipes those, and never reads a body of another kind in slices. */
export class SlicedBody extends Readable {
  readonly #slices: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  #stopped = false;
  #sent = false;

  constructor(body: ArrayBufferView | PartBody) {
    super();
    this.#slices = slicesOf(body);
  }

  /** The kernel has taken all of it. */
  get sent(): boolean {
    return this.#sent;
  }

  /** No further slice is asked for or sent. */
  stop(): void {
    this.#stopped = true;
  }

  override _read(): void {}

  /** Where the body fails, the request fails with it; where the request ends early, the body is let go. */
  override pipe<Target extends NodeJS.WritableStream>(target: Target): Target {
    const request = target as unknown as Writable;
    this.#sendTo(request).catch((error: Error) => request.destroy(error));
    return target;
  }

  async #sendTo(request: Writable): Promise<void> {
    for await (const slice of this.#slices) {
      if (this.#stopped) return;
      await write(request, slice);
    }
    if (this.#stopped) return;
    request.end();
    this.#sent = true;
  }
}

/** Resolves when the kernel has taken the bytes. Rejects where the request ends before. */
function write(request: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('The request ended before its body was sent'));
    request.once('close', onClose);
    request.write(bytes, (error) => {
      request.off('close', onClose);
      if (error) reject(error);
      else resolve();
    });
  });
}

export function isPartBody(body: unknown): body is PartBody {
  return typeof body === 'object' && body !== null && 'slices' in body;
}

/** The body from its start. */
export function slicesOf(body: ArrayBufferView | PartBody): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  return isPartBody(body) ? body.slices() : cut(body);
}

function* cut(body: ArrayBufferView): Generator<Uint8Array> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  for (let offset = 0; offset < bytes.length; offset += SLICE_SIZE) yield bytes.subarray(offset, offset + SLICE_SIZE);
}
