/**
 * The files of a job: `JOB.db` is its ledger (with `JOB.db-wal` and `JOB.db-shm` while in use), `JOB.lock` says who
 * runs it, `JOB.sock` is where it takes orders. An id follows from what the job does, so the same command finds its own unfinished job, and two processes
 * that do the same thing meet on the same lock.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SealiftError } from '../errors.ts';
import type { NewJob } from './types.ts';

export interface JobFiles {
  readonly id: string;
  readonly stateDir: string;
  readonly db: string;
  readonly lock: string;
  /** Where a running migration takes orders. */
  readonly socket: string;
  /** Of a migration: the folder with the ledgers of its large objects. */
  readonly objects: string;
}

const ID = /^[a-z]+-[a-z2-7]{10}$/;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** `put-`, `get-` or another command, and ten base32 characters of a hash: the same for the same command, source and target. */
export function jobIdOf(job: Pick<NewJob, 'command' | 'source' | 'target'>): string {
  const text = JSON.stringify(['sealift job 1', job.command, job.source, job.target]);
  const hash = createHash('sha256').update(text).digest();
  return `${job.command}-${Array.from(hash.subarray(0, 10), (byte) => BASE32[byte % 32]).join('')}`;
}

/** Throws `no-such-job` for what cannot be an id: ids are typed by people, and become file names. */
export function jobFiles(stateDir: string, id: string): JobFiles {
  if (!ID.test(id)) throw noSuchJob(id);
  const named = (suffix: string) => join(stateDir, `${id}.${suffix}`);
  return { id, stateDir, db: named('db'), lock: named('lock'), socket: named('sock'), objects: named('objects') };
}

/** The id in a ledger's file name, or undefined for a file that is no ledger. */
export function jobIdOfFile(name: string): string | undefined {
  const id = name.endsWith('.db') ? name.slice(0, -'.db'.length) : '';
  return ID.test(id) ? id : undefined;
}

export function noSuchJob(id: string): SealiftError {
  return new SealiftError('no-such-job', `There is no job ${JSON.stringify(id)}`, {
    hint: 'Run `sealift jobs` to see the jobs there are.',
  });
}

/**
 * Creates an empty file of mode 0600, or leaves the one that is there alone. It must not open that one: closing a
 * second descriptor of a file gives up every lock this process holds on it.
 */
export function createPrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  }
}

/** Removes a ledger, the database first: without it there is no job, whatever a crash leaves of the rest. */
export function removeLedgerFiles(files: JobFiles): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${files.db}${suffix}`, { force: true });
  rmSync(files.socket, { force: true });
  rmSync(files.objects, { recursive: true, force: true });
}

/** Makes names created in or removed from a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
