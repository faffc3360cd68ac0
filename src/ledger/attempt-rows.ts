/**
 * The rows of a job's attempts. A download is kept in the same shape: what a put calls an attempt, a get calls a
 * download, and both are a plan, a header, and the key that the header leads to.
 */
import type { KeyObject } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { corrupt } from './database.ts';
import type { JobFiles } from './files.ts';
import { checksumOf, type Row, sameBytes, tagOf } from './row-tags.ts';
import type { AttemptRow, DownloadRow, NewAttempt, NewDownload } from './types.ts';

/** What the two have in common. */
export interface StoredAttempt extends Pick<AttemptRow, 'number' | 'header' | 'state'> {
  /** JSON: everything that is fixed from the start. */
  plan: string;
  /** Of a put its upload's id, of a get its temporary file's inode; undefined until there is one. */
  outsideId: string | undefined;
  /** JSON: the store's answer. */
  answer: string | undefined;
}

interface Columns {
  number: number;
  plan: string;
  header: Uint8Array;
  outside_id: string | null;
  state: AttemptRow['state'];
  answer: string | null;
  checksum: Uint8Array;
  tag: Uint8Array;
}

/** In place of a tag, where an attempt was written off without its key. No tag is equal to it. */
const NO_TAG = new Uint8Array(0);

/**
 * The current attempt, or undefined before the first. Its checksum is verified; with `key` its tag is too. Throws
 * `ledger-corrupt`.
 */
export function readAttempt(db: DatabaseSync, files: JobFiles, key?: KeyObject): StoredAttempt | undefined {
  const columns = db.prepare('SELECT * FROM attempts ORDER BY number DESC LIMIT 1').get() as Columns | undefined;
  return columns && verified(columns, files, key);
}

/** All attempts in state `lost`, oldest first, as `readAttempt` without a key. */
export function readLost(db: DatabaseSync, files: JobFiles): StoredAttempt[] {
  const rows = db.prepare("SELECT * FROM attempts WHERE state = 'lost' ORDER BY number").all();
  return rows.map((columns) => verified(columns as unknown as Columns, files));
}

function verified(columns: Columns, files: JobFiles, key?: KeyObject): StoredAttempt {
  const attempt: StoredAttempt = {
    number: columns.number,
    plan: columns.plan,
    header: columns.header,
    outsideId: columns.outside_id ?? undefined,
    state: columns.state,
    answer: columns.answer ?? undefined,
  };
  const row = rowOf(files, attempt);
  if (!sameBytes(columns.checksum, checksumOf(row)) || (key && !sameBytes(columns.tag, tagOf(key, row)))) {
    throw corrupt(files, `the row of attempt ${attempt.number} is not as it was written`);
  }
  return attempt;
}

/**
 * Writes an attempt, or writes it again. Without `key` it loses its tag, and can never be unlocked again: only one
 * that is over is written so.
 */
export function writeAttempt(
  db: DatabaseSync,
  files: JobFiles,
  attempt: StoredAttempt,
  key: KeyObject | undefined,
): void {
  const row = rowOf(files, attempt);
  const [, , ...values] = row;
  db.prepare('INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)').run(
    ...values,
    checksumOf(row),
    key ? tagOf(key, row) : NO_TAG,
  );
}

/** What a put sees. */
export function attemptOf({ number, plan, header, outsideId, state, answer }: StoredAttempt): AttemptRow {
  const fixed = JSON.parse(plan) as NewAttempt;
  const answered = answer === undefined ? undefined : JSON.parse(answer);
  return { ...fixed, number, header, uploadId: outsideId, state, answer: answered };
}

/** What a get sees. */
export function downloadOf({ number, plan, header, outsideId }: StoredAttempt): DownloadRow {
  const fixed = JSON.parse(plan) as Omit<NewDownload, 'header'>;
  return { ...fixed, number, header, tempInode: outsideId };
}

/** The job's id is in it, so that an attempt is of use in no other job. */
function rowOf(files: JobFiles, { number, plan, header, outsideId, state, answer }: StoredAttempt) {
  return ['attempts', files.id, number, plan, header, outsideId ?? null, state, answer ?? null] as const satisfies Row;
}
