/**
 * A message of either format, as those see it who open it: it is cut into units, each of which opens by itself. A unit of
 * an ESDK message is a frame, which proves itself. A unit of an S3 Encryption Client's object is a block of the cipher,
 * which proves nothing: opening some gives a hash, and the hashes of all give the tag.
 */
import * as esdk from './esdk/layout.ts';
import { FrameOpener } from './esdk/open-frames.ts';
import { BLOCK_SIZE } from './gcm/message.ts';
import { PartOpener } from './gcm/open-part.ts';
import type { Cut, Message } from './message.ts';
import { gcmMessageOf } from './s3ec/keys.ts';

/** The cut, in units. */
export interface Grid {
  plainSize: number;
  /** Plain bytes of every unit but the last. */
  unitSize: number;
  /** At least one. The last may be empty. */
  unitCount: number;
  /** Units in every part but the last. */
  partUnitCount: number;
  partCount: number;
}

/** Neighbouring units, counted from 1, both inclusive. */
export interface Units {
  firstUnit: number;
  lastUnit: number;
}

export function gridOf({ format, layout }: Cut): Grid {
  const { plainSize, partCount } = layout;
  if (format === 'esdk') {
    const { frameSize, frameCount, partFrameCount } = layout;
    return { plainSize, unitSize: frameSize, unitCount: frameCount, partUnitCount: partFrameCount, partCount };
  }
  return {
    plainSize,
    unitSize: BLOCK_SIZE,
    unitCount: Math.max(1, Math.ceil(plainSize / BLOCK_SIZE)),
    partUnitCount: layout.partSize / BLOCK_SIZE,
    partCount,
  };
}

/**
 * The units that hold plain bytes, both ends inclusive; of an empty range those of an empty message. A range that touches
 * the end takes in the last unit even where that is an empty frame: it is what shows that nothing is missing behind it.
 */
export function unitsCovering(cut: Cut, { first, last }: { first: number; last: number }): Units {
  const { plainSize, unitSize, unitCount } = gridOf(cut);
  const unitOf = (offset: number) => Math.floor(offset / unitSize) + 1;
  return {
    firstUnit: last < first ? 1 : unitOf(first),
    lastUnit: last >= plainSize - 1 ? unitCount : unitOf(last),
  };
}

/** The plain bytes that units hold. */
export function plainSpanOf(cut: Cut, { firstUnit, lastUnit }: Units): { plainOffset: number; plainSize: number } {
  const { unitSize, plainSize } = gridOf(cut);
  const plainOffset = (firstUnit - 1) * unitSize;
  return { plainOffset, plainSize: Math.min(lastUnit * unitSize, plainSize) - plainOffset };
}

/** The sealed bytes to ask a store for, both inclusive; `last` < `first` where there are none. */
export function sealedRangeOf(cut: Cut, units: Units): { first: number; last: number } {
  if (cut.format === 'esdk') return esdk.sealedRangeOf(cut.layout, framesOf(units));
  const { plainOffset, plainSize } = plainSpanOf(cut, units);
  return { first: plainOffset, last: plainOffset + plainSize - 1 };
}

/** Takes the units' sealed bytes as they come, in pieces of any size. */
export interface UnitOpener {
  push(sealed: Uint8Array): void;
  /** Throws where the bytes are not those of the units. Where these prove nothing, gives their hash, which is secret. */
  finish(): Uint8Array | undefined;
}

/** Opens units into `plain`, from its start. Its bytes are the caller's to read once `finish` has returned. */
export function unitOpener(message: Message, units: Units, plain: Buffer): UnitOpener {
  if (message.format === 'esdk') {
    const opener = new FrameOpener({ ...message, ...framesOf(units), plain, offset: 0 });
    return {
      push: (sealed) => opener.push(sealed),
      finish() {
        opener.finish();
        return undefined;
      },
    };
  }
  const { suite, messageId, keys } = message;
  const gcm = gcmMessageOf(suite, messageId, keys);
  const opener = new PartOpener({ message: gcm, ...plainSpanOf(message, units), plain, offset: 0 });
  return {
    push: (sealed) => opener.push(sealed),
    finish: () => opener.finish().hash,
  };
}

function framesOf({ firstUnit, lastUnit }: Units) {
  return { firstFrame: firstUnit, lastFrame: lastUnit };
}
