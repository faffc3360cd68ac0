/** The one row that says what the job is, where its ledger lies, and who had it last. */
import { realpathSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { corrupt } from './database.ts';
import { type JobFiles, jobIdOf } from './files.ts';
import { checksumOf, type Row, sameBytes } from './row-tags.ts';
import { machineId } from './state-dir.ts';
import type { JobRow } from './types.ts';

/** Where a ledger lies. Another place means a copy, which may be older than what its original has done since. */
export interface LedgerPlace {
  machineId: string;
  path: string;
  inode: string;
}

export interface StoredJob {
  job: JobRow;
  place: LedgerPlace;
  /** The process that opened the ledger last. */
  pid: number;
}

/** As SQLite gives the row; STRICT tables hold the types. */
interface Columns {
  id: string;
  command: JobRow['command'];
  source: string;
  target: string;
  options: string;
  state: JobRow['state'];
  created_ms: number;
  finished_ms: number | null;
  machine_id: string;
  path: string;
  inode: string;
  pid: number;
}

export function placeOf(files: JobFiles): LedgerPlace {
  const path = realpathSync(files.db);
  return { machineId: machineId(), path, inode: String(statSync(path, { bigint: true }).ino) };
}

/** Throws `ledger-moved` unless the ledger lies where it was made. */
export function checkPlace(made: LedgerPlace, files: JobFiles): void {
  const now = placeOf(files);
  if (made.machineId === now.machineId && made.path === now.path && made.inode === now.inode) return;
  throw new SealiftError('ledger-moved', `The ledger ${files.db} was copied or moved here from elsewhere`, {
    hint: 'It may be older than what its original did since. Start again with --fresh, under a new key, or cancel the job.',
  });
}

/** Writes the row, or writes it again. */
export function writeJob(db: DatabaseSync, { job, place, pid }: StoredJob): void {
  const row = rowOf({
    ...job,
    options: JSON.stringify(job.options),
    created_ms: job.createdMs,
    finished_ms: job.finishedMs ?? null,
    machine_id: place.machineId,
    path: place.path,
    inode: place.inode,
    pid,
  });
  const [, ...values] = row;
  const marks = '?, '.repeat(values.length);
  db.prepare(`INSERT OR REPLACE INTO job VALUES (1, ${marks}?)`).run(...values, checksumOf(row));
}

/** Throws `ledger-corrupt` where the row is not as it was written, or is another job's. */
export function readJob(db: DatabaseSync, files: JobFiles): StoredJob {
  const rows = db.prepare('SELECT * FROM job').all() as unknown as (Columns & { checksum: Uint8Array })[];
  const columns = rows[0];
  if (!columns || rows.length > 1) throw corrupt(files, `it describes ${rows.length} jobs`);
  if (!sameBytes(columns.checksum, checksumOf(rowOf(columns)))) {
    throw corrupt(files, "the job's row is not as it was written");
  }
  const { id, command, source, target, state } = columns;
  if (id !== files.id || id !== jobIdOf(columns)) throw corrupt(files, 'it describes another job');
  const options = JSON.parse(columns.options);
  const { created_ms: createdMs, finished_ms: finishedMs, machine_id: machineId, path, inode, pid } = columns;
  const job = { id, command, source, target, options, state, createdMs, finishedMs: finishedMs ?? undefined };
  return { job, place: { machineId, path, inode }, pid };
}

/** Read by name, in the order of the table. */
function rowOf(columns: Columns) {
  const { id, command, source, target, options, state, created_ms, finished_ms, machine_id, path, inode, pid } =
    columns;
  const job = [id, command, source, target, options, state, created_ms, finished_ms] as const;
  return ['job', ...job, machine_id, path, inode, pid] as const satisfies Row;
}
