/**
 * The rows of a migration's objects. A checksum tells of a bad disk; there is no tag under a key, because nothing about
 * nonces hangs on these rows: a small object is never sealed again under its key, and a large one has a ledger of its own,
 * whose rows have their tags.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { corrupt } from './database.ts';
import type { JobFiles } from './files.ts';
import { checksumOf, type Row, sameBytes } from './row-tags.ts';
import type { NewObject, ObjectCounts, ObjectRow } from './types.ts';

/** As SQLite gives the row; STRICT tables hold the types. */
interface Columns {
  row: number;
  name: string;
  size: number;
  is_large: number;
  source: string;
  state: ObjectRow['state'];
  attempts: number;
  code: string | null;
  message: string | null;
  target: string | null;
  started_ms: number | null;
  finished_ms: number | null;
  checksum: Uint8Array;
}

/** Rows held at once while many are read. */
const PAGE_SIZE = 500;

export class ObjectRows {
  readonly #files: JobFiles;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #nextRow: StatementSync;
  readonly #known: StatementSync;
  readonly #pending: StatementSync;
  readonly #remove: StatementSync;
  readonly #some: StatementSync;
  readonly #after: StatementSync;
  readonly #all: StatementSync;

  constructor(db: DatabaseSync, files: JobFiles) {
    this.#files = files;
    this.#nextRow = db.prepare('SELECT coalesce(max(row), 0) + 1 AS row FROM objects');
    this.#known = db.prepare('SELECT 1 FROM objects WHERE name = ?');
    this.#insert = db.prepare('INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#update = db.prepare(
      'UPDATE objects SET size = ?, is_large = ?, source = ?, state = ?, attempts = ?, code = ?, message = ?, target = ?, started_ms = ?, finished_ms = ?, checksum = ? WHERE row = ?',
    );
    this.#pending = db.prepare(
      "SELECT * FROM objects WHERE state = 'pending' AND is_large = ? AND attempts = ? ORDER BY row LIMIT ?",
    );
    this.#remove = db.prepare('DELETE FROM objects WHERE row = ?');
    this.#some = db.prepare('SELECT * FROM objects WHERE state = ? LIMIT ?');
    // In the order of rows already: through the index every page would sort all that are left.
    this.#after = db.prepare('SELECT * FROM objects NOT INDEXED WHERE state = ? AND row > ? ORDER BY row LIMIT ?');
    this.#all = db.prepare('SELECT * FROM objects ORDER BY row');
  }

  /** Adds those whose names are new. Returns them as they are now. */
  add(objects: readonly NewObject[]): ObjectRow[] {
    let { row } = this.#nextRow.get() as { row: number };
    const added: ObjectRow[] = [];
    for (const { refusal, ...listed } of objects) {
      if (this.#known.get(listed.name)) continue;
      const object: ObjectRow = { ...listed, row, state: refusal ? 'failed' : 'pending', attempts: 0, ...refusal };
      const values = valuesOf(object);
      this.#insert.run(row, ...values, checksumOf(['objects', this.#files.id, row, ...values]));
      added.push(object);
      row++;
    }
    return added;
  }

  /** Writes a row anew, all of it but its name. */
  write(object: ObjectRow): void {
    const values = valuesOf(object);
    const [, ...changed] = values;
    this.#update.run(...changed, checksumOf(['objects', this.#files.id, object.row, ...values]), object.row);
  }

  /** The next that wait, of one kind and one number of attempts. */
  pending({ isLarge, attempts, limit }: { isLarge: boolean; attempts: number; limit: number }): ObjectRow[] {
    return this.#pending.all(Number(isLarge), attempts, limit).map((columns) => this.#verified(columns as never));
  }

  remove({ row }: ObjectRow): void {
    this.#remove.run(row);
  }

  /** Gives all rows in a state another one, and whatever else changes with it. Returns how many. */
  move(state: ObjectRow['state'], change: Partial<ObjectRow> & Pick<ObjectRow, 'state'>): number {
    for (let count = 0; ; ) {
      const page = this.#some.all(state, PAGE_SIZE).map((columns) => this.#verified(columns as never));
      if (page.length === 0) return count;
      for (const object of page) this.write({ ...object, ...change });
      count += page.length;
    }
  }

  /** All rows in a state, as they are when their turn comes. */
  *inState(state: ObjectRow['state']): Generator<ObjectRow, void> {
    for (let last = 0; ; ) {
      const page = this.#after.all(state, last, PAGE_SIZE);
      for (const columns of page) yield this.#verified(columns as never);
      if (page.length < PAGE_SIZE) return;
      last = (page.at(-1) as unknown as Columns).row;
    }
  }

  /** All rows, as they were when the first of them was read: the caller has begun a transaction. */
  *all(): Generator<ObjectRow, void> {
    for (const columns of this.#all.iterate()) yield this.#verified(columns as never);
  }

  #verified(columns: Columns): ObjectRow {
    const { row, name, size, is_large, source, state, attempts, code, message, target } = columns;
    const { started_ms, finished_ms, checksum } = columns;
    const values = [name, size, is_large, source, state, attempts, code, message, target, started_ms, finished_ms];
    if (!sameBytes(checksum, checksumOf(['objects', this.#files.id, row, ...values]))) {
      throw corrupt(this.#files, `the row of ${JSON.stringify(name)} is not as it was written`);
    }
    return {
      row,
      name,
      size,
      isLarge: is_large === 1,
      source: JSON.parse(source),
      state,
      attempts,
      code: code ?? undefined,
      message: message ?? undefined,
      target: target === null ? undefined : JSON.parse(target),
      startedMs: started_ms ?? undefined,
      finishedMs: finished_ms ?? undefined,
    };
  }
}

/** In the order of the table, from the name on. */
function valuesOf(object: ObjectRow) {
  const { name, size, isLarge, source, state, attempts, code, message, target, startedMs, finishedMs } = object;
  const facts = [JSON.stringify(source), state, attempts, code ?? null, message ?? null] as const;
  const made = target === undefined ? null : JSON.stringify(target);
  return [name, size, Number(isLarge), ...facts, made, startedMs ?? null, finishedMs ?? null] as const satisfies Row;
}

/** What has become of a migration's objects so far. */
export function countObjects(db: DatabaseSync): ObjectCounts {
  const counts = { pending: none(), sending: none(), done: none(), skipped: none(), failed: none() };
  const rows = db.prepare('SELECT state, count(*) AS count, total(size) AS bytes FROM objects GROUP BY state').all();
  for (const { state, count, bytes } of rows) {
    counts[state as ObjectRow['state']] = { count: Number(count), bytes: Number(bytes) };
  }
  return counts;
}

/** How many have failed, by the code of each, most first. */
export function countFailures(db: DatabaseSync): Record<string, number> {
  const rows = db
    .prepare(
      "SELECT code, count(*) AS count FROM objects WHERE state = 'failed' GROUP BY code ORDER BY count DESC, code",
    )
    .all();
  return Object.fromEntries(rows.map(({ code, count }) => [String(code), Number(count)]));
}

/** Sealed bytes of what is done. */
export function sumSealed(db: DatabaseSync): number {
  const sum = "SELECT total(target ->> 'sealedSize') AS size FROM objects WHERE state = 'done'";
  return Number(db.prepare(sum).get()?.size);
}

/** How many are done of which the store did not confirm the checksum. */
export function countUnconfirmed(db: DatabaseSync): number {
  const count =
    "SELECT count(*) AS count FROM objects WHERE state = 'done' AND coalesce(target ->> 'isConfirmed', 0) = 0";
  return Number(db.prepare(count).get()?.count);
}

function none() {
  return { count: 0, bytes: 0 };
}
