/**
 * A job's ledger as a file: made, locked, opened, finished, closed, removed. What every ledger has in common, whatever
 * rows it keeps beside the job's own: `Ledger` those of one object, `BulkLedger` those of many.
 */
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { checkPages, ledgerError, openToWrite } from './database.ts';
import {
  createPrivateFile,
  type JobFiles,
  jobFiles,
  jobIdOf,
  noSuchJob,
  removeLedgerFiles,
  syncFolder,
} from './files.ts';
import { GroupCommit } from './group-commit.ts';
import { checkPlace, placeOf, readJob, type StoredJob, writeJob } from './job-row.ts';
import { locked, refuseUnfinished, removeJobFiles } from './jobs.ts';
import type { JobLock } from './lock.ts';
import { checkSchema, takeSteps } from './schema.ts';
import type { JobRow, NewJob } from './types.ts';

export class JobFile implements Disposable {
  readonly files: JobFiles;
  readonly db: DatabaseSync;
  readonly commits: GroupCommit;
  readonly #lock: JobLock;
  #stored: StoredJob;

  private constructor(files: JobFiles, lock: JobLock, db: DatabaseSync, stored: StoredJob) {
    this.files = files;
    this.db = db;
    this.commits = new GroupCommit(db, (thrown) => ledgerError(files, thrown));
    this.#lock = lock;
    this.#stored = stored;
  }

  /**
   * Makes the ledger of a new job, in place of one that has ended. Throws `job-busy` where one is in use or
   * unfinished, and what `open` throws where one cannot be read: `Ledger.remove` gets rid of any.
   */
  static create(stateDir: string, newJob: NewJob): JobFile {
    const id = jobIdOf(newJob);
    const files = jobFiles(stateDir, id);
    return locked(files, (lock) => {
      refuseUnfinished(files);
      removeLedgerFiles(files);
      createPrivateFile(files.db);
      syncFolder(stateDir);
      const job: JobRow = { ...newJob, id, state: 'running', createdMs: Date.now() };
      try {
        return JobFile.#opened(files, lock, () => ({ job, place: placeOf(files), pid: process.pid }));
      } catch (thrown) {
        // A job that never was: on a full disk its empty file would be taken for a damaged one.
        removeLedgerFiles(files);
        throw thrown;
      }
    });
  }

  /**
   * Opens the ledger of a job, in whatever state the job is. Throws `no-such-job`, `job-busy`, `ledger-corrupt`,
   * `ledger-too-new`, and `ledger-moved` where the file is not where it was made. A moved one may be older than its
   * original: with `evenIfMoved` it opens, to abort its upload or to start over, never to go on.
   */
  static open(stateDir: string, jobId: string, { evenIfMoved = false } = {}): JobFile {
    const files = jobFiles(stateDir, jobId);
    if (!existsSync(files.db)) throw noSuchJob(jobId);
    return locked(files, (lock) =>
      JobFile.#opened(files, lock, (db) => {
        checkSchema(db, files);
        checkPages(db, files);
        const { job, place } = readJob(db, files);
        if (!evenIfMoved) checkPlace(place, files);
        return { job, place, pid: process.pid };
      }),
    );
  }

  /** Opens the database, and writes what `prepare` finds or makes of the job, with the pid of its new holder. */
  static #opened(files: JobFiles, lock: JobLock, prepare: (db: DatabaseSync) => StoredJob): JobFile {
    const db = openToWrite(files.db);
    try {
      const stored = prepare(db);
      const file = new JobFile(files, lock, db, stored);
      file.commits.writeNow(() => {
        takeSteps(db);
        writeJob(db, stored);
      });
      return file;
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  }

  get job(): JobRow {
    return this.#stored.job;
  }

  /** The job is over. The ledger stays, for `jobs` to show, until it is pruned or the same job comes again. */
  finish(state: Exclude<JobRow['state'], 'running'>): void {
    this.#become({ ...this.job, state, finishedMs: Date.now() });
  }

  /** A job that was over goes on. */
  reopen(): void {
    this.#become({ ...this.job, state: 'running', finishedMs: undefined });
  }

  #become(job: JobRow): void {
    const stored = { ...this.#stored, job };
    this.commits.writeNow(() => writeJob(this.db, stored));
    this.#stored = stored;
  }

  /** Closes the ledger and removes it: for a job that came to nothing before anything was promised. */
  discard(): void {
    this.commits.flush();
    this.db.close();
    removeJobFiles(this.files, this.#lock);
  }

  /** Commits what still waits, and lets the job go. May be called again. */
  close(): void {
    if (!this.db.isOpen) return;
    this.commits.flush();
    this.db.close();
    this.#lock.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
