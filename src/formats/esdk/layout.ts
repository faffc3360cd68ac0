/**
 * The arithmetic of the cut: where every frame and every part of a message begins and ends, on the plain and on the
 * sealed side. All of it follows from four numbers, so that parts can be sealed in any order on any thread.
 *
 *   sealed:  header ‖ frame 1 ‖ frame 2 ‖ … ‖ final frame          a frame adds 32 bytes, the final frame 40
 *   parts:   ├─ part 1: header and whole frames ─┼─ part 2: as many frames ─┼─ … ─┤       those of a pipe grow: ladder.ts
 *   equal:   ├─ part 1: header and less ─┼─ part 2: as many bytes ─┼─ … ─┤                 frames straddle two parts
 *
 * Some servers want all parts but the last equal, header or not. Then the cut is the size of the header further to the
 * left, within a frame: that frame is sealed with either part, and each sends its own side of it.
 *
 * Old writers also made messages of a single block. One is laid out here as a frame that holds everything, and differs
 * only in what the block adds: 36 bytes.
 *
 * Sizes and offsets are doubles, which hold integers exactly below 2^53; the largest object has less than 2^46 bytes.
 */
import { SealiftError } from '../../errors.ts';
import { MiB } from '../../units.ts';
import { framesIn, type Ladder, partsFor } from './ladder.ts';

/** What a frame adds to its plain bytes: sequence number 4, nonce 12, tag 16. */
export const FRAME_OVERHEAD = 32;
/** What the final frame adds beyond that: end marker 4, size 4. */
export const FINAL_OVERHEAD = 8;
/** What a single block adds beyond a frame: size 8, less the sequence number 4. */
export const BLOCK_OVERHEAD = 4;
/** Sequence numbers are 32 bits and start at 1. */
export const MAX_FRAME_COUNT = 2 ** 32 - 1;
/** What AES-GCM can seal at once. */
export const MAX_BLOCK_SIZE = 2 ** 36 - 32;

/** Plain bytes a part where nobody chose otherwise. */
export const DEFAULT_PART_SIZE = 8 * MiB;

export interface Layout extends Ladder {
  /** Plain bytes of the message. */
  plainSize: number;
  /** Plain bytes in every frame but the last. */
  frameSize: number;
  /** Bytes of the header with its tag. */
  headerSize: number;
  frameCount: number;
  partCount: number;
  /** Bytes of the message. */
  sealedSize: number;
  /** All parts but the last have the same sealed size, and frames straddle them. */
  equalParts?: true;
  /** The only frame is a single block. Read, never written. */
  singleBlock?: true;
}

/** Neighbouring frames and the bytes they take on both sides. The header is in none of them. */
export interface FrameRange {
  /** Sequence numbers, from 1, both inclusive. */
  firstFrame: number;
  lastFrame: number;
  frameCount: number;
  plainOffset: number;
  plainSize: number;
  sealedOffset: number;
  sealedSize: number;
}

export interface Part {
  number: number;
  index: number;
  /** The frames it has bytes of. Where parts are equal, the first and the last may have bytes in other parts as well. */
  frames: FrameRange;
  /** Where its first frame begins. */
  plainOffset: number;
  /** Plain bytes up to the next part's; a frame in two parts counts in the latter. */
  plainSize: number;
  /** The first part begins with the header. */
  sealedOffset: number;
  sealedSize: number;
  isFirst: boolean;
  isLast: boolean;
}

export interface Cut {
  frameSize: number;
  headerSize: number;
}

/**
 * The layout of a message of which only the sealed size and the header are known; the inverse of `planLayout`. It reads
 * what other writers write: frames of any size, an empty final frame after full ones. `partSize` is plain bytes a part
 * to read, rounded up to whole frames: S3's limits are on writers. `frameSize` is the header's, 0 for a single block.
 * Throws `truncated` where no message has this size.
 */
export function layoutOfObject(input: Cut & { sealedSize: number; partSize?: number | undefined }): Layout {
  const { sealedSize, headerSize, frameSize, partSize = DEFAULT_PART_SIZE } = input;
  if (frameSize === 0) return layoutOfBlock({ sealedSize, headerSize });
  const full = frameSize + FRAME_OVERHEAD;
  const behindHeader = sealedSize - headerSize - FRAME_OVERHEAD - FINAL_OVERHEAD;
  const fullFrames = Math.floor(behindHeader / full);
  const lastSize = behindHeader - fullFrames * full;
  if (behindHeader < 0 || lastSize > frameSize || fullFrames >= MAX_FRAME_COUNT) {
    throw noSuchMessage(sealedSize);
  }
  return layoutOf({
    plainSize: fullFrames * frameSize + lastSize,
    frameSize,
    headerSize,
    frameCount: fullFrames + 1,
    partFrameCount: Math.max(1, Math.ceil(partSize / frameSize)),
  });
}

function layoutOfBlock({ sealedSize, headerSize }: { sealedSize: number; headerSize: number }): Layout {
  const plainSize = sealedSize - headerSize - FRAME_OVERHEAD - BLOCK_OVERHEAD;
  if (plainSize < 0 || plainSize > MAX_BLOCK_SIZE) throw noSuchMessage(sealedSize);
  return layoutOf({
    plainSize,
    frameSize: plainSize,
    headerSize,
    frameCount: 1,
    partFrameCount: 1,
    singleBlock: true,
  });
}

function noSuchMessage(sealedSize: number): SealiftError {
  return new SealiftError('truncated', `No message with this header is ${sealedSize} bytes long`, {
    hint: 'The object was cut short, or bytes were added to it. Fetch another version or another copy of it.',
  });
}

/**
 * How many frames we write: the last one is never full. Where the plain bytes fill whole frames an empty one ends the
 * message, because AWS's Python client before version 4, and its command line to this day, refuse a full final frame.
 */
export function frameCountFor({ plainSize, frameSize }: { plainSize: number; frameSize: number }): number {
  return Math.floor(plainSize / frameSize) + 1;
}

/** Fills in what follows from the rest. An empty final frame lies in the part of the frame before it. */
export function layoutOf(input: Omit<Layout, 'partCount' | 'sealedSize'>): Layout {
  return { ...input, partCount: partsFor(input, spanOf(input)), sealedSize: sealedSizeOf(input) };
}

type Sized = Omit<Layout, 'partCount' | 'sealedSize' | 'partFrameCount'>;

function sealedSizeOf(sized: Sized): number {
  const { plainSize, headerSize, frameCount } = sized;
  return headerSize + frameCount * FRAME_OVERHEAD + lastOverhead(sized) + plainSize;
}

/** Full frames that the parts must have room for. In equal parts the header and the end take some of it. */
export function spanOf(sized: Sized): number {
  const { plainSize, frameSize, frameCount, equalParts } = sized;
  if (equalParts) return Math.ceil(sealedSizeOf(sized) / fullSizeOf(sized));
  const endsEmpty = frameCount > 1 && plainSize === (frameCount - 1) * frameSize;
  return endsEmpty ? frameCount - 1 : frameCount;
}

/** Bytes of a sealed frame that is full. */
function fullSizeOf({ frameSize }: Pick<Layout, 'frameSize'>): number {
  return frameSize + FRAME_OVERHEAD;
}

/** What the last frame adds beyond the others. */
function lastOverhead({ singleBlock }: Pick<Layout, 'singleBlock'>): number {
  return singleBlock ? BLOCK_OVERHEAD : FINAL_OVERHEAD;
}

/** Sealed bytes in the first `count` parts: this is the cut, and all that is said of a part follows from it. */
function sealedSizeOfParts(layout: Layout, count: number): number {
  if (count === 0) return 0;
  if (count === layout.partCount) return layout.sealedSize;
  const size = framesIn(layout, count) * fullSizeOf(layout);
  return layout.equalParts ? size : layout.headerSize + size;
}

/** The frame that holds the sealed byte at `offset`; the first, where that is the header's. */
function frameAt(layout: Layout, offset: number): number {
  const number = Math.floor((offset - layout.headerSize) / fullSizeOf(layout)) + 1;
  return Math.min(Math.max(number, 1), layout.frameCount);
}

/** Part `number`, from 1. The parts of a layout tile it on both sides. */
export function partOf(layout: Layout, number: number): Part {
  if (!Number.isInteger(number) || number < 1 || number > layout.partCount) {
    throw new RangeError(`number: expected a part from 1 to ${layout.partCount}, got ${number}`);
  }
  const index = number - 1;
  const sealedOffset = sealedSizeOfParts(layout, index);
  const end = sealedSizeOfParts(layout, number);
  const frames = frameRange(layout, { firstFrame: frameAt(layout, sealedOffset), lastFrame: frameAt(layout, end - 1) });
  const isLast = number === layout.partCount;
  const plainEnd = isLast ? layout.plainSize : (frameAt(layout, end) - 1) * layout.frameSize;
  return {
    number,
    index,
    frames,
    plainOffset: frames.plainOffset,
    plainSize: plainEnd - frames.plainOffset,
    sealedOffset,
    sealedSize: end - sealedOffset,
    isFirst: index === 0,
    isLast,
  };
}

/** The bytes that frames `firstFrame` to `lastFrame` take. */
export function frameRange(layout: Layout, range: { firstFrame: number; lastFrame: number }): FrameRange {
  const { firstFrame, lastFrame } = range;
  if (!(firstFrame >= 1 && firstFrame <= lastFrame && lastFrame <= layout.frameCount)) {
    throw new RangeError(
      `frames: expected a range within 1 to ${layout.frameCount}, got ${firstFrame} to ${lastFrame}`,
    );
  }
  const plainOffset = (firstFrame - 1) * layout.frameSize;
  const plainSize = Math.min(lastFrame * layout.frameSize, layout.plainSize) - plainOffset;
  const frameCount = lastFrame - firstFrame + 1;
  const overhead = frameCount * FRAME_OVERHEAD + (lastFrame === layout.frameCount ? lastOverhead(layout) : 0);
  const sealedOffset = layout.headerSize + (firstFrame - 1) * fullSizeOf(layout);
  return { firstFrame, lastFrame, frameCount, plainOffset, plainSize, sealedOffset, sealedSize: plainSize + overhead };
}

/** The same frames as the sealed bytes to ask a store for: first and last, both inclusive. */
export function sealedRangeOf(layout: Layout, range: { firstFrame: number; lastFrame: number }) {
  const { sealedOffset, sealedSize } = frameRange(layout, range);
  return { first: sealedOffset, last: sealedOffset + sealedSize - 1 };
}

/** Plain bytes in frame `number`, from 1. The last frame of a message may hold less than the others, or nothing. */
export function plainSizeOfFrame(layout: Layout, number: number): number {
  return Math.min(layout.frameSize, layout.plainSize - (number - 1) * layout.frameSize);
}
