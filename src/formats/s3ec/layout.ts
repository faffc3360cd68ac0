/**
 * The arithmetic of the cut. An object is its plain bytes, sealed, and then the tag, which stands outside the layout: it
 * is known only when all parts are sealed. Nothing stands before or between them, so both sides of a part are alike.
 * Every part but the last is whole blocks of the cipher.
 */
import { SealiftError } from '../../errors.ts';
import { formatSize, GiB, MiB } from '../../units.ts';
import { BLOCK_SIZE, MAX_PLAIN_SIZE, TAG_SIZE } from '../gcm/message.ts';

/** Plain bytes a part where nobody chose otherwise. In 10,000 parts of this size is more than a message can have. */
export const DEFAULT_PART_SIZE = 8 * MiB;

/** S3's limits. The last part of an object has no least size. */
const MIN_PART_SIZE = 5 * MiB;
const MAX_PART_SIZE = 5 * GiB;
const MAX_PART_COUNT = 10_000;

export interface Layout {
  plainSize: number;
  /** Without the tag. */
  sealedSize: number;
  /** Plain bytes in every part but the last. */
  partSize: number;
  partCount: number;
}

export interface Part {
  number: number;
  index: number;
  plainOffset: number;
  plainSize: number;
  sealedOffset: number;
  sealedSize: number;
  isFirst: boolean;
  isLast: boolean;
}

/** Plans an object to write. Throws `too-large`, `bad-size`, `too-many-parts`. */
export function planLayout(input: { plainSize: number; partSize?: number | undefined }): Layout {
  const { plainSize, partSize = DEFAULT_PART_SIZE } = input;
  if (!Number.isSafeInteger(plainSize) || plainSize < 0) {
    throw new RangeError(`plainSize: expected a size in whole bytes, got ${plainSize}`);
  }
  if (plainSize > MAX_PLAIN_SIZE) {
    throw new SealiftError('too-large', `${plainSize} bytes are more than --format s3ec can seal: ${MAX_PLAIN_SIZE}`, {
      hint: 'An object of the S3 Encryption Client is one AES-GCM message, which holds 64 GiB less 32 bytes. Give --format esdk.',
    });
  }
  const size = BLOCK_SIZE * Math.ceil(partSize / BLOCK_SIZE);
  if (!Number.isSafeInteger(partSize) || partSize < MIN_PART_SIZE || size + TAG_SIZE > MAX_PART_SIZE) {
    throw new SealiftError('bad-size', `Part size ${partSize} bytes cannot be used: S3 takes parts of 5 MiB to 5 GiB`, {
      hint: `Leave --part-size out: ${formatSize(DEFAULT_PART_SIZE)} suit every object of this format.`,
    });
  }
  const layout = layoutOf({ plainSize, partSize: size });
  if (layout.partCount > MAX_PART_COUNT) {
    throw new SealiftError('too-many-parts', `Parts of ${size} bytes would be more than ${MAX_PART_COUNT}`, {
      hint: `Leave --part-size out: ${formatSize(DEFAULT_PART_SIZE)} suit every object of this format.`,
    });
  }
  return layout;
}

/**
 * Plans a pipe, as long as it may become. Its parts need not grow: of the size that is chosen where nobody chooses, they
 * reach as far as a message does. Throws as `planLayout` does where they do not reach `expectedSize`.
 */
export function planPipe(input: { partSize?: number | undefined; expectedSize?: number | undefined }): Layout {
  const { partSize, expectedSize = 0 } = input;
  const { partSize: size } = planLayout({ plainSize: expectedSize, partSize });
  return planLayout({ plainSize: Math.min(MAX_PLAIN_SIZE, MAX_PART_COUNT * size), partSize });
}

/** The layout of an object to read, of which only the sealed size is known. Throws `truncated` where none has this size. */
export function layoutOfObject(input: { sealedSize: number; tagSize: number; partSize?: number }): Layout {
  const { sealedSize, tagSize, partSize = DEFAULT_PART_SIZE } = input;
  const plainSize = sealedSize - tagSize;
  if (plainSize < 0 || plainSize > MAX_PLAIN_SIZE) {
    throw new SealiftError('truncated', `No object of this suite is ${sealedSize} bytes long`, {
      hint: 'The object was cut short, or bytes were added to it. Fetch another version or another copy of it.',
    });
  }
  return layoutOf({ plainSize, partSize });
}

/** Fills in what follows from the rest. */
export function layoutOf({ plainSize, partSize }: Pick<Layout, 'plainSize' | 'partSize'>): Layout {
  const partCount = Math.max(1, Math.ceil(plainSize / partSize));
  return { plainSize, sealedSize: plainSize, partSize, partCount };
}

/** Part `number`, from 1. The parts of a layout tile it. */
export function partOf({ plainSize, partSize, partCount }: Layout, number: number): Part {
  if (!Number.isInteger(number) || number < 1 || number > partCount) {
    throw new RangeError(`number: expected a part from 1 to ${partCount}, got ${number}`);
  }
  const index = number - 1;
  const offset = index * partSize;
  const isLast = number === partCount;
  const size = (isLast ? plainSize : offset + partSize) - offset;
  return {
    number,
    index,
    plainOffset: offset,
    plainSize: size,
    sealedOffset: offset,
    sealedSize: size,
    isFirst: index === 0,
    isLast,
  };
}
