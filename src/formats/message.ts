/**
 * A message of any format, as those see it who move its parts: it is cut, its parts are sealed in any order on any
 * thread, and each is promised by a fingerprint. What the formats do differently stays behind these functions; that the
 * parts of one of them are not sealed at all, too.
 */
import type { KeyObject } from 'node:crypto';
import { fingerprint as esdkFingerprint } from './esdk/fingerprint.ts';
import { TAG_SIZE } from './esdk/frame.ts';
import type { MessageKeys } from './esdk/keys.ts';
import * as esdk from './esdk/layout.ts';
import { endedAt as framesEndedAt } from './esdk/plan.ts';
import { PartSealer as FrameSealer } from './esdk/seal-frames.ts';
import { PartSealer as BlockSealer } from './gcm/seal-part.ts';
import { fingerprint as plainFingerprint } from './plain/fingerprint.ts';
import { PlainPart } from './plain/part.ts';
import { fingerprint as s3ecFingerprint } from './s3ec/fingerprint.ts';
import { gcmMessageOf, type ObjectKeys } from './s3ec/keys.ts';
import * as s3ec from './s3ec/layout.ts';
import type { Suite } from './s3ec/suites.ts';

/** What every part of one message shares. Plain data: it crosses threads. */
export type Message = EsdkMessage | S3ecMessage | PlainMessage;

export interface EsdkMessage {
  format: 'esdk';
  layout: esdk.Layout;
  messageId: Uint8Array;
  keys: MessageKeys;
}

export interface S3ecMessage {
  format: 's3ec';
  layout: s3ec.Layout;
  suite: Suite;
  messageId: Uint8Array;
  keys: ObjectKeys;
}

/** Bytes that are not sealed. It has no data key, but a key for its ledger, from a root that is no secret. */
export interface PlainMessage {
  format: 'plain';
  layout: s3ec.Layout;
  keys: { ledgerKey: KeyObject };
}

/** A format and the cut that goes with it. */
export type Cut =
  | Pick<EsdkMessage, 'format' | 'layout'>
  | Pick<S3ecMessage, 'format' | 'layout'>
  | Pick<PlainMessage, 'format' | 'layout'>;

/** One part of the cut, as all formats have it. What stands at a message's end, a signature or a tag, is not in it. */
export type Part = s3ec.Part;

/** Part `number`, from 1. */
export function partOf(cut: Cut, number: number): Part {
  return cut.format === 'esdk' ? esdk.partOf(cut.layout, number) : s3ec.partOf(cut.layout, number);
}

/** The plain bytes that are sealed with part `number`: of a frame that lies in two parts, all of them with both. */
export function plainRangeOf(cut: Cut, number: number): PlainRange {
  return cut.format === 'esdk' ? esdk.partOf(cut.layout, number).frames : s3ec.partOf(cut.layout, number);
}

export type PlainRange = Readonly<{ plainOffset: number; plainSize: number }>;

/** A pipe's cut once its end is known: all parts before that are as they were. */
export function endedAt<Whole extends Cut>(cut: Whole, plainSize: number): Whole {
  const layout =
    cut.format === 'esdk' ? framesEndedAt(cut.layout, plainSize) : s3ec.layoutOf({ ...cut.layout, plainSize });
  return { ...cut, layout };
}

/** Bytes that a part takes while it is sealed: its own, and those that its first and its last frame have in other parts. */
export function roomFor(cut: Cut, number: number): number {
  if (cut.format !== 'esdk') return s3ec.partOf(cut.layout, number).sealedSize;
  const { isFirst, frames } = esdk.partOf(cut.layout, number);
  return (isFirst ? cut.layout.headerSize : 0) + frames.sealedSize;
}

/** A part once it is sealed. */
export interface SealedPart {
  /** Its bytes, in the buffer that was given. */
  sealed: Buffer;
  /** What the part must have again whenever it is sealed again. */
  fingerprint: Buffer;
  /** Tags, in hex, of the frames that it shares with other parts, by frame number. */
  sharedTags: Readonly<Record<number, string>>;
  /** Of a part of one GCM message: what its tag is made from. Secret. */
  hash?: Uint8Array | undefined;
  /** Of `sealed`, where it is known already. */
  crc32?: number | undefined;
}

/** Takes a part's plain bytes as they come, in pieces of any size. */
export interface PartSealer {
  /** The plain bytes it takes. */
  readonly range: PlainRange;
  /** Where they are best put, each at its place, before they are pushed: what is not sealed goes up from there. */
  readonly inPlace?: Buffer | undefined;
  push(plain: Uint8Array): void;
  /** Throws RangeError unless exactly these plain bytes were pushed. */
  finish(): SealedPart;
}

export interface SealingInput {
  number: number;
  /** Leads the first part of an ESDK message: header body and tag. */
  header: Uint8Array;
  /** As large as `roomFor` says, at least. */
  sealed: Buffer;
}

export function sealerOf(message: Message, input: SealingInput): PartSealer {
  switch (message.format) {
    case 'esdk':
      return esdkSealer(message, input);
    case 's3ec':
      return s3ecSealer(message, input);
    case 'plain':
      return plainSealer(message, input);
  }
}

function esdkSealer(message: EsdkMessage, { number, header, sealed }: SealingInput): PartSealer {
  const part = esdk.partOf(message.layout, number);
  const { frames } = part;
  const offset = part.isFirst ? header.length : 0;
  if (part.isFirst) sealed.set(header, 0);
  const sealer = new FrameSealer({ ...message, frames, sealed, offset });
  return {
    range: frames,
    push: (plain) => sealer.push(plain),
    finish: () => {
      const { tags } = sealer.finish();
      const start = part.sealedOffset - (frames.sealedOffset - offset);
      return { sealed: sealed.subarray(start, start + part.sealedSize), ...promiseOf(message, { part, header, tags }) };
    },
  };
}

/** What is promised of a part of an ESDK message. `tags` are all its frames' tags, in order. */
export function promiseOf(
  { keys: { ledgerKey } }: EsdkMessage,
  { part, header, tags }: { part: esdk.Part; header: Uint8Array; tags: Buffer },
): Pick<SealedPart, 'fingerprint' | 'sharedTags'> {
  const headerTag = part.isFirst ? header.subarray(header.length - TAG_SIZE) : undefined;
  return {
    fingerprint: esdkFingerprint({ ledgerKey, format: 'esdk', part, headerTag, tags }),
    sharedTags: sharedTagsOf(part, tags),
  };
}

/** Of the frames that have bytes outside the part, by number. */
function sharedTagsOf({ frames, sealedOffset, sealedSize }: esdk.Part, tags: Buffer): SealedPart['sharedTags'] {
  const isCutInFront = frames.sealedOffset < sealedOffset;
  const isCutBehind = frames.sealedOffset + frames.sealedSize > sealedOffset + sealedSize;
  return {
    ...(isCutInFront ? { [frames.firstFrame]: tags.toString('hex', 0, TAG_SIZE) } : {}),
    ...(isCutBehind ? { [frames.lastFrame]: tags.toString('hex', tags.length - TAG_SIZE) } : {}),
  };
}

function s3ecSealer({ layout, suite, messageId, keys }: S3ecMessage, { number, sealed }: SealingInput): PartSealer {
  const part = s3ec.partOf(layout, number);
  const message = gcmMessageOf(suite, messageId, keys);
  const sealer = new BlockSealer({ ...part, message, sealed, offset: 0 });
  return {
    range: part,
    push: (plain) => sealer.push(plain),
    finish: () => {
      const { size, hash } = sealer.finish();
      const fingerprint = s3ecFingerprint({ ledgerKey: keys.ledgerKey, part, hash });
      return { sealed: sealed.subarray(0, size), fingerprint, sharedTags: {}, hash };
    },
  };
}

function plainSealer({ layout, keys: { ledgerKey } }: PlainMessage, { number, sealed }: SealingInput): PartSealer {
  const part = s3ec.partOf(layout, number);
  const bytes = new PlainPart(part, sealed);
  return {
    range: part,
    inPlace: bytes.inPlace,
    push: (plain) => bytes.push(plain),
    finish: () => {
      const crc32 = bytes.finish();
      return {
        sealed: bytes.inPlace,
        fingerprint: plainFingerprint({ ledgerKey, part, crc32 }),
        sharedTags: {},
        crc32,
      };
    },
  };
}
