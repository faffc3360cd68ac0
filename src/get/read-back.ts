/**
 * What an earlier run wrote, read back. The ledger knows what was verified, not what has become of the file since: it
 * lay there for hours or days, and whoever may write to it, or a bad disk, may have changed it. The ledger's rows are
 * authenticated, so the CRC in them is what was verified.
 */
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { release } from '../formats/release.ts';
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

/** Undefined where the file ends before the piece does. */
async function crc32Of(path: string, { plainOffset, plainSize }: Piece): Promise<number | undefined> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, plainSize));
  const file = await open(path, 'r');
  try {
    let crc = 0;
    for (let done = 0; done < plainSize; ) {
      const wanted = Math.min(buffer.length, plainSize - done);
      const { bytesRead } = await file.read(buffer, 0, wanted, plainOffset + done);
      if (bytesRead === 0) return undefined;
      crc = crc32(buffer.subarray(0, bytesRead), crc);
      done += bytesRead;
    }
    return crc;
  } finally {
    await file.close();
    release(buffer);
  }
}
