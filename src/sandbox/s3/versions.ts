/**
 * Older versions of objects (userguide/versioning-workflows.html), in buckets whose versioning was turned on: beside the
 * catalog's current objects, in the order they were replaced. A delete marker stands for an object that was deleted.
 */
import { randomUUID } from 'node:crypto';
import type { StoredObject } from './catalog.ts';
import type { Database } from './database.ts';

export const VERSIONS_SCHEMA = `
  CREATE TABLE IF NOT EXISTS versioned (bucket TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS versions (
    bucket TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, content TEXT, record TEXT, UNIQUE (bucket, key, id)
  );
`;

/** What an object is called that was there before its bucket had versions. */
export const NO_VERSION = 'null';

export class Versions {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  isOn(bucket: string): boolean {
    return this.#db.get('SELECT 1 FROM versioned WHERE bucket = ?', bucket) !== undefined;
  }

  turnOn(bucket: string): void {
    this.#db.run('INSERT OR IGNORE INTO versioned VALUES (?)', bucket);
  }

  isEmpty(bucket: string): boolean {
    return this.#db.get('SELECT 1 FROM versions WHERE bucket = ? LIMIT 1', bucket) === undefined;
  }

  dropBucket(bucket: string): void {
    this.#db.run('DELETE FROM versioned WHERE bucket = ?', bucket);
  }

  /** The current object, if any, becomes an older one. */
  retire(bucket: string, current: StoredObject | undefined): void {
    if (current === undefined) return;
    const { key, content, versionId = NO_VERSION } = current;
    this.#db.run(
      'INSERT INTO versions VALUES (?, ?, ?, ?, ?)',
      bucket,
      key,
      versionId,
      content,
      JSON.stringify(current),
    );
    this.#db.run('DELETE FROM objects WHERE bucket = ? AND key = ?', bucket, key);
  }

  /** Adds a delete marker, and returns its id. */
  mark(bucket: string, key: string): string {
    const id = randomUUID();
    this.#db.run('INSERT INTO versions VALUES (?, ?, ?, NULL, NULL)', bucket, key, id);
    return id;
  }

  /** A version by its id, current or older; `deleted` where it is a marker. */
  find(bucket: string, key: string, id: string): StoredObject | 'deleted' | undefined {
    const current = this.#current(bucket, key);
    if (current && (current.versionId ?? NO_VERSION) === id) return current;
    const row = this.#db.get('SELECT record FROM versions WHERE bucket = ? AND key = ? AND id = ?', bucket, key, id);
    if (row === undefined) return undefined;
    return row.record === null ? 'deleted' : (JSON.parse(row.record as string) as StoredObject);
  }

  /** Whether the newest of a key's older versions is a marker. */
  isMarked(bucket: string, key: string): boolean {
    const sql = 'SELECT record FROM versions WHERE bucket = ? AND key = ? ORDER BY rowid DESC LIMIT 1';
    return this.#db.get(sql, bucket, key)?.record === null;
  }

  /** Removes a version for good. Returns what it had as content, which is the caller's to drop. */
  remove(bucket: string, key: string, id: string): string | undefined {
    const version = this.find(bucket, key, id);
    const content = version === 'deleted' ? undefined : version?.content;
    this.#db.run('DELETE FROM objects WHERE bucket = ? AND key = ? AND content = ?', bucket, key, content ?? '');
    this.#db.run('DELETE FROM versions WHERE bucket = ? AND key = ? AND id = ?', bucket, key, id);
    this.#promote(bucket, key);
    return content;
  }

  #current(bucket: string, key: string): StoredObject | undefined {
    const row = this.#db.get('SELECT record FROM objects WHERE bucket = ? AND key = ?', bucket, key);
    return row && (JSON.parse(row.record as string) as StoredObject);
  }

  /** Where there is no current object any more, the newest older one becomes it, unless that is a marker. */
  #promote(bucket: string, key: string): void {
    if (this.#current(bucket, key)) return;
    const sql = 'SELECT id, content, record FROM versions WHERE bucket = ? AND key = ? ORDER BY rowid DESC LIMIT 1';
    const newest = this.#db.get(sql, bucket, key) as { id: string; content: string; record: string | null } | undefined;
    if (newest === undefined || newest.record === null) return;
    this.#db.run('INSERT INTO objects VALUES (?, ?, ?, ?)', bucket, key, newest.content, newest.record);
    this.#db.run('DELETE FROM versions WHERE bucket = ? AND key = ? AND id = ?', bucket, key, newest.id);
  }
}
