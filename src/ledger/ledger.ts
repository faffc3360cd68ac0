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
import type { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { attemptOf, downloadOf, readAttempt, readLost, type StoredAttempt, writeAttempt } from './attempt-rows.ts';
import { guarded } from './database.ts';
import type { JobFiles } from './files.ts';
import type { GroupCommit } from './group-commit.ts';
import { JobFile } from './job-file.ts';
import { listJobs, pruneJobs, removeJob, summarizeJob } from './jobs.ts';
import { PartRows } from './part-rows.ts';
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

  readonly #file: JobFile;
  readonly #files: JobFiles;
  readonly #db: DatabaseSync;
  readonly #commits: GroupCommit;
  #key: KeyObject | undefined;
  #parts: PartRows | undefined;

  private constructor(file: JobFile) {
    this.#file = file;
    this.#files = file.files;
    this.#db = file.db;
    this.#commits = file.commits;
  }

  /** As `JobFile.create`. */
  static create(stateDir: string, newJob: NewJob): Ledger {
    return new Ledger(JobFile.create(stateDir, newJob));
  }

  /** As `JobFile.open`. */
  static open(stateDir: string, jobId: string, options: { evenIfMoved?: boolean } = {}): Ledger {
    return new Ledger(JobFile.open(stateDir, jobId, options));
  }

  get job(): JobRow {
    return this.#file.job;
  }

  /** Transactions committed since this ledger was opened. */
  get commitCount(): number {
    return this.#commits.count;
  }

  /** As `JobFile.finish`. */
  finish(state: Exclude<JobRow['state'], 'running'>): void {
    this.#file.finish(state);
  }

  /** As `JobFile.discard`. */
  discard(): void {
    this.#file.discard();
  }

  /** As `JobFile.close`. */
  close(): void {
    this.#file.close();
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
