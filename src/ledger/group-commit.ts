/**
 * Many writes, one sync. A commit costs the disk's sync however many rows it holds, so everything that is asked for in
 * one turn of the event loop goes into one transaction: while one sync runs, the messages of all other lanes pile up,
 * and the next turn takes them together. Writes go to the disk in the order they were asked for, all of a group or
 * none, and a promise resolves only when its group is on disk.
 *
 * The queue is as long as the number of lanes at most: each waits for its write before it asks for another.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';

interface Write {
  /** Runs inside the transaction. A SealiftError refuses this write alone, and must come before any change. */
  apply: () => void;
  settle: (refusal: SealiftError | undefined) => void;
}

/** How long a write that nobody sends bytes after may wait for company. */
const UNHURRIED_MS = 5;

export class GroupCommit {
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #asError: (thrown: unknown) => SealiftError;
  #waiting: Write[] = [];
  #soon: NodeJS.Immediate | undefined;
  #later: NodeJS.Timeout | undefined;
  #failure: SealiftError | undefined;
  #count = 0;

  constructor(db: DatabaseSync, asError: (thrown: unknown) => SealiftError) {
    this.#db = db;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#asError = asError;
  }

  /** Transactions committed so far. */
  get count(): number {
    return this.#count;
  }

  /** Commits with everything else of this turn; resolves once on disk. */
  write(apply: () => void): Promise<void> {
    this.#soon ??= setImmediate(() => this.flush());
    return this.#wait(apply);
  }

  /** Like `write`, with the next group or within a few milliseconds. */
  writeUnhurried(apply: () => void): Promise<void> {
    this.#later ??= setTimeout(() => this.flush(), UNHURRIED_MS);
    return this.#wait(apply);
  }

  /** Commits at once, after everything that waits; on disk when it returns. */
  writeNow(apply: () => void): void {
    let refused: SealiftError | undefined;
    this.#waiting.push({ apply, settle: (refusal) => (refused = refusal) });
    this.flush();
    if (refused) throw refused;
  }

  /** Commits everything that waits. Never throws: each write hears of its own fate. */
  flush(): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#later);
    this.#soon = this.#later = undefined;
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0) return;
    const refusals = this.#failure ? undefined : this.#transact(group);
    for (const write of group) write.settle(this.#failure ?? refusals?.get(write));
  }

  #wait(apply: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ apply, settle: (refusal) => (refusal ? reject(refusal) : resolve()) });
    });
  }

  /**
   * After a failure nobody knows what of the group is on disk, so no later write is taken: opening the ledger again
   * finds out.
   */
  #transact(group: readonly Write[]): Map<Write, SealiftError> {
    const refusals = new Map<Write, SealiftError>();
    try {
      this.#begin.run();
      for (const write of group) {
        try {
          write.apply();
        } catch (thrown) {
          if (!(thrown instanceof SealiftError)) throw thrown;
          refusals.set(write, thrown);
        }
      }
      this.#commit.run();
      this.#count++;
    } catch (thrown) {
      this.#failure = this.#asError(thrown);
      if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('ROLLBACK');
    }
    return refusals;
  }
}
