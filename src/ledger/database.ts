/** How a ledger's SQLite file is opened, and what SQLite's failures mean to us. */
import { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import type { JobFiles } from './files.ts';

/** Readers and the writer do not block each other; only recovery after a crash makes one wait, for milliseconds. */
const BUSY_TIMEOUT_MS = 5000;

/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const BUSY = 5;
const FULL = 13;
const NOTADB = 26;
/** SQLITE_IOERR_SHMSIZE: the shared memory beside the ledger is a file too, and had no room to grow. */
const SHARED_MEMORY_FULL = 4874;
/** BUSY, READONLY, IOERR, CANTOPEN: the file is out of reach, and nothing is said about what is in it. */
const UNUSABLE = [BUSY, 8, 10, 14];

/** Opens an existing ledger to write: every commit is on disk when it returns. */
export function openToWrite(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    // On macOS fsync leaves the bytes in the drive's cache; fullfsync does not. Elsewhere it changes nothing.
    db.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON');
    const mode = db.prepare('PRAGMA journal_mode = WAL').get();
    if (mode?.journal_mode !== 'wal') {
      throw new SealiftError('state-dir-unsafe', `The file system of ${path} has no shared memory for SQLite`, {
        hint: 'Name a folder on a local disk with --state-dir.',
      });
    }
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/** Opens an existing ledger to look at it, while another process may be writing. */
export function openToRead(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
}

/** SQLite's own look at every page: linear in the ledger's size, a few MB, of a migration some 400 bytes an object. */
export function checkPages(db: DatabaseSync, files: JobFiles): void {
  const found = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (found !== 'ok') throw corrupt(files, String(found));
}

/** Runs `work` on a ledger; what SQLite throws comes out as a SealiftError. */
export function guarded<T>(files: JobFiles, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw ledgerError(files, thrown);
  }
}

/** What is neither SQLite's nor the file system's failure is a bug of ours, and comes out as `internal`. */
export function ledgerError(files: JobFiles, thrown: unknown): SealiftError {
  const { errcode, errno, code, message } = thrown as {
    errcode?: number;
    errno?: number;
    code?: string;
    message: string;
  };
  if (primaryCode(thrown) === FULL || errcode === SHARED_MEMORY_FULL || code === 'ENOSPC' || code === 'EDQUOT') {
    return new SealiftError('disk-full', `No room left for the ledger ${files.db}`, {
      hint: 'Free some space, then run the same command again: it goes on where it stopped.',
      cause: thrown,
    });
  }
  if (errno !== undefined || UNUSABLE.includes(primaryCode(thrown) ?? 0)) {
    return new SealiftError('state-dir-unsafe', `The ledger ${files.db} cannot be used: ${message}`, {
      hint: 'Check the disk and the permissions of the state folder, or name another with --state-dir.',
      cause: thrown,
    });
  }
  // Node refuses to read an integer that no double holds; we never write one.
  if (errcode !== undefined || code === 'ERR_OUT_OF_RANGE') return corrupt(files, message, thrown);
  return SealiftError.from(thrown);
}

/** Damage is never worked around: keys and parts that the ledger forgot would be used a second time. */
export function corrupt(files: JobFiles, problem: string, cause?: unknown): SealiftError {
  return new SealiftError('ledger-corrupt', `The ledger ${files.db} is damaged: ${problem}`, {
    hint: 'Run the put or get that began the job with --fresh, to start again under a new key.',
    cause,
  });
}

export function isBusy(thrown: unknown): boolean {
  return primaryCode(thrown) === BUSY;
}

/** The file holds something else. */
export function isNoDatabase(thrown: unknown): boolean {
  return primaryCode(thrown) === NOTADB;
}

/** SQLite's extended codes keep the primary one in their low byte. */
function primaryCode(thrown: unknown): number | undefined {
  const code = (thrown as { errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : undefined;
}
