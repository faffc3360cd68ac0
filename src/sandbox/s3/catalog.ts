/**
 * What the sandbox knows: buckets, objects, uploads and their parts, in SQLite, in memory or in a file. SQLite compares
 * text byte by byte in UTF-8, which is the order S3 lists keys in, and a file survives `kill -9`.
 *
 * Every method is one synchronous step, so of two writers to a name one comes first and conditions hold. The bytes of
 * an object are the parts of its *content*, in order; an object that came in one request is a content of one part.
 * Methods that drop contents return the blobs nobody needs any more.
 */
import { randomUUID } from 'node:crypto';
import type { Attributes } from './attributes.ts';
import type { Algorithm, Checksum, ChecksumType } from './checksums.ts';
import { Database, keyRange } from './database.ts';
import { SETTINGS_SCHEMA, Settings } from './settings.ts';
import type { BlobRange } from './storage.ts';
import { VERSIONS_SCHEMA, Versions } from './versions.ts';

export interface StoredPart {
  readonly number: number;
  readonly size: number;
  /** Where the part begins in its object; 0 until the upload is complete. */
  readonly offset: number;
  readonly blob: string;
  /** Without quotes. */
  readonly etag: string;
  /** Base64; the algorithm is that of the whole. */
  readonly checksum: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

export interface StoredObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly modified: number;
  readonly content: string;
  readonly checksum: Checksum;
  /** Undefined for objects that came in one request. */
  readonly partCount: number | undefined;
  readonly attributes: Attributes;
  /** Undefined where its bucket had no versions when it came. */
  readonly versionId?: string;
  /** Until when a copy of what is archived can be read: milliseconds since 1970. */
  readonly restoredUntil?: number;
}

export interface StoredUpload {
  readonly id: string;
  readonly key: string;
  readonly initiated: number;
  /** Undefined where none was asked for. */
  readonly checksum: { readonly algorithm: Algorithm; readonly type: ChecksumType } | undefined;
  readonly attributes: Attributes;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (bucket, key)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS uploads (
    bucket TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (bucket, key, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS parts (
    content TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, offset INTEGER NOT NULL, blob TEXT NOT NULL,
    etag TEXT NOT NULL, checksum TEXT NOT NULL, modified INTEGER NOT NULL, PRIMARY KEY (content, number)
  ) WITHOUT ROWID;
`;

export class Catalog {
  readonly #db: Database;
  readonly versions: Versions;
  readonly settings: Settings;

  /** `path` is a file, or `:memory:`. */
  constructor(path: string) {
    this.#db = new Database(path, SCHEMA + VERSIONS_SCHEMA + SETTINGS_SCHEMA);
    this.versions = new Versions(this.#db);
    this.settings = new Settings(this.#db);
  }

  close(): void {
    this.#db.close();
  }

  // Buckets.

  createBucket(name: string): void {
    this.#db.run('INSERT OR IGNORE INTO buckets VALUES (?, ?)', name, Date.now());
  }

  hasBucket(name: string): boolean {
    return this.#db.get('SELECT 1 FROM buckets WHERE name = ?', name) !== undefined;
  }

  buckets(): { name: string; created: number }[] {
    return this.#db.all('SELECT * FROM buckets ORDER BY name') as { name: string; created: number }[];
  }

  hasObjects(bucket: string): boolean {
    const current = this.#db.get('SELECT 1 FROM objects WHERE bucket = ? LIMIT 1', bucket);
    return current !== undefined || !this.versions.isEmpty(bucket);
  }

  /** Drops an empty bucket with its uploads. */
  deleteBucket(bucket: string): string[] {
    const uploads = this.#db.all('SELECT id FROM uploads WHERE bucket = ?', bucket) as { id: string }[];
    const blobs = uploads.flatMap(({ id }) => this.#dropContent(id));
    this.#db.run('DELETE FROM uploads WHERE bucket = ?', bucket);
    this.#db.run('DELETE FROM buckets WHERE name = ?', bucket);
    this.versions.dropBucket(bucket);
    this.settings.dropBucket(bucket);
    return blobs;
  }

  // Objects.

  object(bucket: string, key: string): StoredObject | undefined {
    const row = this.#db.get('SELECT record FROM objects WHERE bucket = ? AND key = ?', bucket, key);
    return row && (JSON.parse(row.record as string) as StoredObject);
  }

  /** Objects with keys from `from` on and of this prefix, in order, at most `limit`. */
  objects(bucket: string, options: { prefix: string; from: string; limit: number }): StoredObject[] {
    const [from, to] = keyRange(options.prefix, options.from);
    return this.#db
      .all(
        'SELECT record FROM objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?',
        ...[bucket, from, to, options.limit],
      )
      .map((row) => JSON.parse(row.record as string) as StoredObject);
  }

  /** Puts an object of one blob under its key, in place of any other. */
  putObject(bucket: string, object: Omit<StoredObject, 'content' | 'partCount'>, blob: string): string[] {
    const content = randomUUID();
    return this.#db.together(() => {
      const { size, etag, modified } = object;
      this.#insertPart(content, { number: 1, size, offset: 0, blob, etag, checksum: object.checksum.value, modified });
      return this.#setObject(bucket, { ...object, content, partCount: undefined });
    });
  }

  /** Changes what is known of an object or of an older version, not its bytes. */
  updateObject(bucket: string, object: StoredObject): void {
    const values = [JSON.stringify(object), bucket, object.key, object.content];
    for (const table of ['objects', 'versions']) {
      this.#db.run(`UPDATE ${table} SET record = ? WHERE bucket = ? AND key = ? AND content = ?`, ...values);
    }
  }

  deleteObject(bucket: string, key: string): string[] {
    const row = this.#db.get('SELECT content FROM objects WHERE bucket = ? AND key = ?', bucket, key);
    if (row === undefined) return [];
    this.#db.run('DELETE FROM objects WHERE bucket = ? AND key = ?', bucket, key);
    return this.#dropContent(row.content as string);
  }

  /** The object becomes an older version, behind a delete marker, whose id comes back. */
  markDeleted(bucket: string, key: string): { dropped: string[]; versionId: string } {
    return this.#db.together(() => {
      const dropped = this.#retire(bucket, key);
      return { dropped, versionId: this.versions.mark(bucket, key) };
    });
  }

  #retire(bucket: string, key: string): string[] {
    const content = this.versions.retire(bucket, key);
    return content === undefined ? [] : this.#dropContent(content);
  }

  /** Removes a version for good. */
  deleteVersion(bucket: string, key: string, id: string): string[] {
    return this.#db.together(() => {
      const content = this.versions.remove(bucket, key, id);
      return content === undefined ? [] : this.#dropContent(content);
    });
  }

  #setObject(bucket: string, object: StoredObject): string[] {
    const { key, content } = object;
    const dropped = [...this.#retire(bucket, key), ...this.deleteObject(bucket, key)];
    const versioned = this.versions.statusOf(bucket) !== undefined;
    const record = JSON.stringify(versioned ? { ...object, versionId: this.versions.newId(bucket) } : object);
    this.#db.run('INSERT INTO objects VALUES (?, ?, ?, ?)', bucket, key, content, record);
    return dropped;
  }

  // Uploads.

  createUpload(bucket: string, upload: StoredUpload): void {
    this.#db.run('INSERT INTO uploads VALUES (?, ?, ?, ?)', bucket, upload.key, upload.id, JSON.stringify(upload));
  }

  upload(bucket: string, key: string, id: string): StoredUpload | undefined {
    const row = this.#db.get('SELECT record FROM uploads WHERE bucket = ? AND key = ? AND id = ?', bucket, key, id);
    return row && (JSON.parse(row.record as string) as StoredUpload);
  }

  /** Uploads of this prefix after (key, id), in the order of their keys, at most `limit`. */
  uploads(
    bucket: string,
    options: { prefix: string; after: { key: string; id: string }; limit: number },
  ): StoredUpload[] {
    const [from, to] = keyRange(options.prefix, options.after.key);
    return this.#db
      .all(
        'SELECT record FROM uploads WHERE bucket = ? AND key >= ? AND key < ? AND (key, id) > (?, ?) ORDER BY key, id LIMIT ?',
        ...[bucket, from, to, options.after.key, options.after.id, options.limit],
      )
      .map((row) => JSON.parse(row.record as string) as StoredUpload);
  }

  /** Sets a part of an upload, in place of any other of its number. */
  putPart(uploadId: string, part: StoredPart): string[] {
    const old = this.#db.get('SELECT blob FROM parts WHERE content = ? AND number = ?', uploadId, part.number);
    this.#insertPart(uploadId, part);
    return old === undefined ? [] : [old.blob as string];
  }

  /** Turns an upload into an object made of `parts`; other parts are dropped. */
  completeUpload(
    bucket: string,
    object: Omit<StoredObject, 'content'>,
    upload: { id: string; parts: readonly StoredPart[] },
  ): string[] {
    return this.#db.together(() => {
      const used = new Set(upload.parts.map((part) => part.blob));
      const unused = this.#dropContent(upload.id).filter((blob) => !used.has(blob));
      let offset = 0;
      for (const part of upload.parts) {
        this.#insertPart(upload.id, { ...part, offset });
        offset += part.size;
      }
      this.#db.run('DELETE FROM uploads WHERE bucket = ? AND key = ? AND id = ?', bucket, object.key, upload.id);
      return [...unused, ...this.#setObject(bucket, { ...object, content: upload.id })];
    });
  }

  abortUpload(bucket: string, key: string, id: string): string[] {
    this.#db.run('DELETE FROM uploads WHERE bucket = ? AND key = ? AND id = ?', bucket, key, id);
    return this.#dropContent(id);
  }

  // Parts, of uploads and of objects.

  parts(content: string, options: { after?: number; limit?: number } = {}): StoredPart[] {
    const { after = 0, limit = -1 } = options;
    return this.#db.all(
      'SELECT * FROM parts WHERE content = ? AND number > ? ORDER BY number LIMIT ?',
      content,
      after,
      limit,
    ) as unknown as StoredPart[];
  }

  /** Where an object's bytes `first` to `last` (inclusive) are. */
  rangesOf(content: string, { first, last }: { first: number; last: number }): BlobRange[] {
    const parts = this.#db.all(
      'SELECT blob, offset, size FROM parts WHERE content = ? AND offset <= ? AND offset + size > ? ORDER BY number',
      content,
      last,
      first,
    ) as { blob: string; offset: number; size: number }[];
    return parts.map(({ blob, offset, size }) => ({
      blob,
      first: Math.max(0, first - offset),
      last: Math.min(size, last - offset + 1) - 1,
    }));
  }

  blobs(): Set<string> {
    return new Set(this.#db.all('SELECT blob FROM parts').map((row) => row.blob as string));
  }

  #insertPart(content: string, part: StoredPart): void {
    const { number, size, offset, blob, etag, checksum, modified } = part;
    this.#db.run(
      'INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      content,
      number,
      size,
      offset,
      blob,
      etag,
      checksum,
      modified,
    );
  }

  #dropContent(content: string): string[] {
    const blobs = this.#db.all('SELECT blob FROM parts WHERE content = ?', content).map((row) => row.blob as string);
    this.#db.run('DELETE FROM parts WHERE content = ?', content);
    return blobs;
  }
}
