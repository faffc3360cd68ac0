/**
 * Who runs a job. `JOB.lock` is an SQLite database that stays empty for ever: the running process holds it in BEGIN
 * EXCLUSIVE, and the kernel lets go of that however the process ends, kill -9 included. Nothing is written to it, so no
 * crash can damage it. Its holder's pid is in the ledger, which others can read meanwhile.
 */
import { existsSync, statSync, truncateSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { isBusy, isNoDatabase } from './database.ts';
import { createPrivateFile } from './files.ts';

/** Rides over a moment's look by `isHeld`; a holder keeps the lock much longer. */
const TAKE_TIMEOUT_MS = 250;

export class JobLock implements Disposable {
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Undefined where another process (or this one) holds it. */
  static take(path: string): JobLock | undefined {
    for (;;) {
      createPrivateFile(path);
      const inode = inodeOf(path);
      const db = new DatabaseSync(path, { timeout: TAKE_TIMEOUT_MS });
      try {
        // Nothing is written, so no journal file has to lie beside it.
        db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      } catch (thrown) {
        db.close();
        if (isBusy(thrown)) return undefined;
        if (!isNoDatabase(thrown)) throw thrown;
        // Somebody else wrote this. Nobody holds it, or it would have been busy before it was read.
        truncateSync(path);
        continue;
      }
      if (inode !== undefined && inode === inodeOf(path)) return new JobLock(db);
      // The job was removed, and its lock file with it, while we waited: what we hold has no name any more.
      db.close();
    }
  }

  /**
   * Whether a process is known to hold it now; a file that cannot be read tells of none. It only reads, so nobody is
   * refused the lock because of a look at it.
   */
  static isHeld(path: string): boolean {
    if (!existsSync(path)) return false;
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { readOnly: true });
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      return false;
    } catch (thrown) {
      return isBusy(thrown);
    } finally {
      db?.close();
    }
  }

  release(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
