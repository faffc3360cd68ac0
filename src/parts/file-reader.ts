/**
 * A file's bytes, read by this thread itself where they come at once. Out of the kernel's memory that takes less than the
 * way to Node's pool of threads and back, and leaves the other processors to those who seal. Reads that wait for a disk or a
 * network would hold up all that the thread sends meanwhile: as soon as they turn out to, the pool reads the rest of the part,
 * in larger pieces.
 */
import { readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { KiB, MiB } from '../units.ts';

/** Stays in the processor's own cache, beside what the cipher makes of it. */
const SMALL_READ_SIZE = 256 * KiB;
/** Makes the way through the pool cheap. A thread that reads by itself looks after its connections as often. */
export const READ_SIZE = MiB;
/** Out of memory it takes a tenth of that. */
const PATIENCE_MS_PER_MIB = 1;
/** On a busy machine any thread waits now and then. */
const GRACE_MS = 4;

export class FileReader {
  readonly #file: FileHandle;
  #readSize = 0;
  #readMs = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Reads some of the `size` bytes at `position` into `buffer` at `offset`. Resolves to how many: 0 at the file's end. */
  async read(
    buffer: Buffer,
    { offset, size, position }: { offset: number; size: number; position: number },
  ): Promise<number> {
    if (this.#readMs > GRACE_MS + (this.#readSize / MiB) * PATIENCE_MS_PER_MIB) {
      const { bytesRead } = await this.#file.read(buffer, offset, Math.min(size, READ_SIZE), position);
      return bytesRead;
    }
    const startMs = performance.now();
    const bytesRead = readSync(this.#file.fd, buffer, offset, Math.min(size, SMALL_READ_SIZE), position);
    this.#readMs += performance.now() - startMs;
    this.#readSize += bytesRead;
    if (this.#readSize % READ_SIZE === 0) await setImmediate();
    return bytesRead;
  }
}
