/**
 * A part sealed in one go into a buffer that holds all of it, and what the ledger must know before it is sent. A frame
 * that lies in two parts is sealed with each: both fingerprints cover its tag, and the ledger refuses the second part
 * where the tag is not the first one's.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fingerprint } from '../formats/esdk/fingerprint.ts';
import { TAG_SIZE } from '../formats/esdk/frame.ts';
import type { FrameRange, Layout, Part } from '../formats/esdk/layout.ts';
import { PartSealer } from '../formats/esdk/seal-frames.ts';
import { release } from '../formats/release.ts';
import type { Intent, SourceIdentity } from '../ledger/types.ts';
import { MiB } from '../units.ts';
import { checkStillPlanned, openPlannedSource, sourceChanged } from './source.ts';
import type { Message, PartSource } from './task.ts';

/** Bytes a read asks for. Big enough to make the hop through the I/O pool cheap, small enough to stay in cache. */
const READ_SIZE = MiB;

type PlainRange = Pick<FrameRange, 'plainOffset' | 'plainSize'>;

/** One part of one message, and where its plain bytes are. */
export interface PartToSeal {
  message: Message;
  source: PartSource;
  /** Header body and tag; they lead the first part. */
  header: Uint8Array;
  part: Part;
}

/** Bytes that `sealInto` needs: the part's, and those that its first and its last frame have in other parts. */
export function roomFor({ isFirst, frames }: Part, { headerSize }: Pick<Layout, 'headerSize'>): number {
  return (isFirst ? headerSize : 0) + frames.sealedSize;
}

/**
 * Reads and seals one part into `buffer`; `sealed` is where in it. Plain bytes that came from a pipe are released.
 * Throws `source-changed` where the source is not the planned file.
 */
export async function sealInto(buffer: Buffer, input: PartToSeal): Promise<{ sealed: Buffer; intent: Intent }> {
  const { message, source, header, part } = input;
  const { frames } = part;
  const offset = part.isFirst ? header.length : 0;
  if (part.isFirst) buffer.set(header);
  const sealer = new PartSealer({ ...message, frames, sealed: buffer, offset });
  if ('plain' in source) {
    sealer.push(source.plain);
    release(new Uint8Array(source.plain.buffer));
  } else {
    await readFile(sealer, frames, source);
  }
  const { tags } = sealer.finish();
  const start = part.sealedOffset - (frames.sealedOffset - offset);
  const sealed = buffer.subarray(start, start + part.sealedSize);
  return { sealed, intent: intentOf(input, { tags, sealedSize: sealed.length, crc32: crc32(sealed) }) };
}

/**
 * The last part of a signed message, once there is a signature: its footer stands behind its frames, in the room that
 * is left in the buffer. The fingerprint stays, for it is that of the frames.
 */
export function withFooter(
  { intent, sealed }: { intent: Intent; sealed: Uint8Array },
  footer: Uint8Array,
): { intent: Intent; sealed: Uint8Array } {
  const whole = new Uint8Array(sealed.buffer, sealed.byteOffset, sealed.length + footer.length);
  whole.set(footer, sealed.length);
  const checksum = crc32(footer, intent.crc32);
  return { intent: { ...intent, sealedSize: whole.length, crc32: checksum, footer }, sealed: whole };
}

/** What is written down about a sealed part before it leaves. `tags` are all its frames' tags, in order. */
export function intentOf(
  { message, header, part }: PartToSeal,
  { tags, sealedSize, crc32 }: { tags: Buffer; sealedSize: number; crc32: number },
): Intent {
  const headerTag = part.isFirst ? header.subarray(header.length - TAG_SIZE) : undefined;
  const { ledgerKey } = message.keys;
  return {
    number: part.number,
    fingerprint: fingerprint({ ledgerKey, format: 'esdk', part, headerTag, tags }),
    sealedSize,
    crc32,
    sharedTags: sharedTagsOf(part, tags),
  };
}

/** Of the frames that have bytes outside the part, by number. */
function sharedTagsOf({ frames, sealedOffset, sealedSize }: Part, tags: Buffer): Intent['sharedTags'] {
  const isCutInFront = frames.sealedOffset < sealedOffset;
  const isCutBehind = frames.sealedOffset + frames.sealedSize > sealedOffset + sealedSize;
  return {
    ...(isCutInFront ? { [frames.firstFrame]: tags.toString('hex', 0, TAG_SIZE) } : {}),
    ...(isCutBehind ? { [frames.lastFrame]: tags.toString('hex', tags.length - TAG_SIZE) } : {}),
  };
}

async function readFile(sealer: PartSealer, range: PlainRange, source: SourceIdentity): Promise<void> {
  const file = await openPlannedSource(source);
  try {
    await readInto(sealer, file, range, source);
    await checkStillPlanned(source, file);
  } finally {
    await file.close();
  }
}

/** Gives the sealer the plain bytes of `range`. Throws `source-changed` where the file ends inside it. */
export async function readInto(
  sealer: PartSealer,
  file: FileHandle,
  { plainOffset, plainSize }: PlainRange,
  source: SourceIdentity,
): Promise<void> {
  const slice = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, plainSize));
  for (let done = 0; done < plainSize; ) {
    const want = Math.min(slice.length, plainSize - done);
    const { bytesRead } = await file.read(slice, 0, want, plainOffset + done);
    if (bytesRead === 0) throw sourceChanged(source, { ...source, size: plainOffset + done });
    sealer.push(slice.subarray(0, bytesRead));
    done += bytesRead;
  }
  release(slice);
}
