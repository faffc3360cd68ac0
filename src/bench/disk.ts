/**
 * A disk's speed, in a file of random bytes: how fast it is written, down to the disk, and how fast it is read, past the
 * system's cache where the system lets us (O_DIRECT, which wants memory at round addresses).
 */
import { randomFillSync } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { targetError } from '../parts/open-part.ts';
import { MiB } from '../units.ts';

const BLOCK_SIZE = 4 * MiB;
/** Reads under way at once, as lanes have them. */
const READ_COUNT = 4;
/** What O_DIRECT asks for at most, and what memory is aligned to in any case. */
const MOST_ALIGNMENT = 4096;
const LEAST_ALIGNMENT = 16;

/** How fast a disk is. */
export interface DiskSpeed {
  readBytesPerSecond: number;
  writeBytesPerSecond: number;
  /** What was read may have come from memory: the file system takes no reads past its cache. */
  isCached: boolean;
}

/** Makes a file of `size` bytes. Resolves to bytes a second, once all are on the disk. Throws `disk-full`, `target-unwritable`. */
export async function writeRandom(path: string, size: number, signal?: AbortSignal): Promise<number> {
  const block = randomFillSync(Buffer.allocUnsafeSlow(BLOCK_SIZE));
  const startMs = performance.now();
  try {
    await using file = await open(path, 'w', 0o600);
    for (let done = 0; done < size; done += block.length) {
      signal?.throwIfAborted();
      await file.write(block, 0, Math.min(block.length, size - done), done);
    }
    await file.datasync();
  } catch (error) {
    throw signal?.aborted ? SealiftError.interrupted(signal, 'bench') : targetError(path, error as Error);
  }
  return (size * 1000) / (performance.now() - startMs);
}

/** Reads a file of several blocks over and over, for so long. */
export async function readFor(path: string, ms: number): Promise<Omit<DiskSpeed, 'writeBytesPerSecond'>> {
  await using reader = await openReader(path);
  const { file, buffers, isCached } = reader;
  const blockCount = Math.max(1, Math.floor((await file.stat()).size / BLOCK_SIZE));
  let next = 0;
  let bytes = 0;
  const startMs = performance.now();
  const read = async (buffer: Buffer) => {
    while (performance.now() - startMs < ms) {
      const { bytesRead } = await file.read(buffer, 0, BLOCK_SIZE, (next++ % blockCount) * BLOCK_SIZE);
      bytes += bytesRead;
    }
  };
  await Promise.all(buffers.map(read));
  return { readBytesPerSecond: (bytes * 1000) / (performance.now() - startMs), isCached };
}

interface Reader extends AsyncDisposable {
  file: FileHandle;
  buffers: Buffer[];
  isCached: boolean;
}

async function openReader(path: string): Promise<Reader> {
  const direct = await openDirect(path);
  const file = direct?.file ?? (await open(path));
  const buffers = direct?.buffers ?? Array.from({ length: READ_COUNT }, () => Buffer.allocUnsafeSlow(BLOCK_SIZE));
  return { file, buffers, isCached: direct === undefined, [Symbol.asyncDispose]: () => file.close() };
}

/** Undefined where the system or the file system takes no direct reads. */
async function openDirect(path: string): Promise<Omit<Reader, 'isCached' | typeof Symbol.asyncDispose> | undefined> {
  if (constants.O_DIRECT === undefined) return undefined;
  const file = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch(() => undefined);
  if (!file) return undefined;
  const buffers: Buffer[] = [];
  while (buffers.length < READ_COUNT) {
    const buffer = await alignedFor(file);
    if (!buffer) {
      await file.close();
      return undefined;
    }
    buffers.push(buffer);
  }
  return { file, buffers };
}

/** JavaScript does not know addresses: where the system takes a read, the address was round. */
async function alignedFor(file: FileHandle): Promise<Buffer | undefined> {
  const buffer = Buffer.allocUnsafeSlow(BLOCK_SIZE + MOST_ALIGNMENT);
  for (let offset = 0; offset < MOST_ALIGNMENT; offset += LEAST_ALIGNMENT) {
    const takes = await file.read(buffer, offset, MOST_ALIGNMENT, 0).then(
      () => true,
      () => false,
    );
    if (takes) return buffer.subarray(offset, offset + BLOCK_SIZE);
  }
  return undefined;
}
