/**
 * The tables of a ledger. `PRAGMA user_version` counts the steps a file has taken; a new version of Sealift appends a
 * step and an old file catches up when it is opened to be written. A file that has taken more steps than we know is
 * left alone.
 */
import { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { corrupt } from './database.ts';
import { type JobFiles, noSuchJob } from './files.ts';

/**
 * What is fixed when an attempt (of a get: a download) is planned is in `plan`, as JSON; the rest has its columns. In
 * `outside_id` is what was then made outside: an upload by its id, a temporary file by its inode.
 * Intents, receipts and pieces are those of the last attempt alone.
 */
const STEPS: readonly string[] = [
  `CREATE TABLE job (
     row INTEGER PRIMARY KEY CHECK (row = 1), id TEXT NOT NULL, command TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, options TEXT NOT NULL,
     state TEXT NOT NULL, created_ms INTEGER NOT NULL, finished_ms INTEGER,
     machine_id TEXT NOT NULL, path TEXT NOT NULL, inode TEXT NOT NULL, pid INTEGER NOT NULL,
     checksum BLOB NOT NULL
   ) STRICT;
   CREATE TABLE attempts (
     number INTEGER PRIMARY KEY, plan TEXT NOT NULL, header BLOB NOT NULL,
     outside_id TEXT, state TEXT NOT NULL, answer TEXT,
     checksum BLOB NOT NULL, tag BLOB NOT NULL
   ) STRICT;
   CREATE TABLE intents (
     number INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL,
     sealed_size INTEGER NOT NULL, crc32 INTEGER NOT NULL, shared_tags TEXT NOT NULL, footer BLOB, sealed_hash BLOB,
     tag BLOB NOT NULL
   ) STRICT;
   CREATE TABLE receipts (
     number INTEGER PRIMARY KEY, etag TEXT NOT NULL,
     sealed_size INTEGER NOT NULL, crc32 INTEGER NOT NULL, tag BLOB NOT NULL
   ) STRICT;
   CREATE TABLE pieces (number INTEGER PRIMARY KEY, crc32 INTEGER NOT NULL, tag BLOB NOT NULL) STRICT;`,
  // What a migration has in place of attempts.
  `CREATE TABLE objects (
     row INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, is_large INTEGER NOT NULL, source TEXT NOT NULL,
     state TEXT NOT NULL, attempts INTEGER NOT NULL, code TEXT, message TEXT, target TEXT,
     started_ms INTEGER, finished_ms INTEGER, checksum BLOB NOT NULL
   ) STRICT;
   CREATE INDEX objects_by_state ON objects (state, is_large, attempts);
   CREATE TABLE listing (
     row INTEGER PRIMARY KEY, section TEXT NOT NULL UNIQUE, cursor TEXT, is_listed INTEGER NOT NULL, checksum BLOB NOT NULL
   ) STRICT;`,
  // Else the next section would be looked for among all that are listed, every time.
  'CREATE INDEX listing_by_state ON listing (is_listed);',
];

/**
 * Throws `no-such-job` for a file in which nothing was ever committed (its maker died first), `ledger-too-new` and
 * `ledger-corrupt`.
 */
export function checkSchema(db: DatabaseSync, files: JobFiles): void {
  const version = schemaVersion(db);
  if (version > STEPS.length) {
    throw new SealiftError('ledger-too-new', `The ledger ${files.db} was written by a newer Sealift`, {
      hint: 'Use that version to go on, or run the put or get that began the job with --fresh, to start again under a new key.',
    });
  }
  if (version > 0) {
    // Damage to a name in it would come out as a column that nobody filled, or be taken for a bug of ours.
    if (schemaOf(db) !== schemaAfter(version)) throw corrupt(files, 'its tables are not as they were made');
    return;
  }
  const tables = db.prepare('SELECT count(*) AS count FROM sqlite_schema').get();
  if (tables?.count === 0) throw noSuchJob(files.id);
  throw corrupt(files, 'it has tables but no version');
}

/** Takes the steps that are missing, all of them for a new file. The caller has begun a transaction. */
export function takeSteps(db: DatabaseSync): void {
  for (const step of STEPS.slice(schemaVersion(db))) db.exec(step);
  db.exec(`PRAGMA user_version = ${STEPS.length}`);
}

function schemaVersion(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.user_version);
}

/** The tables of a new file that has taken so many steps. */
function schemaAfter(version: number): string {
  const db = new DatabaseSync(':memory:');
  try {
    for (const step of STEPS.slice(0, version)) db.exec(step);
    return schemaOf(db);
  } finally {
    db.close();
  }
}

function schemaOf(db: DatabaseSync): string {
  return JSON.stringify(db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema').all());
}
