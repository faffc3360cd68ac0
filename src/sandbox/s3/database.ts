/** SQLite with statements prepared once: a file that one process has to itself, or memory. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

export type Row = Record<string, unknown>;

export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** `path` is a file, or `:memory:`. Throws where another process has the file open. */
  constructor(path: string, schema: string) {
    this.#db = new DatabaseSync(path);
    // A sandbox that loses power may lose its last writes; one that is killed does not.
    this.#db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    this.#db.exec(schema);
  }

  close(): void {
    this.#db.close();
  }

  run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  /** Row by row, as they are asked for. Nothing else may run the same statement meanwhile. */
  iterate(sql: string, ...values: SQLInputValue[]): Iterable<Row> {
    return this.#prepare(sql).iterate(...values);
  }

  /** Makes all of a change or none of it. */
  together<T>(change: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = change();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** First key and first key after, of those that begin with `prefix` and are not below `from`. */
export function keyRange(prefix: string, from: string): [string, string] {
  // No key holds a code point above this one, so it ends the prefix in the order of UTF-8 bytes.
  return [Buffer.compare(Buffer.from(prefix), Buffer.from(from)) > 0 ? prefix : from, `${prefix}\u{10ffff}`];
}
