/**
 * A part that is not sealed and too large to hold is read twice, as one that is sealed is sealed twice (seal-twice.ts). Pass
 * one sums it up piece by piece. Pass two reads it again while it is sent, and hands a piece to the socket only where its
 * CRC32 is pass one's: a file that changed between the passes sends no piece of its new self. A retry is pass two again.
 */
import { combineCrc32 } from '../formats/crc32.ts';
import { type PlainMessage, partOf } from '../formats/message.ts';
import { fingerprint } from '../formats/plain/fingerprint.ts';
import { PlainPart } from '../formats/plain/part.ts';
import type { Intent, SourceIdentity } from '../ledger/types.ts';
import type { PartBody } from '../stores/store.ts';
import { MiB } from '../units.ts';
import { PlannedFile } from './planned-file.ts';
import { readInto } from './seal-once.ts';
import { sourceChanged } from './source.ts';
import { STANDING, type Stopwatch } from './stopwatch.ts';

interface PartOfFile {
  message: PlainMessage;
  source: SourceIdentity;
  number: number;
}

const PIECE_SIZE = MiB;

/** What a lane holds of a part read twice: pieces on their way. */
export const TWICE_READ_SIZE = 4 * PIECE_SIZE;

/** Pass one. Resolves to the part's intent, and to the body that is pass two each time it is read. */
export async function readTwice(
  input: PartOfFile,
  watch: Stopwatch = STANDING,
): Promise<{ intent: Intent; body: PartBody }> {
  const { message, number } = input;
  const part = partOf(message, number);
  const checksums: number[] = [];
  let crc32 = 0;
  for await (const piece of piecesOf(input, watch)) {
    checksums.push(piece.crc32);
    crc32 = combineCrc32(crc32, piece.crc32, piece.bytes.length);
  }
  const promised = fingerprint({ ...message.keys, part, crc32 });
  return {
    intent: { number, fingerprint: promised, sharedTags: {}, sealedSize: part.sealedSize, crc32 },
    body: { byteLength: part.sealedSize, slices: () => comparedPieces(input, checksums, watch) },
  };
}

async function* comparedPieces(
  input: PartOfFile,
  checksums: readonly number[],
  watch: Stopwatch,
): AsyncGenerator<Uint8Array> {
  let index = 0;
  for await (const { bytes, crc32 } of piecesOf(input, watch)) {
    if (crc32 !== checksums[index++]) throw sourceChanged(input.source);
    watch.enter('network');
    yield bytes;
  }
}

/** The part's bytes in order. All pieces share one buffer: a piece is the reader's until it asks for the next. */
async function* piecesOf(
  { message, source, number }: PartOfFile,
  watch: Stopwatch,
): AsyncGenerator<{ bytes: Buffer; crc32: number }> {
  const { plainOffset, plainSize } = partOf(message, number);
  watch.enter('disk');
  using file = new PlannedFile(source);
  // Left to the collector: where a send ends early, a socket may still point into it.
  const buffer = Buffer.allocUnsafeSlow(PIECE_SIZE);
  for (let done = 0; done < plainSize; done += PIECE_SIZE) {
    const range = { plainOffset: plainOffset + done, plainSize: Math.min(PIECE_SIZE, plainSize - done) };
    const piece = new PlainPart(range, buffer);
    await readInto(piece, file, range, watch);
    yield { bytes: piece.inPlace, crc32: piece.finish() };
  }
  watch.enter('disk');
  file.checkStillPlanned();
}
