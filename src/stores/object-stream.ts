/** How the bytes of an object are read: in slices, or all of them at once. */
import { release } from '../formats/release.ts';
import { KiB } from '../units.ts';
import type { ObjectStream } from './store.ts';

/** Unless a reader knows better: what stays in the processor's cache between the socket and the cipher. */
const SLICE_SIZE = 256 * KiB;

/** Each slice is good until the next one is asked for. Frees what the stream holds at its end, and where the loop is left. */
export async function* slicesOf(stream: ObjectStream, sliceSize = SLICE_SIZE): AsyncGenerator<Buffer, void> {
  using _held = stream;
  const slice = Buffer.allocUnsafeSlow(Math.min(sliceSize, stream.size));
  for (let count = await stream.readInto(slice); count > 0; count = await stream.readInto(slice)) {
    yield slice.subarray(0, count);
  }
  release(slice);
}

/** All of a small range. */
export async function readWhole(stream: ObjectStream): Promise<Buffer> {
  using _held = stream;
  const bytes = Buffer.allocUnsafeSlow(stream.size);
  for (let done = 0; done < bytes.length; ) {
    const count = await stream.readInto(bytes.subarray(done));
    if (count === 0) return bytes.subarray(0, done);
    done += count;
  }
  return bytes;
}
