/** What is set for a bucket as a whole, by the name of its subresource: `policy`, `encryption`, `lifecycle` and so on. */
import type { Database } from './database.ts';

export const SETTINGS_SCHEMA = `
  CREATE TABLE IF NOT EXISTS settings (
    bucket TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (bucket, name)
  ) WITHOUT ROWID;
`;

export class Settings {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** As it was set; the caller knows what that is. */
  get<Value>(bucket: string, name: string): Value | undefined {
    const row = this.#db.get('SELECT value FROM settings WHERE bucket = ? AND name = ?', bucket, name);
    return row && (JSON.parse(row.value as string) as Value);
  }

  set(bucket: string, name: string, value: object): void {
    this.#db.run('INSERT OR REPLACE INTO settings VALUES (?, ?, ?)', bucket, name, JSON.stringify(value));
  }

  remove(bucket: string, name: string): void {
    this.#db.run('DELETE FROM settings WHERE bucket = ? AND name = ?', bucket, name);
  }

  dropBucket(bucket: string): void {
    this.#db.run('DELETE FROM settings WHERE bucket = ?', bucket);
  }
}
