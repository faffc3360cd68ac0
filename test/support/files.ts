/** Files for tests: random content that costs little to make, and hashes to compare. */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  ftruncateSync,
  openSync,
  readSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { MiB } from '../../src/units.ts';

/** Where temporary folders go whose files need not be on a disk: there a sync costs nothing. */
export const MEMORY_FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Writes `size` bytes of which no two MiB are equal. */
export function writeRandomFile(path: string, size: number): void {
  const block = randomBytes(Math.min(MiB, Math.max(size, 8)));
  const file = openSync(path, 'w');
  for (let offset = 0; offset < size; offset += block.length) {
    block.writeDoubleLE(offset + Math.random(), 0);
    writeSync(file, block, 0, Math.min(block.length, size - offset));
  }
  closeSync(file);
}

const ROUND_TIME = 1_700_000_000;

/** Gives the file times of whole seconds, which `changeQuietly` can set back to the nanosecond. */
export function setRoundTimes(path: string): void {
  utimesSync(path, ROUND_TIME, ROUND_TIME);
}

/**
 * Inverts one byte at each of `offsets` and sets the times back, as a write through a memory map leaves them. Only for
 * files with `setRoundTimes`; twice is undone.
 */
export function changeQuietly(path: string, offsets: Iterable<number>): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  for (const offset of offsets) {
    readSync(file, byte, 0, 1, offset);
    byte[0]! ^= 0xff;
    writeSync(file, byte, 0, 1, offset);
  }
  closeSync(file);
  setRoundTimes(path);
}

/** Makes a file of `size` bytes that takes no room on disk. */
export function writeSparseFile(path: string, size: number): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, size);
  closeSync(file);
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MiB })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
