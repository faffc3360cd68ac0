/**
 * The durable memory of a migration, and its queue: every object that is to be moved has a row, from the moment it is
 * listed. Whoever lists adds pages, rows and cursor in one transaction; whoever moves takes the next rows that wait.
 * Nothing else is held, so memory is the same for ten objects and ten million.
 *
 *   JOB.db ── job ─┬─ listing    sections of the source, and how far each is listed
 *                  └─ objects    pending → sending → done | skipped | failed
 *   JOB.objects/                 ledgers of the large objects that are on their way
 *
 * As with `Ledger`, what returns or resolves is on disk.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { guarded } from './database.ts';
import { syncFolder } from './files.ts';
import { JobFile } from './job-file.ts';
import { ListingRows } from './listing-rows.ts';
import { countFailures, countObjects, ObjectRows, sumSealed } from './object-rows.ts';
import type { JobRow, NewJob, NewObject, ObjectCounts, ObjectRow } from './types.ts';

/** A part of the source that is yet to be listed, from its start or behind a cursor. */
export interface UnlistedSection {
  section: string;
  cursor: string | undefined;
}

export interface ListedPage {
  section: string;
  objects: readonly NewObject[];
  sections: readonly string[];
  cursor: string | undefined;
}

export class BulkLedger implements Disposable {
  readonly #file: JobFile;
  readonly #listing: ListingRows;
  readonly #rows: ObjectRows;

  private constructor(file: JobFile) {
    this.#file = file;
    this.#listing = new ListingRows(file.db, file.files);
    this.#rows = new ObjectRows(file.db, file.files);
  }

  /** As `JobFile.create`, with the section that listing begins with. */
  static create(stateDir: string, newJob: NewJob, firstSection: string): BulkLedger {
    const ledger = new BulkLedger(JobFile.create(stateDir, newJob));
    ledger.#write(() => ledger.#listing.add([firstSection]));
    return ledger;
  }

  /** As `JobFile.open`. What was being sent when the job stopped is pending again, with what was made of it. */
  static open(stateDir: string, jobId: string, options: { evenIfMoved?: boolean } = {}): BulkLedger {
    const ledger = new BulkLedger(JobFile.open(stateDir, jobId, options));
    ledger.#write(() => ledger.#rows.move('sending', { state: 'pending' }));
    return ledger;
  }

  get job(): JobRow {
    return this.#file.job;
  }

  /** Where the ledgers of large objects are: a state folder as any other. Made when first asked for. */
  get objectsDir(): string {
    const { objects, stateDir } = this.#file.files;
    if (!existsSync(objects)) {
      mkdirSync(objects, { mode: 0o700 });
      syncFolder(stateDir);
    }
    return objects;
  }

  /** A section that is not listed to its end, undefined once all are. */
  nextSection(): UnlistedSection | undefined {
    return guarded(this.#file.files, () => this.#listing.next());
  }

  /** Keeps what a page has, of which names that are known are ignored. Returns the objects that are new. */
  addPage({ section, objects, sections, cursor }: ListedPage): ObjectRow[] {
    return this.#write(() => {
      this.#listing.add(sections);
      this.#listing.setCursor(section, cursor);
      return this.#rows.add(objects);
    });
  }

  /** All of the section is known. */
  endSection(section: string): void {
    this.#write(() => this.#listing.end(section));
  }

  /** The next objects that wait, in the order of the listing. */
  pending(wanted: { isLarge: boolean; attempts: number; limit: number }): ObjectRow[] {
    return guarded(this.#file.files, () => this.#rows.pending(wanted));
  }

  /** Resolves once these rows are on disk as they are now, with whatever else is written in this turn. */
  async write(objects: readonly ObjectRow[]): Promise<void> {
    if (objects.length === 0) return;
    await this.#file.commits.write(() => {
      for (const object of objects) this.#rows.write(object);
    });
  }

  /**
   * Every failed object waits again, with all its attempts before it, and every section that could not be listed. A job that
   * is done goes on: also without any, for what it has moved may have been kept at its source. Returns how many there are.
   */
  retryFailed(): number {
    const fresh = { attempts: 0, code: undefined, message: undefined };
    const count = this.#write(() => {
      const sections: ObjectRow[] = [];
      for (const object of this.#rows.inState('failed')) if (object.source.isSection) sections.push(object);
      for (const section of sections) {
        this.#rows.remove(section);
        this.#listing.reopen(section.name);
      }
      return sections.length + this.#rows.move('failed', { state: 'pending', ...fresh });
    });
    if (this.job.state === 'done' || (count > 0 && this.job.state !== 'running')) this.reopen();
    return count;
  }

  /** All objects in a state, in the order of the listing. */
  inState(state: ObjectRow['state']): Generator<ObjectRow, void> {
    return this.#rows.inState(state);
  }

  counts(): ObjectCounts {
    return guarded(this.#file.files, () => countObjects(this.#file.db));
  }

  /** How many have failed, by the code of each, most first. */
  failures(): Record<string, number> {
    return guarded(this.#file.files, () => countFailures(this.#file.db));
  }

  /** Of all that is done. */
  sealedBytes(): number {
    return guarded(this.#file.files, () => sumSealed(this.#file.db));
  }

  /** As `JobFile.finish`. */
  finish(state: Exclude<JobRow['state'], 'running'>): void {
    this.#file.finish(state);
  }

  /** As `JobFile.reopen`. */
  reopen(): void {
    this.#file.reopen();
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

  #write<Result>(work: () => Result): Result {
    let result: Result;
    this.#file.commits.writeNow(() => {
      result = work();
    });
    return result!;
  }
}
