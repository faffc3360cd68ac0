/**
 * The durable memory of a job: what was promised (attempts, intents) before it was done, and what was done (receipts,
 * pieces). Every method that returns, and every promise that resolves, has its rows on disk: WAL with a sync for each
 * commit. One process has a ledger open to write, and holds `JOB.lock`; others may read it meanwhile (`Ledger.list`).
 *
 *   JOB.db ── job ─┬─ attempt 1                        an attempt: one message key, at most one upload id
 *                  └─ attempt 2 ── intents, receipts   only the last one goes on, and has rows of parts
 *
 * A ledger may be older than the truth: a torn log loses its last commits, a backup more. What is there is whole,
 * in order, and ours: SQLite's checksums drop a half-written commit, our tags and checksums show altered rows.
 */
import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { attemptOf, downloadOf, readAttempt, readLost, type StoredAttempt, writeAttempt } from './attempt-rows.ts';
import { checkPages, guarded, ledgerError, openToWrite } from './database.ts';
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
import { listJobs, locked, pruneJobs, refuseUnfinished, removeJob, removeJobFiles, summarizeJob } from './jobs.ts';
import type { JobLock } from './lock.ts';
import { PartRows } from './part-rows.ts';
import { checkSchema, takeSteps } from './schema.ts';
import type {
  AttemptRow,
  DownloadRow,
  Intent,
  JobRow,
  NewAttempt,
  NewDownload,
  NewJob,
  Receipt,
  WrittenPiece,
} from './types.ts';

export { jobIdOf } from './files.ts';
export type * from './types.ts';

export class Ledger implements Disposable {
  static readonly list = listJobs;
  static readonly summary = summarizeJob;
  static readonly remove = removeJob;
  static readonly prune = pruneJobs;

  readonly #files: JobFiles;
  readonly #lock: JobLock;
  readonly #db: DatabaseSync;
  readonly #commits: GroupCommit;
  #stored: StoredJob;
  #key: KeyObject | undefined;
  #parts: PartRows | undefined;

  private constructor(files: JobFiles, lock: JobLock, db: DatabaseSync, stored: StoredJob) {
    this.#files = files;
    this.#lock = lock;
    this.#db = db;
    this.#commits = new GroupCommit(db, (thrown) => ledgerError(files, thrown));
    this.#stored = stored;
  }

  /**
   * Makes the ledger of a new job, in place of one that has ended. Throws `job-busy` where one is in use or
   * unfinished, and what `open` throws where one cannot be read: `Ledger.remove` gets rid of any.
   */
  static create(stateDir: string, newJob: NewJob): Ledger {
    const id = jobIdOf(newJob);
    const files = jobFiles(stateDir, id);
    return locked(files, (lock) => {
      refuseUnfinished(files);
      removeLedgerFiles(files);
      createPrivateFile(files.db);
      syncFolder(stateDir);
      const job: JobRow = { ...newJob, id, state: 'running', createdMs: Date.now() };
      try {
        return Ledger.#opened(files, lock, () => ({ job, place: placeOf(files), pid: process.pid }));
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
  static open(stateDir: string, jobId: string, { evenIfMoved = false } = {}): Ledger {
    const files = jobFiles(stateDir, jobId);
    if (!existsSync(files.db)) throw noSuchJob(jobId);
    return locked(files, (lock) =>
      Ledger.#opened(files, lock, (db) => {
        checkSchema(db, files);
        checkPages(db, files);
        const { job, place } = readJob(db, files);
        if (!evenIfMoved) checkPlace(place, files);
        return { job, place, pid: process.pid };
      }),
    );
  }

  /** Opens the database, and writes what `prepare` finds or makes of the job, with the pid of its new holder. */
  static #opened(files: JobFiles, lock: JobLock, prepare: (db: DatabaseSync) => StoredJob): Ledger {
    const db = openToWrite(files.db);
    try {
      const stored = prepare(db);
      const ledger = new Ledger(files, lock, db, stored);
      ledger.#commits.writeNow(() => {
        takeSteps(db);
        writeJob(db, stored);
      });
      return ledger;
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  }

  get job(): JobRow {
    return this.#stored.job;
  }

  /** Transactions committed since this ledger was opened. */
  get commitCount(): number {
    return this.#commits.count;
  }

  /** The job is over. The ledger stays, for `jobs` to show, until it is pruned or the same job comes again. */
  finish(state: Exclude<JobRow['state'], 'running'>): void {
    const stored = { ...this.#stored, job: { ...this.job, state, finishedMs: Date.now() } };
    this.#commits.writeNow(() => writeJob(this.#db, stored));
    this.#stored = stored;
  }

  /** Closes the ledger and removes it: for a job that came to nothing before anything was promised. */
  discard(): void {
    this.#commits.flush();
    this.#db.close();
    removeJobFiles(this.#files, this.#lock);
  }

  /** Commits what still waits, and lets the job go. May be called again. */
  close(): void {
    if (!this.#db.isOpen) return;
    this.#commits.flush();
    this.#db.close();
    this.#lock.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Begins a put's next attempt, under its own ledger key, unlocked; what the one before knew of parts is gone. */
  startAttempt(attempt: NewAttempt, key: KeyObject): AttemptRow {
    this.#start(attempt, key);
    return this.attempt()!;
  }

  /** A put's current attempt. Only after `unlock` is it known that nobody altered it. */
  attempt(): AttemptRow | undefined {
    const stored = this.#attempt();
    return stored && attemptOf(stored);
  }

  /** Begins a get's next download, under its own ledger key, unlocked. */
  startDownload(download: NewDownload, key: KeyObject): DownloadRow {
    this.#start(download, key);
    return this.download()!;
  }

  /** A get's current download. Only after `unlock` is it known that nobody altered it. */
  download(): DownloadRow | undefined {
    const stored = this.#attempt();
    return stored && downloadOf(stored);
  }

  /**
   * Gives the key of the current attempt or download, which its header leads to. Throws `ledger-corrupt` where the
   * row was not written under it.
   */
  unlock(key: KeyObject): void {
    guarded(this.#files, () => this.#use(readAttempt(this.#db, this.#files, key), key));
  }

  setUploadId(uploadId: string): void {
    this.#change({ outsideId: uploadId, state: 'created' });
  }

  setTempInode(inode: string): void {
    this.#change({ outsideId: inode, state: 'created' });
  }

  /** What a pipe has come to, once its end is known. */
  setLayout(layout: AttemptRow['layout']): void {
    this.#change({ plan: JSON.stringify({ ...JSON.parse(this.#attempt()!.plan), layout }) });
  }

  /** `aborted` and `lost` need no unlocking; such an attempt can never be unlocked afterwards. */
  setState(state: AttemptRow['state'], answer?: AttemptRow['answer']): void {
    this.#change({ state, ...(answer ? { answer: JSON.stringify(answer) } : {}) });
  }

  /** A put's attempts of which the store may still hold something, whatever attempts came after them. */
  lostAttempts(): AttemptRow[] {
    return this.#lostRows().map(attemptOf);
  }

  /** The store holds nothing any more of one of `lostAttempts`. Needs no unlocking. */
  setAborted(number: number): void {
    const lost = this.#lostRows().find((attempt) => attempt.number === number);
    if (!lost) throw new SealiftError('internal', 'The attempt is not lost');
    const key = this.#attempt()?.number === number ? this.#key : undefined;
    this.#commits.writeNow(() => writeAttempt(this.#db, this.#files, { ...lost, state: 'aborted' }, key));
  }

  /** Resolves once on disk. Rejects with `source-changed` where the part has another intent already. */
  recordIntent(intent: Intent): Promise<void> {
    const parts = this.#unlocked();
    return this.#commits.write(() => parts.addIntent(intent));
  }

  /** Resolves once on disk, a few milliseconds later than it could, to share another write's sync. */
  recordReceipt(receipt: Receipt): Promise<void> {
    const parts = this.#unlocked();
    return this.#commits.writeUnhurried(() => parts.addReceipt(receipt));
  }

  /** Pieces whose bytes the caller has already synced to the temporary file. Resolves once on disk. */
  recordPieces(pieces: readonly WrittenPiece[]): Promise<void> {
    const parts = this.#unlocked();
    return this.#commits.writeUnhurried(() => {
      for (const piece of pieces) parts.addPiece(piece);
    });
  }

  /** Of the current attempt, by part number, every row verified. Throws `ledger-corrupt`. */
  intents(): Map<number, Intent> {
    return guarded(this.#files, () => this.#unlocked().intents());
  }

  /** As `intents`; every receipt has its intent. */
  receipts(): Map<number, Receipt> {
    return guarded(this.#files, () => this.#unlocked().receipts());
  }

  /** Of the current download, every row verified. Throws `ledger-corrupt`. */
  pieces(): Map<number, WrittenPiece> {
    return guarded(this.#files, () => this.#unlocked().pieces());
  }

  #start({ header, ...plan }: NewAttempt | NewDownload, key: KeyObject): void {
    const number = (this.#attempt()?.number ?? 0) + 1;
    const fresh = { outsideId: undefined, state: 'planned', answer: undefined } as const;
    const attempt: StoredAttempt = { number, plan: JSON.stringify(plan), header, ...fresh };
    this.#commits.writeNow(() => {
      PartRows.clear(this.#db);
      writeAttempt(this.#db, this.#files, attempt, key);
    });
    this.#use(attempt, key);
  }

  #attempt(): StoredAttempt | undefined {
    return guarded(this.#files, () => readAttempt(this.#db, this.#files, this.#key));
  }

  #lostRows(): StoredAttempt[] {
    return guarded(this.#files, () => readLost(this.#db, this.#files));
  }

  #use(attempt: StoredAttempt | undefined, key: KeyObject): void {
    if (!attempt) throw new SealiftError('internal', 'There is no attempt to unlock');
    this.#key = key;
    this.#parts = new PartRows(this.#db, this.#files, attempt.number, key);
  }

  #change(change: Partial<Omit<StoredAttempt, 'number' | 'header'>>): void {
    const attempt = this.#attempt();
    const isOver = change.state === 'aborted' || change.state === 'lost';
    if (!attempt || !(this.#key || isOver)) throw new SealiftError('internal', 'The attempt is not unlocked');
    this.#commits.writeNow(() => writeAttempt(this.#db, this.#files, { ...attempt, ...change }, this.#key));
  }

  #unlocked(): PartRows {
    if (!this.#parts) throw new SealiftError('internal', 'The attempt is not unlocked');
    return this.#parts;
  }
}
