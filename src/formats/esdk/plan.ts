/**
 * The cut a writer chooses: how large the frames, how many to a part. All limits on what may be written are here, so
 * that too many parts or frames are refused before anything is sent.
 */
import { SealiftError } from '../../errors.ts';
import { formatSize, GiB, KiB, MiB } from '../../units.ts';
import { framesIn } from './ladder.ts';
import {
  type Cut,
  DEFAULT_PART_SIZE,
  FINAL_OVERHEAD,
  FRAME_OVERHEAD,
  frameCountFor,
  type Layout,
  layoutOf,
  MAX_FRAME_COUNT,
  partOf,
  spanOf,
} from './layout.ts';
import { MAX_FOOTER_SIZE } from './signature.ts';

/** Smaller frames pay for their set-up, larger ones seal hardly faster and are released later (bench/micro/frames.ts). */
export const DEFAULT_FRAME_SIZE = 256 * KiB;

/** Below, frames cost more than their bytes; above, a reader must hold too much before it may release any of it. */
export const MIN_FRAME_SIZE = KiB;
export const MAX_FRAME_SIZE = 64 * MiB;

/** S3's limits. The last part of an object has no least size. */
export const MIN_PART_SIZE = 5 * MiB;
export const MAX_PART_SIZE = 5 * GiB;
export const MAX_PART_COUNT = 10_000;
/** What is planned for while parts can still grow: the rest is room to move. */
export const COMFORTABLE_PART_COUNT = 9_500;

/** Throws `bad-size` unless frames of this size may be written. */
export function checkFrameSize(frameSize: number): void {
  if (Number.isInteger(frameSize) && frameSize >= MIN_FRAME_SIZE && frameSize <= MAX_FRAME_SIZE) return;
  throw new SealiftError(
    'bad-size',
    `Frame size ${frameSize} is not within ${bytes(MIN_FRAME_SIZE)} and ${bytes(MAX_FRAME_SIZE)}`,
    {
      hint: `Leave --frame-size out: ${bytes(DEFAULT_FRAME_SIZE)} is fastest.`,
    },
  );
}

/**
 * Plans a message to write. Parts are whole frames: of `partSize` plain bytes rounded up, or else of 8 MiB or what
 * 9,500 parts need, as long as a part stays within 5 GiB. With `equalParts` they have the size of so many frames,
 * wherever those begin. Throws `bad-size`, `too-many-parts`, `too-many-frames`.
 */
export function planLayout(
  input: Cut & { plainSize: number; partSize?: number | undefined; equalParts?: boolean | undefined },
): Layout {
  const { plainSize, frameSize, headerSize, partSize } = input;
  checkFrameSize(frameSize);
  if (!Number.isSafeInteger(plainSize) || plainSize < 0) {
    throw new RangeError(`plainSize: expected a size in whole bytes, got ${plainSize}`);
  }
  const frameCount = frameCountFor({ plainSize, frameSize });
  if (frameCount > MAX_FRAME_COUNT) {
    throw new SealiftError(
      'too-many-frames',
      `${bytes(plainSize)} are more than ${MAX_FRAME_COUNT} frames of ${bytes(frameSize)}`,
      {
        hint: `The least --frame-size that works is ${Math.floor(plainSize / MAX_FRAME_COUNT) + 1} bytes.`,
      },
    );
  }
  const equal = input.equalParts ? { equalParts: true as const } : {};
  const sized = { plainSize, frameSize, headerSize, frameCount, ...equal };
  const span = spanOf(sized);
  const mostFrames = maxPartFrameCount({ frameSize, headerSize });
  const leastFrames = Math.ceil(span / MAX_PART_COUNT);
  if (leastFrames > mostFrames) {
    throw new SealiftError('too-many-parts', `${bytes(plainSize)} are more than one object can hold`, {
      hint: `With this frame size an object holds up to ${bytes(maxPlainSize(sized))}.`,
    });
  }
  const partFrameCount =
    partSize === undefined
      ? Math.min(
          mostFrames,
          Math.max(Math.ceil(DEFAULT_PART_SIZE / frameSize), Math.ceil(span / COMFORTABLE_PART_COUNT)),
        )
      : checkedPartFrameCount({ partSize, frameSize, leastFrames, mostFrames });
  return layoutOf({ ...sized, partFrameCount });
}

/**
 * Plans a pipe: the longest message whose parts, growing, stay within `mostPartSize` plain bytes. The first are of
 * `partSize`, or of what `expectedSize` needs. Throws `bad-size`, and `too-many-parts` where `expectedSize` cannot be
 * reached.
 */
export function planPipe(
  input: Cut & { partSize: number; mostPartSize: number; expectedSize?: number | undefined },
): Layout {
  const { frameSize, headerSize, mostPartSize, partSize, expectedSize = 0 } = input;
  checkFrameSize(frameSize);
  const mostFrames = maxPartFrameCount({ frameSize, headerSize });
  const first = checkedPartFrameCount({
    partSize,
    frameSize,
    leastFrames: 1,
    mostFrames,
  });
  const mostPartFrames = Math.max(first, Math.min(mostFrames, Math.floor(mostPartSize / frameSize)));
  const reachOf = (partFrameCount: number) =>
    Math.min(MAX_FRAME_COUNT - 1, framesIn({ partFrameCount, mostPartFrames }, MAX_PART_COUNT)) * frameSize;
  let partFrameCount = first;
  while (reachOf(partFrameCount) < expectedSize && partFrameCount < mostPartFrames) {
    partFrameCount = Math.min(2 * partFrameCount, mostPartFrames);
  }
  const plainSize = reachOf(partFrameCount);
  if (plainSize < expectedSize) {
    throw new SealiftError(
      'too-many-parts',
      `A pipe of ${bytes(expectedSize)} is more than reaches: ${bytes(plainSize)} at most, in parts that memory can hold`,
      { hint: 'Give more --max-memory, or seal a file: its parts need not be held.' },
    );
  }
  return layoutOf({
    plainSize,
    frameSize,
    headerSize,
    frameCount: frameCountFor({ plainSize, frameSize }),
    partFrameCount,
    mostPartFrames,
  });
}

/**
 * The same cut with a header of this size, now that it is known. Throws `bad-size` where the first part has no room for
 * it, or where equal parts become too many by it.
 */
export function withHeader(layout: Layout, headerSize: number): Layout {
  const known = layoutOf({ ...layout, headerSize });
  if (partOf(known, 1).sealedSize > MAX_PART_SIZE || known.partCount > MAX_PART_COUNT) {
    throw new SealiftError('bad-size', `With a header of ${bytes(headerSize)} these parts are more than S3 takes`, {
      hint: 'Give another --part-size, or a shorter --context.',
    });
  }
  return known;
}

/** A pipe's layout once its end is known: all parts before that are as they were. */
export function endedAt(longest: Layout, plainSize: number): Layout {
  const { frameSize } = longest;
  return layoutOf({ ...longest, plainSize, frameCount: frameCountFor({ plainSize, frameSize }) });
}

function checkedPartFrameCount(input: {
  partSize: number;
  frameSize: number;
  leastFrames: number;
  mostFrames: number;
}): number {
  const { partSize, frameSize, leastFrames, mostFrames } = input;
  const frames = Math.ceil(partSize / frameSize);
  if (!Number.isSafeInteger(partSize) || partSize < MIN_PART_SIZE || frames > mostFrames) {
    throw new SealiftError(
      'bad-size',
      `Part size ${bytes(partSize)} cannot be used: S3 takes parts of 5 MiB to 5 GiB`,
      {
        hint: `With this frame size, --part-size can be ${bytes(MIN_PART_SIZE)} to ${bytes(mostFrames * frameSize)}.`,
      },
    );
  }
  if (frames < leastFrames) {
    throw new SealiftError('too-many-parts', `Parts of ${bytes(partSize)} would be more than ${MAX_PART_COUNT}`, {
      hint: `The least --part-size that works is ${bytes(leastFrames * frameSize)}; without it a size is chosen for you.`,
    });
  }
  return frames;
}

/** The most full frames a part can have wherever it stands: a header in front, an empty final frame and a signature behind. */
function maxPartFrameCount({ frameSize, headerSize }: Cut): number {
  const others = headerSize + FRAME_OVERHEAD + FINAL_OVERHEAD + MAX_FOOTER_SIZE;
  return Math.floor((MAX_PART_SIZE - others) / (frameSize + FRAME_OVERHEAD));
}

/** The most plain bytes one object can hold; in equal parts, in full frames. */
export function maxPlainSize({ frameSize, headerSize, equalParts }: Cut & Pick<Layout, 'equalParts'>): number {
  const span = MAX_PART_COUNT * maxPartFrameCount({ frameSize, headerSize });
  const others = headerSize + FRAME_OVERHEAD + FINAL_OVERHEAD;
  const taken = equalParts ? Math.ceil(others / (frameSize + FRAME_OVERHEAD)) : 0;
  return Math.min((span - taken) * frameSize, MAX_FRAME_COUNT * frameSize - 1);
}

/** Exact, for sizes a person may type back. */
function bytes(size: number): string {
  const short = formatSize(size);
  return size < KiB || /\d\.\d/.test(short) ? `${size} bytes` : short;
}
