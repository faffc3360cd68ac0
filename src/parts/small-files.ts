/**
 * Small files, each read whole by this thread itself. Out of the kernel's memory opening, reading and closing one takes less
 * than sending a single of these calls through Node's pool of threads and back does, and leaves nothing for the collector.
 * Files that wait for a disk or a network would hold up all that the thread sends meanwhile: as soon as they turn out to, the
 * rest of them is left to the pool (planned-file.ts).
 */
import type { SourceIdentity } from '../ledger/types.ts';
import { KiB } from '../units.ts';
import { PlannedFile } from './planned-file.ts';

/** A larger one is read in pieces, which stay in the processor's own cache. */
const MOST_SIZE = 256 * KiB;
/** Out of memory it takes a fifth of that. */
const PATIENCE_MS_PER_FILE = 0.2;
/** On a busy machine any thread waits now and then. */
const GRACE_MS = 4;

/** The files of one task. */
export class SmallFiles {
  #count = 0;
  #spentMs = 0;

  /**
   * All of the planned file, in memory that is the caller's; undefined where somebody else is to read it. Throws as
   * `PlannedFile` does.
   */
  read(planned: SourceIdentity): Uint8Array<ArrayBuffer> | undefined {
    if (planned.size > MOST_SIZE || this.#spentMs > GRACE_MS + this.#count * PATIENCE_MS_PER_FILE) return undefined;
    this.#count++;
    const startMs = performance.now();
    try {
      return readWhole(planned);
    } finally {
      this.#spentMs += performance.now() - startMs;
    }
  }
}

function readWhole(planned: SourceIdentity): Uint8Array<ArrayBuffer> {
  using file = new PlannedFile(planned);
  const plain = Buffer.allocUnsafeSlow(planned.size);
  for (let done = 0; done < plain.length; ) {
    done += file.readNow(plain, { offset: done, size: plain.length - done, position: done });
  }
  file.checkStillPlanned();
  return plain;
}
