/**
 * All jobs of a state folder, seen from outside: without their locks, while other processes may be writing. And the
 * end of a job: its files removed.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { readAttempt, readLost, type StoredAttempt } from './attempt-rows.ts';
import { guarded, openToRead } from './database.ts';
import { type JobFiles, jobFiles, jobIdOfFile, noSuchJob, removeLedgerFiles, syncFolder } from './files.ts';
import { readJob } from './job-row.ts';
import { ListingRows } from './listing-rows.ts';
import { JobLock } from './lock.ts';
import { countFailures, countObjects } from './object-rows.ts';
import { checkSchema } from './schema.ts';
import type { DamagedJob, JobRow, JobSummary, NewAttempt, NewDownload } from './types.ts';

/** Every job of the folder, oldest first; those that cannot be read come last. */
export function listJobs(stateDir: string): (JobSummary | DamagedJob)[] {
  const jobs: JobSummary[] = [];
  const damaged: DamagedJob[] = [];
  for (const name of readdirSync(stateDir).sort()) {
    const id = jobIdOfFile(name);
    if (id === undefined) continue;
    try {
      jobs.push(summarizeJob(stateDir, id));
    } catch (thrown) {
      const { code, message } = SealiftError.from(thrown);
      // Removed while we looked, or not made yet.
      if (code === 'no-such-job') continue;
      damaged.push({ id, state: 'damaged', running: JobLock.isHeld(jobFiles(stateDir, id).lock), reason: message });
    }
  }
  return [...jobs.sort((a, b) => a.createdMs - b.createdMs), ...damaged];
}

/** Throws `no-such-job`, `ledger-corrupt`, `ledger-too-new`. */
export function summarizeJob(stateDir: string, jobId: string): JobSummary {
  const files = jobFiles(stateDir, jobId);
  if (!existsSync(files.db)) throw noSuchJob(jobId);
  return guarded(files, () => {
    const db = openToRead(files.db);
    try {
      // One transaction, so that all of it is read from one commit.
      db.exec('BEGIN');
      checkSchema(db, files);
      const { job, pid } = readJob(db, files);
      const running = JobLock.isHeld(files.lock);
      return { ...job, running, ...(running ? { pid } : {}), ...progressOf(db, files, job) };
    } finally {
      db.close();
    }
  });
}

/** Every upload that a job of the folder has, or had and could not abort. A ledger that cannot be read tells of none. */
export function listUploads(stateDir: string): { job: string; uploadId: string }[] {
  return readdirSync(stateDir).flatMap((name) => {
    const id = jobIdOfFile(name);
    return id === undefined ? [] : uploadsOf(jobFiles(stateDir, id));
  });
}

function uploadsOf(files: JobFiles): { job: string; uploadId: string }[] {
  // Of a migration, those of its large objects.
  const within = existsSync(files.objects) ? listUploads(files.objects) : [];
  try {
    const attempts = guarded(files, () => {
      const db = openToRead(files.db);
      try {
        return [readAttempt(db, files), ...readLost(db, files)];
      } finally {
        db.close();
      }
    });
    const own = attempts.flatMap((attempt) => (attempt?.outsideId ? [attempt.outsideId] : []));
    return [...own, ...within.map(({ uploadId }) => uploadId)].map((uploadId) => ({ job: files.id, uploadId }));
  } catch {
    return [];
  }
}

/** Throws `job-busy` where the job is there and not over, and what `summarizeJob` throws where that cannot be known. */
export function refuseUnfinished(files: JobFiles): void {
  try {
    if (summarizeJob(files.stateDir, files.id).state !== 'running') return;
  } catch (thrown) {
    if (thrown instanceof SealiftError && thrown.code === 'no-such-job') return;
    throw thrown;
  }
  throw new SealiftError('job-busy', `Job ${files.id} is unfinished`, {
    hint: `Run \`sealift resume ${files.id}\` to go on with it, or \`sealift cancel ${files.id}\` to drop it.`,
  });
}

/** Removes a job, whatever state its ledger is in. Throws `job-busy`. */
export function removeJob(stateDir: string, jobId: string): void {
  const files = jobFiles(stateDir, jobId);
  using lock = takeJobLock(files);
  removeJobFiles(files, lock);
}

/** Removes what a job left; whoever holds its lock may. The lock's own file goes last, and so the lock with it. */
export function removeJobFiles(files: JobFiles, lock: JobLock): void {
  guarded(files, () => {
    removeLedgerFiles(files);
    rmSync(files.lock, { force: true });
    syncFolder(files.stateDir);
  });
  lock.release();
}

/**
 * Removes the jobs that ended longer ago than `olderThanMs`; one that cannot be removed is left for another time, and so is
 * one that alone knows what the store still holds of it. Returns the ids of those removed.
 */
export function pruneJobs(stateDir: string, { olderThanMs }: { olderThanMs: number }): string[] {
  const beforeMs = Date.now() - olderThanMs;
  const isOld = (job: JobSummary | DamagedJob) => job.state !== 'damaged' && (job.finishedMs ?? Infinity) < beforeMs;
  const tryToRemove = ({ id }: JobSummary | DamagedJob): boolean => {
    try {
      const files = jobFiles(stateDir, id);
      using lock = JobLock.take(files.lock);
      // The same job may have come again since the list was made: only under its lock is it known to be over.
      if (!lock || !isOld(summarizeJob(stateDir, id)) || hasLost(files)) return false;
      removeJobFiles(files, lock);
      return true;
    } catch {
      return false;
    }
  };
  return listJobs(stateDir)
    .filter((job) => isOld(job) && tryToRemove(job))
    .map(({ id }) => id);
}

/** Whether something could not be freed: an upload, its own or a large object's, or an instruction file that was not put back. */
function hasLost(files: JobFiles): boolean {
  if (existsSync(files.objects) && listJobs(files.objects).length > 0) return true;
  const db = openToRead(files.db);
  try {
    return readLost(db, files).length > 0;
  } finally {
    db.close();
  }
}

/** Throws `job-busy`, with the holder's pid where its ledger tells it. */
function takeJobLock(files: JobFiles): JobLock {
  const lock = guarded(files, () => JobLock.take(files.lock));
  if (lock) return lock;
  const pid = holderOf(files);
  throw new SealiftError('job-busy', `Job ${files.id} is in use by ${pid ? `process ${pid}` : 'another process'}`, {
    hint: 'Wait for it to end, or interrupt it: its work is kept.',
  });
}

/** Takes the job's lock for `work`, which hands it on; where it throws, the lock is free again. */
export function locked<Result>(files: JobFiles, work: (lock: JobLock) => Result): Result {
  const lock = takeJobLock(files);
  try {
    return guarded(files, () => work(lock));
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

function holderOf(files: JobFiles): number | undefined {
  try {
    return summarizeJob(files.stateDir, files.id).pid;
  } catch {
    return undefined;
  }
}

type Progress = Pick<
  JobSummary,
  'bytesDone' | 'bytesTotal' | 'partsDone' | 'partsTotal' | 'answer' | 'objects' | 'failures' | 'listing'
>;

function progressOf(db: DatabaseSync, files: JobFiles, job: JobRow): Progress {
  if (job.command === 'migrate') return progressOfMigrate(db, files);
  const attempt = readAttempt(db, files);
  if (!attempt) return { bytesDone: 0, bytesTotal: 0, partsDone: 0, partsTotal: 0 };
  const progress = job.command === 'get' ? progressOfGet(db, attempt.plan) : progressOfPut(db, attempt);
  // What went in one request has no rows of parts.
  return job.state === 'done'
    ? { ...progress, bytesDone: progress.bytesTotal, partsDone: progress.partsTotal, ...answerOf(attempt) }
    : progress;
}

function answerOf({ answer }: StoredAttempt): Pick<JobSummary, 'answer'> {
  return answer === undefined ? {} : { answer: JSON.parse(answer) };
}

function progressOfPut(db: DatabaseSync, { plan, state }: StoredAttempt): Progress {
  const { source, single, layout } = JSON.parse(plan) as NewAttempt;
  const isKnown = source !== undefined || single || state === 'completing' || state === 'done';
  const { sealedSize, partCount } = isKnown ? layout : { sealedSize: 0, partCount: 0 };
  const row = db.prepare('SELECT count(*) AS count, total(sealed_size) AS size FROM receipts').get();
  const footer = db.prepare('SELECT total(length(footer)) AS size FROM intents').get();
  const bytesTotal = sealedSize + Number(footer?.size);
  return { bytesDone: Number(row?.size), bytesTotal, partsDone: Number(row?.count), partsTotal: partCount };
}

function progressOfGet(db: DatabaseSync, plan: string): Progress {
  const { plainSize, pieceCount } = JSON.parse(plan) as NewDownload;
  const partsDone = Number(db.prepare('SELECT count(*) AS count FROM pieces').get()?.count);
  // Pieces are of one size but for the last, and there is at least one.
  const bytesDone = Math.round((plainSize * partsDone) / pieceCount);
  return { bytesDone, bytesTotal: plainSize, partsDone, partsTotal: pieceCount };
}

/** Totals are those of what is listed so far. */
function progressOfMigrate(db: DatabaseSync, files: JobFiles): Progress {
  const objects = countObjects(db);
  const { done, skipped } = objects;
  const all = Object.values(objects);
  return {
    bytesDone: done.bytes + skipped.bytes,
    bytesTotal: all.reduce((sum, { bytes }) => sum + bytes, 0),
    partsDone: 0,
    partsTotal: 0,
    objects,
    failures: countFailures(db),
    listing: new ListingRows(db, files).next() !== undefined,
  };
}
