/** Files for tests: random content that costs little to make, and hashes to compare. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, createReadStream, ftruncateSync, openSync, writeSync } from 'node:fs';
import { MiB } from '../../src/units.ts';

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
