/**
 * A migration's ledger as it is at one moment, read from outside: without its lock, while the job may be running. What is
 * counted and what is read row by row agree, because all of it is one transaction. The writer is not held up by it; its log
 * grows until the view is closed.
 */
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { guarded, ledgerError, openToRead } from './database.ts';
import { type JobFiles, jobFiles, noSuchJob } from './files.ts';
import { readJob } from './job-row.ts';
import { ListingRows } from './listing-rows.ts';
import { countFailures, countObjects, countUnconfirmed, ObjectRows, sumSealed } from './object-rows.ts';
import { checkSchema } from './schema.ts';
import type { JobRow, ObjectCounts, ObjectRow } from './types.ts';

export class BulkView implements Disposable {
  readonly job: JobRow;
  readonly #db: DatabaseSync;
  readonly #files: JobFiles;

  private constructor(db: DatabaseSync, files: JobFiles) {
    this.#db = db;
    this.#files = files;
    this.job = readJob(db, files).job;
  }

  /** Throws `no-such-job`, `usage` where the job is no migration, `ledger-corrupt`, `ledger-too-new`. */
  static open(stateDir: string, jobId: string): BulkView {
    const files = jobFiles(stateDir, jobId);
    if (!existsSync(files.db)) throw noSuchJob(jobId);
    return guarded(files, () => {
      const db = openToRead(files.db);
      try {
        db.exec('BEGIN');
        checkSchema(db, files);
        const view = new BulkView(db, files);
        if (view.job.command !== 'migrate') throw noMigration(view.job);
        return view;
      } catch (thrown) {
        db.close();
        throw thrown;
      }
    });
  }

  /** All objects in the order of the listing, one at a time. */
  *objects(): Generator<ObjectRow, void> {
    try {
      yield* new ObjectRows(this.#db, this.#files).all();
    } catch (thrown) {
      throw ledgerError(this.#files, thrown);
    }
  }

  /** As `objects`, of those that are done. */
  *objectsDone(): Generator<ObjectRow, void> {
    for (const object of this.objects()) if (object.state === 'done') yield object;
  }

  /** More may be found in the source. */
  get isListing(): boolean {
    return guarded(this.#files, () => new ListingRows(this.#db, this.#files).next() !== undefined);
  }

  counts(): ObjectCounts {
    return guarded(this.#files, () => countObjects(this.#db));
  }

  /** How many have failed, by the code of each, most first. */
  failures(): Record<string, number> {
    return guarded(this.#files, () => countFailures(this.#db));
  }

  /** Of all that is done: those of which the store did not confirm the checksum. */
  unconfirmed(): number {
    return guarded(this.#files, () => countUnconfirmed(this.#db));
  }

  /** Of all that is done. */
  sealedBytes(): number {
    return guarded(this.#files, () => sumSealed(this.#db));
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

function noMigration({ id, command }: JobRow): SealiftError {
  return new SealiftError('usage', `Job ${id} is a ${command}, no migration`, {
    hint: 'What one object came to `sealift jobs JOB` shows, and `sealift verify OBJECT` proves it.',
  });
}
