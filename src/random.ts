/**
 * Random bytes that two clones of one process do not share. OpenSSL's generator lives in the process: a virtual
 * machine restored twice from one snapshot goes on with the same state in both. The kernel's generator is told.
 */
import { randomBytes } from 'node:crypto';
import { openSync, readSync } from 'node:fs';

const DEVICE = '/dev/urandom';

/** Open from its first use on: opening it takes longer than reading a few bytes. They are never read ahead, lest a clone has them too. */
let device: number | undefined;

export function freshRandom(size: number): Buffer {
  const bytes = randomBytes(size);
  // Windows has no such device; its OpenSSL seeds from the system's generator alone.
  if (process.platform === 'win32') return bytes;
  const system = Buffer.alloc(size);
  device ??= openSync(DEVICE, 'r');
  if (readSync(device, system, 0, size, null) !== size) throw new Error(`${DEVICE} gave too few bytes`);
  for (let index = 0; index < size; index++) bytes[index]! ^= system[index]!;
  return bytes;
}
