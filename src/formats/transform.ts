/** Bytes through a cipher into the caller's buffer: the inner loop of every seal and open. */
import type { Cipheriv, Decipheriv } from 'node:crypto';
import { KiB } from '../units.ts';
import { release } from './release.ts';

/** Bytes given to a cipher at once. Its output stays in the processor's cache until it is copied. */
export const SLICE_SIZE = 256 * KiB;

/**
 * Runs `input` through a cipher into `target`. A cipher allocates its output; once copied, that memory is given back at
 * once, which spares the collector and keeps page faults away (measured in bench/micro/frames.ts).
 */
export function transform(cipher: Cipheriv | Decipheriv, input: Uint8Array, target: Buffer, offset: number): void {
  for (let start = 0; start < input.length; start += SLICE_SIZE) {
    // A view costs as much as a small frame's cipher takes to start.
    const output = cipher.update(input.length <= SLICE_SIZE ? input : input.subarray(start, start + SLICE_SIZE));
    // Into memory that threads share `set` copies word by word; `fill` copies as memory is copied, three times as fast.
    target.fill(output, offset + start, offset + start + output.length);
    release(output);
  }
}

/** Throws RangeError where `buffer` has no room for `size` bytes from `offset`. */
export function checkRoom(room: { name: string; buffer: Buffer; offset: number; size: number }): void {
  const { name, buffer, offset, size } = room;
  if (offset < 0 || buffer.length - offset < size) {
    throw new RangeError(`${name}: expected room for ${size} bytes from ${offset}, got ${buffer.length} in all`);
  }
}
