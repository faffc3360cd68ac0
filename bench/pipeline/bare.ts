/**
 * What nobody who reads a file, seals it and tells its checksum can do without, each alone: the same bytes read, through
 * Node's cipher, through CRC32. And all three in one loop with nothing around it, the least that Node can do: once what
 * is sealed is dropped, and once it is copied into a part, as it must be where it is sent only when all of the part is known.
 * In threads of their own, as many as are asked for, which share the bytes.
 */
import { type CipherGCM, createCipheriv, createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { release } from '../../src/formats/release.ts';
import { KiB, MiB } from '../../src/units.ts';

export type BareWork = 'read' | 'cipher' | 'crc32' | 'dropped' | 'held';

interface Share {
  work: BareWork;
  path: string;
  /** Bytes of the file. */
  offset: number;
  size: number;
}

/** What is read at once, and what the cipher gets at once, as in src/parts and src/formats: fastest in a cache. */
const READ_SIZE = MiB;
const SLICE_SIZE = 256 * KiB;
const PART_SIZE = 8 * MiB;
const key = createSecretKey(Buffer.alloc(32, 1));

/** The threads. They have started before anything is measured, and are shared by all who measure. */
export class BareThreads implements AsyncDisposable {
  readonly #workers: Worker[] = [];

  /** Does one kind of work to `size` bytes of the file, in so many threads. */
  async run(work: BareWork, { path, size, threads }: { path: string; size: number; threads: number }): Promise<void> {
    while (this.#workers.length < threads) this.#workers.push(new Worker(import.meta.filename));
    const share = size / threads;
    await Promise.all(
      this.#workers.slice(0, threads).map(async (worker, index) => {
        worker.postMessage({ work, path, offset: index * share, size: share } satisfies Share);
        await once(worker, 'message');
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

const WORK: Record<BareWork, (share: Share) => void> = {
  read({ path, offset, size }) {
    const file = openSync(path, 'r');
    const bytes = Buffer.allocUnsafeSlow(READ_SIZE);
    for (let done = 0; done < size; done += READ_SIZE) readSync(file, bytes, 0, READ_SIZE, offset + done);
    closeSync(file);
  },
  cipher({ size }) {
    const slice = Buffer.alloc(SLICE_SIZE, 3);
    for (let part = 0; part < size; part += PART_SIZE) {
      const cipher = cipherOf(part / PART_SIZE);
      for (let done = 0; done < PART_SIZE; done += SLICE_SIZE) release(cipher.update(slice));
      cipher.final();
    }
  },
  crc32({ size }) {
    const slice = Buffer.alloc(SLICE_SIZE, 3);
    for (let done = 0; done < size; done += SLICE_SIZE) crc32(slice);
  },
  dropped: (share) => sealInLoop(share, () => {}),
  held(share) {
    const parts = [Buffer.alloc(PART_SIZE), Buffer.alloc(PART_SIZE)];
    sealInLoop(share, (sealed, done) => void parts[Math.floor(done / PART_SIZE) % 2]!.set(sealed, done % PART_SIZE));
  },
};

/** Frames of a slice each. `keep` is given what was sealed, and how much before. */
function sealInLoop({ path, offset, size }: Share, keep: (sealed: Buffer, done: number) => void): void {
  const file = openSync(path, 'r');
  const plain = Buffer.allocUnsafeSlow(SLICE_SIZE);
  let checksum = 0;
  for (let done = 0; done < size; done += SLICE_SIZE) {
    readSync(file, plain, 0, SLICE_SIZE, offset + done);
    const cipher = cipherOf(done / SLICE_SIZE);
    const sealed = cipher.update(plain);
    cipher.final();
    checksum = crc32(cipher.getAuthTag(), crc32(sealed, checksum));
    keep(sealed, done);
    release(sealed);
  }
  closeSync(file);
}

function cipherOf(number: number): CipherGCM {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(number);
  return createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
}

// In a thread of BareThreads alone.
parentPort?.on('message', (share: Share) => {
  WORK[share.work](share);
  parentPort!.postMessage('done');
});
