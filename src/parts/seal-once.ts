/**
 * A part sealed in one go into a buffer that holds all of it, and what the ledger must know before it is sent. A frame
 * that lies in two parts is sealed with each: both fingerprints cover its tag, and the ledger refuses the second part
 * where the tag is not the first one's.
 */
import { crc32 } from 'node:zlib';
import { type Message, type PartSealer, partOf, sealerOf } from '../formats/message.ts';
import { release } from '../formats/release.ts';
import type { Intent, SourceIdentity } from '../ledger/types.ts';
import { type ObjectAccess, openInto } from './open-source.ts';
import { PlannedFile, READ_SIZE } from './planned-file.ts';
import { STANDING, type Stopwatch } from './stopwatch.ts';
import type { Announced, PartSource } from './task.ts';

/** One part of one message, and where its plain bytes are. */
export interface PartToSeal {
  message: Message;
  source: PartSource;
  /** Leads the first part of an ESDK message: header body and tag. */
  header: Uint8Array;
  number: number;
}

/** A part in a buffer, and what the ledger is to hear of it. */
export type HeldPart = Announced & { sealed: Uint8Array };

/**
 * Reads and seals one part into `buffer`; `sealed` is where in it. Plain bytes that came from a pipe are released.
 * Throws `source-changed` where the source is not the planned file. `from` is where an object is.
 */
export async function sealInto(
  buffer: Buffer,
  { message, source, header, number }: PartToSeal,
  from?: Omit<ObjectAccess, 'watch'>,
  watch: Stopwatch = STANDING,
): Promise<HeldPart> {
  const sealer = sealerOf(message, { number, header, sealed: buffer });
  let plainCrc32: number | undefined;
  if ('plain' in source) {
    watch.enter('cipher');
    sealer.push(source.plain);
    release(new Uint8Array(source.plain.buffer));
  } else if ('object' in source) {
    plainCrc32 = await openInto(sealer, source, { ...from!, watch, ownSize: partOf(message, number).plainSize });
  } else {
    await readFile(sealer, source, watch);
  }
  watch.enter('checksum');
  const { sealed, hash, crc32: known, ...promised } = sealer.finish();
  const checksum = known ?? crc32(sealed);
  return { sealed, hash, plainCrc32, intent: { number, ...promised, sealedSize: sealed.length, crc32: checksum } };
}

/**
 * The last part, once all parts have led to what the message ends with, a signature or a tag: it stands behind the sealed
 * bytes, in the room that is left in the buffer. The fingerprint stays, for it is that of what stands before.
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

async function readFile(sealer: PartSealer, source: SourceIdentity, watch: Stopwatch): Promise<void> {
  watch.enter('disk');
  using file = new PlannedFile(source);
  await readInto(sealer, file, sealer.range, watch);
  watch.enter('disk');
  file.checkStillPlanned();
}

/** Gives the sealer the plain bytes of `range`. Throws `source-changed` where the file ends inside it. */
export async function readInto(
  sealer: Pick<PartSealer, 'inPlace' | 'push'>,
  file: PlannedFile,
  { plainOffset, plainSize }: PartSealer['range'],
  watch: Stopwatch,
): Promise<void> {
  const { inPlace } = sealer;
  const buffer = inPlace ?? Buffer.allocUnsafeSlow(Math.min(READ_SIZE, plainSize));
  for (let done = 0; done < plainSize; ) {
    const offset = inPlace ? done : 0;
    watch.enter('disk');
    const bytesRead = await file.read(buffer, { offset, size: plainSize - done, position: plainOffset + done });
    watch.enter(inPlace ? 'checksum' : 'cipher');
    sealer.push(buffer.subarray(offset, offset + bytesRead));
    done += bytesRead;
  }
  if (!inPlace) release(buffer);
}
