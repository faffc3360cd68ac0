/** A CSV file of a list as rows, streamed, whatever it is packed with. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SealiftError } from '../../errors.ts';
import { decodeKey } from '../../stores/s3-fields.ts';
import { KiB } from '../../units.ts';
import { badManifest, type StoredFile } from './stored-file.ts';

/** Of all fields together: a key has 1,024 bytes at most, and three times that encoded. */
const MAX_ROW_SIZE = 64 * KiB;

/** All rows have as many fields as the first. Throws `bad-manifest`. */
export async function* csvRows(file: StoredFile, { gzipped }: { gzipped: boolean }): AsyncGenerator<string[], void> {
  const { parse } = await import('csv-parse');
  const parser = parse({ bom: true, max_record_size: MAX_ROW_SIZE, skip_empty_lines: true });
  const bytes = Readable.from(file.read());
  // What fails on the way is thrown by the parser.
  if (gzipped) pipeline(bytes, createGunzip(), parser, () => {});
  else pipeline(bytes, parser, () => {});
  try {
    yield* parser as AsyncIterable<string[]>;
  } catch (thrown) {
    if (thrown instanceof SealiftError) throw thrown;
    const hint = 'It must be CSV as AWS writes it, without a line of names.';
    throw badManifest(file.url, (thrown as Error).message, hint, thrown);
  }
}

/** A key as AWS writes it in CSV. Throws `bad-manifest`. */
export function keyOf(encoded: string, where: string): string {
  try {
    const key = decodeKey(encoded);
    if (key !== '') return key;
  } catch {
    throw badManifest(
      where,
      `the key ${JSON.stringify(encoded)} is not URL-encoded`,
      'AWS writes %25 for a percent sign.',
    );
  }
  throw badManifest(where, 'it has no key', 'A line is BUCKET,KEY or BUCKET,KEY,VERSION-ID.');
}
