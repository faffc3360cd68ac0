/**
 * A part too large to hold is sealed twice. Pass one seals it piece by piece into one small buffer and keeps what must
 * be known before a byte may leave: every frame's tag, the size, the CRC32, and from them the fingerprint. Pass two
 * seals it again while it is sent, and hands a piece to the socket only after the tags of its frames equal pass one's:
 * a file that changed between the passes, even behind the back of its times, sends not one changed frame. A retry is
 * pass two again.
 */
import { crc32 } from 'node:zlib';
import { TAG_SIZE } from '../formats/esdk/frame.ts';
import { FINAL_OVERHEAD, FRAME_OVERHEAD, frameRange, partOf } from '../formats/esdk/layout.ts';
import { PartSealer } from '../formats/esdk/seal-frames.ts';
import { type EsdkMessage, promiseOf } from '../formats/message.ts';
import type { Intent, SourceIdentity } from '../ledger/types.ts';
import type { PartBody } from '../stores/store.ts';
import { MiB } from '../units.ts';
import { PlannedFile } from './planned-file.ts';
import { type PartToSeal, readInto } from './seal-once.ts';
import { sourceChanged } from './source.ts';
import { STANDING, type Stopwatch } from './stopwatch.ts';

/** Only a file can be read a second time, and only messages of frames have parts so large. */
type PartOfFile = PartToSeal & { source: SourceIdentity; message: EsdkMessage };

/** Plain bytes of a piece, at least: whole frames. */
const PIECE_SIZE = MiB;

/** What a lane holds of a part sealed twice: pieces on their way, and 16 bytes a frame. */
export function pieceMemoryOf({ frameSize, partFrameCount }: { frameSize: number; partFrameCount: number }): number {
  return 4 * Math.max(PIECE_SIZE, frameSize) + 2 * TAG_SIZE * partFrameCount;
}

/** Pass one. Resolves to the part's intent, and to the body that is pass two each time it is read. */
export async function sealTwice(
  input: PartOfFile,
  watch: Stopwatch = STANDING,
): Promise<{ intent: Intent; body: PartBody }> {
  const { message, number, header } = input;
  const part = partOf(message.layout, number);
  const tags = Buffer.alloc(part.frames.frameCount * TAG_SIZE);
  let checksum = 0;
  let size = 0;
  let offset = 0;
  for await (const piece of sealedPieces(input, watch)) {
    watch.enter('checksum');
    checksum = crc32(piece.sealed, checksum);
    size += piece.sealed.length;
    offset += piece.tags.copy(tags, offset);
  }
  return {
    intent: {
      number,
      ...promiseOf(message, { part, header, tags }),
      sealedSize: size,
      crc32: checksum,
    },
    body: { byteLength: size, slices: () => comparedPieces(input, tags, watch) },
  };
}

async function* comparedPieces(input: PartOfFile, tags: Buffer, watch: Stopwatch): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for await (const piece of sealedPieces(input, watch)) {
    const before = tags.subarray(offset, offset + piece.tags.length);
    if (!piece.tags.equals(before)) throw sourceChanged(input.source);
    offset += piece.tags.length;
    watch.enter('network');
    yield piece.sealed;
  }
}

interface Piece {
  sealed: Buffer;
  tags: Buffer;
}

/** The part's sealed bytes in order. All pieces share one buffer: a piece is the reader's until it asks for the next. */
async function* sealedPieces({ message, source, header, number }: PartOfFile, watch: Stopwatch): AsyncGenerator<Piece> {
  const part = partOf(message.layout, number);
  if (part.isFirst) yield { sealed: Buffer.from(header), tags: Buffer.alloc(0) };
  const { layout } = message;
  const pieceFrames = Math.max(1, Math.floor(PIECE_SIZE / layout.frameSize));
  const { frames } = part;
  const end = part.sealedOffset + part.sealedSize;
  watch.enter('disk');
  using file = new PlannedFile(source);
  // Left to the collector: where a send ends early, a socket may still point into it.
  const buffer = Buffer.allocUnsafeSlow(pieceFrames * (layout.frameSize + FRAME_OVERHEAD) + FINAL_OVERHEAD);
  for (let firstFrame = frames.firstFrame; firstFrame <= frames.lastFrame; firstFrame += pieceFrames) {
    const lastFrame = Math.min(firstFrame + pieceFrames - 1, frames.lastFrame);
    const piece = frameRange(layout, { firstFrame, lastFrame });
    const sealer = new PartSealer({ ...message, frames: piece, sealed: buffer, offset: 0 });
    await readInto(sealer, file, piece, watch);
    const { size, tags } = sealer.finish();
    // Of a frame that lies in two parts, this part's side.
    const from = Math.max(0, part.sealedOffset - piece.sealedOffset);
    yield { sealed: buffer.subarray(from, Math.min(size, end - piece.sealedOffset)), tags };
  }
  watch.enter('disk');
  file.checkStillPlanned();
}
