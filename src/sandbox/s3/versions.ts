/**
 * Older versions of objects (userguide/versioning-workflows.html), in buckets whose versioning was turned on: beside the
 * catalog's current objects, in the order they were replaced. A delete marker stands for an object that was deleted: it has
 * no content. Where versioning is suspended, what comes is the `null` version, of which a key has one.
 */
import { randomUUID } from 'node:crypto';
import type { StoredObject } from './catalog.ts';
import type { Database } from './database.ts';

export const VERSIONS_SCHEMA = `
  CREATE TABLE IF NOT EXISTS versioned (bucket TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS versions (
    bucket TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, content TEXT, record TEXT NOT NULL,
    UNIQUE (bucket, key, id)
  );
`;

/** What an object is called that was there before its bucket had versions, or came while they were suspended. */
export const NO_VERSION = 'null';

/** As a bucket's versioning is told; undefined where it never was turned on. */
export type Versioning = 'Enabled' | 'Suspended';

/** A version as it is listed, current or older. */
export interface ListedVersion {
  readonly key: string;
  readonly id: string;
  readonly isLatest: boolean;
  readonly modified: number;
  /** Undefined of a delete marker. */
  readonly object: StoredObject | undefined;
}

export class Versions {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  statusOf(bucket: string): Versioning | undefined {
    return this.#db.get('SELECT status FROM versioned WHERE bucket = ?', bucket)?.status as Versioning | undefined;
  }

  setStatus(bucket: string, status: Versioning): void {
    this.#db.run('INSERT OR REPLACE INTO versioned VALUES (?, ?)', bucket, status);
  }

  isEmpty(bucket: string): boolean {
    return this.#db.get('SELECT 1 FROM versions WHERE bucket = ? LIMIT 1', bucket) === undefined;
  }

  dropBucket(bucket: string): void {
    this.#db.run('DELETE FROM versioned WHERE bucket = ?', bucket);
  }

  /**
   * The current object becomes an older one, where its bucket has versions; where they are suspended, the `null` version
   * goes for good. Returns what that had as content, which is the caller's to drop.
   */
  retire(bucket: string, key: string): string | undefined {
    const status = this.statusOf(bucket);
    if (status === undefined) return undefined;
    const current = this.#current(bucket, key);
    if (current) this.#keep(bucket, current);
    return status === 'Suspended' ? this.#drop(bucket, key, NO_VERSION) : undefined;
  }

  #keep(bucket: string, current: StoredObject): void {
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

  /** What the next version of an object is to be called. */
  newId(bucket: string): string {
    return this.statusOf(bucket) === 'Suspended' ? NO_VERSION : randomUUID();
  }

  /** Adds a delete marker, and returns its id. */
  mark(bucket: string, key: string): string {
    const id = this.newId(bucket);
    const record = JSON.stringify({ key, versionId: id, modified: Date.now() });
    this.#db.run('INSERT INTO versions VALUES (?, ?, ?, NULL, ?)', bucket, key, id, record);
    return id;
  }

  /** A version by its id, current or older; `deleted` where it is a marker. */
  find(bucket: string, key: string, id: string): StoredObject | 'deleted' | undefined {
    const current = this.#current(bucket, key);
    if (current && (current.versionId ?? NO_VERSION) === id) return current;
    const sql = 'SELECT content, record FROM versions WHERE bucket = ? AND key = ? AND id = ?';
    const row = this.#db.get(sql, bucket, key, id);
    if (row === undefined) return undefined;
    return row.content === null ? 'deleted' : (JSON.parse(row.record as string) as StoredObject);
  }

  /** Whether the newest of a key's older versions is a marker. */
  isMarked(bucket: string, key: string): boolean {
    const sql = 'SELECT content FROM versions WHERE bucket = ? AND key = ? ORDER BY rowid DESC LIMIT 1';
    return this.#db.get(sql, bucket, key)?.content === null;
  }

  /** All versions of keys from `from` on that are below `to`: in the order of keys, the newest of each first. */
  *list(bucket: string, { from, to }: { from: string; to: string }): Generator<ListedVersion> {
    const rows = this.#db.iterate(
      `SELECT key, content, record, 1 AS current, 0 AS age FROM objects WHERE bucket = ?1 AND key >= ?2 AND key < ?3
       UNION ALL
       SELECT key, content, record, 0, -rowid FROM versions WHERE bucket = ?1 AND key >= ?2 AND key < ?3
       ORDER BY key, current DESC, age`,
      bucket,
      from,
      to,
    );
    let before: string | undefined;
    for (const { content, record } of rows) {
      const version = JSON.parse(record as string) as StoredObject;
      const { key, modified, versionId: id = NO_VERSION } = version;
      yield { key, id, isLatest: key !== before, modified, object: content === null ? undefined : version };
      before = key;
    }
  }

  /** Removes a version for good. Returns what it had as content, which is the caller's to drop. */
  remove(bucket: string, key: string, id: string): string | undefined {
    const content = this.#drop(bucket, key, id);
    this.#promote(bucket, key);
    return content;
  }

  #drop(bucket: string, key: string, id: string): string | undefined {
    const version = this.find(bucket, key, id);
    const content = version === 'deleted' ? undefined : version?.content;
    this.#db.run('DELETE FROM objects WHERE bucket = ? AND key = ? AND content = ?', bucket, key, content ?? '');
    this.#db.run('DELETE FROM versions WHERE bucket = ? AND key = ? AND id = ?', bucket, key, id);
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
    const newest = this.#db.get(sql, bucket, key) as { id: string; content: string | null; record: string } | undefined;
    if (newest === undefined || newest.content === null) return;
    this.#db.run('INSERT INTO objects VALUES (?, ?, ?, ?)', bucket, key, newest.content, newest.record);
    this.#db.run('DELETE FROM versions WHERE bucket = ? AND key = ? AND id = ?', bucket, key, newest.id);
  }
}
