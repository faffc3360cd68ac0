/**
 * What an earlier run wrote, read back. The ledger knows what was verified, not what has become of the file since: it
 * lay there for hours or days, and whoever may write to it, or a bad disk, may have changed it. The ledger's rows are
 * authenticated, so the CRC in them is what was verified.
 */
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { PartSealer } from '../formats/gcm/seal-part.ts';
import type { S3ecMessage } from '../formats/message.ts';
import { release } from '../formats/release.ts';
import { gcmMessageOf } from '../formats/s3ec/keys.ts';
import type { WrittenPiece } from '../ledger/ledger.ts';
import { MiB } from '../units.ts';
import type { Piece } from './pieces.ts';

const READ_SIZE = MiB;

/** Whether the file at `path` holds the piece as it was written. One that cannot be read does not. */
export async function isAsWritten(path: string, piece: Piece, written: WrittenPiece): Promise<boolean> {
  try {
    return (await crc32Of(path, piece)) === written.crc32;
  } catch {
    // Fetching it again is right whatever the reason, and tells it if the file cannot be written either.
    return false;
  }
}

/**
 * The hash that the piece's sealed bytes have: it is sealed again, in memory. Of a get of the whole object, where a piece
 * lies in the file where it does in the message.
 */
export async function hashOfWritten(
  path: string,
  piece: Piece,
  { suite, messageId, keys }: S3ecMessage,
): Promise<Uint8Array> {
  const sealed = Buffer.allocUnsafeSlow(piece.plainSize);
  try {
    const sealer = new PartSealer({ message: gcmMessageOf(suite, messageId, keys), ...piece, sealed, offset: 0 });
    await readPiece(path, piece, (plain) => sealer.push(plain));
    return sealer.finish().hash;
  } finally {
    release(sealed);
  }
}

/** Undefined where the file ends before the piece does. */
async function crc32Of(path: string, piece: Piece): Promise<number | undefined> {
  let crc = 0;
  const isWhole = await readPiece(path, piece, (plain) => {
    crc = crc32(plain, crc);
  });
  return isWhole ? crc : undefined;
}

/** Resolves to false where the file ends before the piece does. What `take` is given is its own until it returns. */
async function readPiece(
  path: string,
  { plainOffset, plainSize }: Piece,
  take: (plain: Buffer) => void,
): Promise<boolean> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, plainSize));
  const file = await open(path, 'r');
  try {
    for (let done = 0; done < plainSize; ) {
      const wanted = Math.min(buffer.length, plainSize - done);
      const { bytesRead } = await file.read(buffer, 0, wanted, plainOffset + done);
      if (bytesRead === 0) return false;
      take(buffer.subarray(0, bytesRead));
      done += bytesRead;
    }
    return true;
  } finally {
    await file.close();
    release(buffer);
  }
}
