/**
 * A message of any format, as those see it who open it: it is cut into units, each of which opens by itself. A unit of
 * an ESDK message is a frame, which proves itself. A unit of an S3 Encryption Client's object is a block of the cipher,
 * which proves nothing: opening some gives a hash, and the hashes of all give the tag; but for AES-CBC, which has neither.
 * Of an object that is not sealed it is a byte: the hash of some is their CRC32, and the hashes of all give the object's.
 */
import * as esdk from './esdk/layout.ts';
import { FrameOpener } from './esdk/open-frames.ts';
import { BLOCK_SIZE } from './gcm/message.ts';
import { PartOpener } from './gcm/open-part.ts';
import type { Cut, Message } from './message.ts';
import { PlainPart } from './plain/part.ts';
import { gcmMessageOf } from './s3ec/keys.ts';
import { BlockOpener, sealedRange } from './s3ec/open-blocks.ts';
import { SLICE_SIZE } from './transform.ts';

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
  const unitSize = format === 's3ec' ? BLOCK_SIZE : 1;
  return {
    plainSize,
    unitSize,
    unitCount: Math.max(1, Math.ceil(plainSize / unitSize)),
    partUnitCount: layout.partSize / unitSize,
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
export function sealedRangeOf(message: Message, units: Units): { first: number; last: number } {
  if (message.format === 'esdk') return esdk.sealedRangeOf(message.layout, framesOf(units));
  const span = plainSpanOf(message, units);
  if (message.format === 's3ec' && message.suite.tagSize === 0) return sealedRange(span);
  return { first: span.plainOffset, last: span.plainOffset + span.plainSize - 1 };
}

/**
 * Sealed bytes that are best given to an opener at once, from the first unit on: whole units, which are opened where they
 * lie. Frames that are larger are cut like anything else.
 */
export function sliceSizeOf({ format, layout }: Cut): number {
  if (format !== 'esdk') return SLICE_SIZE;
  const { first, last } = esdk.sealedRangeOf(layout, framesOf({ firstUnit: 1, lastUnit: 1 }));
  const size = last - first + 1;
  const count = Math.round(SLICE_SIZE / size);
  return count > 0 ? count * size : SLICE_SIZE;
}

/** Takes the units' sealed bytes as they come, in pieces of any size. */
export interface UnitOpener {
  push(sealed: Uint8Array): void;
  /**
   * Throws where the bytes are not those of the units. Where these prove nothing, gives their hash: of what is sealed it is
   * secret.
   */
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
  const span = plainSpanOf(message, units);
  if (message.format === 'plain') {
    const bytes = new PlainPart(span, plain);
    return {
      push: (sealed) => bytes.push(sealed),
      finish: () => hashOfCrc32(bytes.finish()),
    };
  }
  const { suite, messageId, keys } = message;
  if (suite.tagSize === 0) {
    const opener = new BlockOpener({ key: keys.contentKey, iv: messageId, ...span, plain });
    return {
      push: (sealed) => opener.push(sealed),
      finish() {
        opener.finish();
        return undefined;
      },
    };
  }
  const gcm = gcmMessageOf(suite, messageId, keys);
  const opener = new PartOpener({ message: gcm, ...span, plain, offset: 0 });
  return {
    push: (sealed) => opener.push(sealed),
    finish: () => opener.finish().hash,
  };
}

/** A CRC32 as a hash of what is not sealed: 4 bytes, big-endian. */
export function hashOfCrc32(crc32: number): Uint8Array {
  const hash = Buffer.alloc(4);
  hash.writeUInt32BE(crc32);
  return hash;
}

/** The inverse of `hashOfCrc32`. */
export function crc32OfHash(hash: Uint8Array): number {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).readUInt32BE();
}

function framesOf({ firstUnit, lastUnit }: Units) {
  return { firstFrame: firstUnit, lastFrame: lastUnit };
}
