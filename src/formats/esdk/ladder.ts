/**
 * How parts grow where nobody knows how many there will be. An object has at most 10,000 parts, so those of a pipe are
 * cut small while it may yet be short and larger the longer it lasts: every thousand parts their size doubles, up to
 * what can be held. Where all parts are of one size the ladder has one step.
 */

/** Parts of one size before the next size. */
export const STEP_PART_COUNT = 1000;

export interface Ladder {
  /** Frames in every part of the first step. */
  partFrameCount: number;
  /** Frames in the largest part there may be; those of the first step, where left out. */
  mostPartFrames?: number | undefined;
}

/** Frames in the first `partCount` parts, all of them full. */
export function framesIn({ partFrameCount, mostPartFrames = partFrameCount }: Ladder, partCount: number): number {
  let frames = 0;
  let size = partFrameCount;
  let left = partCount;
  for (; size < mostPartFrames && left > STEP_PART_COUNT; left -= STEP_PART_COUNT) {
    frames += size * STEP_PART_COUNT;
    size = Math.min(2 * size, mostPartFrames);
  }
  return frames + size * left;
}

/** The fewest parts that hold `frameCount` frames: the inverse of `framesIn`. */
export function partsFor({ partFrameCount, mostPartFrames = partFrameCount }: Ladder, frameCount: number): number {
  let parts = 0;
  let size = partFrameCount;
  let left = frameCount;
  for (; size < mostPartFrames && left > size * STEP_PART_COUNT; parts += STEP_PART_COUNT) {
    left -= size * STEP_PART_COUNT;
    size = Math.min(2 * size, mostPartFrames);
  }
  return parts + Math.ceil(left / size);
}
