/**
 * A source file, opened, looked at, read and closed by this thread itself, where its bytes come at once. Out of the kernel's
 * memory each of these calls takes less than the way to Node's pool of threads and back, and leaves the other processors to
 * those who seal. Reads that wait for a disk or a network would hold up all that the thread sends meanwhile: as soon as they
 * turn out to, the pool reads the rest of the part, in larger pieces.
 */
import { closeSync, fstatSync, openSync, read, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { SourceIdentity } from '../ledger/types.ts';
import { KiB, MiB } from '../units.ts';
import { READ_FLAGS, refuseChanged, regularFile, sourceChanged, sourceError } from './source.ts';

/** Stays in the processor's own cache, beside what the cipher makes of it. */
const SMALL_READ_SIZE = 256 * KiB;
/** Makes the way through the pool cheap. A thread that reads by itself looks after its connections as often. */
export const READ_SIZE = MiB;
/** Out of memory it takes a tenth of that. */
const PATIENCE_MS_PER_MIB = 1;
/** On a busy machine any thread waits now and then. */
const GRACE_MS = 4;

const readInPool = promisify(read);

/** Where bytes go, and which. */
interface Wanted {
  /** In the buffer. */
  offset: number;
  /** At most. */
  size: number;
  /** In the file. */
  position: number;
}

export class PlannedFile implements Disposable {
  readonly #planned: SourceIdentity;
  readonly #file: number;
  #readSize = 0;
  #readMs = 0;

  /** Opens the source as planned. Throws `source-changed` unless it is the planned file. */
  constructor(planned: SourceIdentity) {
    this.#planned = planned;
    this.#file = openNow(planned.path);
    try {
      this.checkStillPlanned();
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /** Throws `source-changed` unless the open file is still the planned one. To be called after reading. */
  checkStillPlanned(): void {
    const stats = fstatSync(this.#file, { bigint: true });
    refuseChanged(this.#planned, regularFile(this.#planned.path, stats));
  }

  /** Reads some of the bytes that are wanted: at least one. Throws `source-changed` where the file ends before them. */
  async read(buffer: Buffer, wanted: Wanted): Promise<number> {
    if (this.#readMs > GRACE_MS + (this.#readSize / MiB) * PATIENCE_MS_PER_MIB) {
      const { offset, size, position } = wanted;
      const { bytesRead } = await readInPool(this.#file, buffer, offset, Math.min(size, READ_SIZE), position);
      return this.#some(bytesRead, wanted);
    }
    const startMs = performance.now();
    const bytesRead = this.readNow(buffer, { ...wanted, size: Math.min(wanted.size, SMALL_READ_SIZE) });
    this.#readMs += performance.now() - startMs;
    const turns = Math.floor(this.#readSize / READ_SIZE);
    this.#readSize += bytesRead;
    if (Math.floor(this.#readSize / READ_SIZE) > turns) await setImmediate();
    return bytesRead;
  }

  /** As `read`, whoever waits for this thread meanwhile. */
  readNow(buffer: Buffer, wanted: Wanted): number {
    const { offset, size, position } = wanted;
    return this.#some(readSync(this.#file, buffer, offset, size, position), wanted);
  }

  #some(bytesRead: number, { position }: Wanted): number {
    if (bytesRead === 0) throw sourceChanged(this.#planned, { ...this.#planned, size: position });
    return bytesRead;
  }

  /** Closes the file. No read is under way. */
  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

function openNow(path: string): number {
  try {
    return openSync(path, READ_FLAGS);
  } catch (error) {
    throw sourceError(path, error as NodeJS.ErrnoException);
  }
}
