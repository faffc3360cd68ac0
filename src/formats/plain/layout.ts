/**
 * The cut of an object that is not sealed. Both sides are the same bytes, in parts of one size but for the last: what a
 * store takes as parts is all that limits it.
 */
import { SealiftError } from '../../errors.ts';
import { formatSize, MiB } from '../../units.ts';
import { COMFORTABLE_PART_COUNT, MAX_PART_COUNT, MAX_PART_SIZE, MIN_PART_SIZE } from '../esdk/plan.ts';
import { DEFAULT_PART_SIZE, type Layout, layoutOf } from '../s3ec/layout.ts';

/**
 * Plans an object to write: in parts of `partSize`, or else of 8 MiB or what 9,500 parts need, in whole MiB. Throws
 * `bad-size`, `too-many-parts`.
 */
export function planLayout(input: { plainSize: number; partSize?: number | undefined }): Layout {
  const { plainSize, partSize = partSizeFor(plainSize) } = input;
  if (!Number.isSafeInteger(plainSize) || plainSize < 0) {
    throw new RangeError(`plainSize: expected a size in whole bytes, got ${plainSize}`);
  }
  if (!Number.isSafeInteger(partSize) || partSize < MIN_PART_SIZE || partSize > MAX_PART_SIZE) {
    throw new SealiftError('bad-size', `Part size ${partSize} bytes cannot be used: S3 takes parts of 5 MiB to 5 GiB`, {
      hint: 'Leave --part-size out: the object gets parts of 8 MiB, or of what it needs.',
    });
  }
  const layout = layoutOf({ plainSize, partSize });
  if (layout.partCount > MAX_PART_COUNT) {
    const reach = `${MAX_PART_COUNT} parts of ${formatSize(partSize)}`;
    throw new SealiftError('too-many-parts', `${formatSize(plainSize)} are more than ${reach} hold`, {
      hint: 'Leave --part-size out: the parts are then as large as the object needs them, up to 5 GiB.',
    });
  }
  return layout;
}

function partSizeFor(plainSize: number): number {
  const needed = MiB * Math.ceil(plainSize / COMFORTABLE_PART_COUNT / MiB);
  return Math.min(MAX_PART_SIZE, Math.max(DEFAULT_PART_SIZE, needed));
}

/** Plans a pipe, as long as it may become in parts that `expectedSize` needs. Throws as `planLayout` does. */
export function planPipe(input: { partSize?: number | undefined; expectedSize?: number | undefined }): Layout {
  const { partSize } = planLayout({ plainSize: input.expectedSize ?? 0, partSize: input.partSize });
  return layoutOf({ plainSize: MAX_PART_COUNT * partSize, partSize });
}
