/**
 * A Parquet file of a list as rows: some thousand at a time are taken out of it, and no other columns than are asked for.
 * What is held beside them is these columns of one row group, packed as they are: Parquet has no smaller piece that can be
 * fetched by itself.
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { SealiftError } from '../../errors.ts';
import { formatSize, MiB } from '../../units.ts';
import { badManifest, type StoredFile } from './stored-file.ts';

/** Rows unpacked at once. Less is no gain, for what lies packed together is unpacked together. */
const WINDOW_COUNT = 20_000;

/** Writers aim at 128 MiB for all columns together. */
const MAX_GROUP_SIZE = 128 * MiB;

/** Packings that the reader does not bring along. */
const compressors = {
  GZIP: (bytes: Uint8Array) => gunzipSync(bytes),
  BROTLI: (bytes: Uint8Array) => brotliDecompressSync(bytes),
  ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes),
};

/** From row `first` on, counted from 0. Columns that the file lacks are missing in its rows. Throws `bad-manifest`. */
export async function* parquetRows(
  file: StoredFile,
  { columns, first }: { columns: readonly string[]; first: number },
): AsyncGenerator<Record<string, unknown>, void> {
  const { parquetScan, parquetSchema } = await import('hyparquet');
  const pieces = new KeptPieces(file);
  try {
    const scan = await parquetScan({ file: pieces, compressors, useOffsetIndex: false });
    const names = parquetSchema(scan.metadata).children.map(({ element }) => element.name);
    const wanted = columns.filter((name) => names.includes(name));
    for (const group of scan.ranges) {
      pieces.clear();
      for (let rowStart = Math.max(group.rowStart, first); rowStart < group.rowEnd; rowStart += WINDOW_COUNT) {
        const rowEnd = Math.min(rowStart + WINDOW_COUNT, group.rowEnd);
        const values = await Promise.all(wanted.map((column) => scan.readColumn({ column, rowStart, rowEnd })));
        if (values.some(({ length }) => length !== rowEnd - rowStart)) {
          throw badManifest(file.url, 'it has fewer rows than it says', 'It may be damaged.');
        }
        for (let row = 0; row < rowEnd - rowStart; row++) {
          yield Object.fromEntries(wanted.map((column, index) => [column, values[index]![row]]));
        }
      }
    }
  } catch (thrown) {
    if (thrown instanceof SealiftError) throw thrown;
    throw badManifest(
      file.url,
      `it cannot be read as Parquet: ${(thrown as Error).message}`,
      'It may be damaged.',
      thrown,
    );
  }
}

/** What was fetched of a row group, for all windows of it. */
class KeptPieces {
  readonly byteLength: number;
  readonly #file: StoredFile;
  readonly #pieces = new Map<string, Promise<ArrayBuffer>>();
  #size = 0;

  constructor(file: StoredFile) {
    this.byteLength = file.size;
    this.#file = file;
  }

  /** The next row group begins. */
  clear(): void {
    this.#pieces.clear();
    this.#size = 0;
  }

  /** Throws `bad-manifest` where it becomes too much to be held. */
  slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    const range = `${start}-${end}`;
    const kept = this.#pieces.get(range);
    if (kept) return kept;
    this.#size += end - start;
    if (this.#size > MAX_GROUP_SIZE) {
      const why = `its row groups are larger than ${formatSize(MAX_GROUP_SIZE)}, and one is held in memory`;
      throw badManifest(this.#file.url, why, 'Have the inventory written as CSV.');
    }
    const piece = this.#file.slice(start, end);
    this.#pieces.set(range, piece);
    return piece;
  }
}
