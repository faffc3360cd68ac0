/**
 * Random bytes that two clones of one process do not share. OpenSSL's generator lives in the process: a virtual
 * machine restored twice from one snapshot goes on with the same state in both. The kernel's generator is told.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

const DEVICE = '/dev/urandom';

export function freshRandom(size: number): Buffer {
  const bytes = randomBytes(size);
  // Windows has no such device; its OpenSSL seeds from the system's generator alone.
  if (process.platform === 'win32') return bytes;
  const system = Buffer.alloc(size);
  const device = openSync(DEVICE, 'r');
  try {
    if (readSync(device, system, 0, size, null) !== size) throw new Error(`${DEVICE} gave too few bytes`);
  } finally {
    closeSync(device);
  }
  for (let index = 0; index < size; index++) bytes[index]! ^= system[index]!;
  return bytes;
}
