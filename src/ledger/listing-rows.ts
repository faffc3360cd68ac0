/** The rows that say what of a migration's source is listed: its sections, and how far each of them is. */
import type { DatabaseSync } from 'node:sqlite';
import { corrupt } from './database.ts';
import type { JobFiles } from './files.ts';
import { checksumOf, type Row, sameBytes } from './row-tags.ts';

export const NEXT_SECTION = 'SELECT * FROM listing WHERE is_listed = 0 ORDER BY row LIMIT 1';

interface Columns {
  section: string;
  cursor: string | null;
  is_listed: number;
  checksum: Uint8Array;
}

export class ListingRows {
  readonly #db: DatabaseSync;
  readonly #files: JobFiles;

  constructor(db: DatabaseSync, files: JobFiles) {
    this.#db = db;
    this.#files = files;
  }

  /** Adds those that are new. */
  add(sections: readonly string[]): void {
    const insert = this.#db.prepare(
      'INSERT OR IGNORE INTO listing (section, cursor, is_listed, checksum) VALUES (?, NULL, 0, ?)',
    );
    for (const section of sections)
      insert.run(section, checksumOf(this.#rowOf({ section, cursor: null, is_listed: 0 })));
  }

  /** A section that is not listed to its end. Throws `ledger-corrupt` where a row is not as it was written. */
  next(): { section: string; cursor: string | undefined } | undefined {
    const found = this.#db.prepare(NEXT_SECTION).get();
    if (!found) return undefined;
    const columns = found as unknown as Columns;
    const { section, cursor, checksum } = columns;
    if (!sameBytes(checksum, checksumOf(this.#rowOf(columns)))) {
      throw corrupt(this.#files, `the row of section ${JSON.stringify(section)} is not as it was written`);
    }
    return { section, cursor: cursor ?? undefined };
  }

  setCursor(section: string, cursor: string | undefined): void {
    this.#update({ section, cursor: cursor ?? null, is_listed: 0 });
  }

  /** It is listed to its end. */
  end(section: string): void {
    this.#update({ section, cursor: null, is_listed: 1 });
  }

  /** It is to be listed once more, from its start. */
  reopen(section: string): void {
    this.#update({ section, cursor: null, is_listed: 0 });
  }

  #update(columns: Omit<Columns, 'checksum'>): void {
    const { section, cursor, is_listed } = columns;
    this.#db
      .prepare('UPDATE listing SET cursor = ?, is_listed = ?, checksum = ? WHERE section = ?')
      .run(cursor, is_listed, checksumOf(this.#rowOf(columns)), section);
  }

  #rowOf({ section, cursor, is_listed }: Omit<Columns, 'checksum'>): Row {
    return ['listing', this.#files.id, section, cursor, is_listed];
  }
}
