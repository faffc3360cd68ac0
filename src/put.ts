/**
 * `put`: a file goes into a store sealed, in parallel, and an interrupted one goes on where it stopped.
 *
 * The ledger hears of everything before it happens: the attempt (header, id, plan) before the upload is created, each
 * part's intent before its first byte, each receipt before the lane takes another part. What goes wrong in a way that
 * the same key cannot survive (the source changed, the upload is gone, the ledger is older than the truth) starts the
 * object over as a new attempt under a new message key.
 */
import { SealiftError } from './errors.ts';
import type { JobResult, Place, RunOptions, Tools } from './job.ts';
import { Progress } from './job.ts';
import type { Ledger } from './ledger/ledger.ts';
import { openSource } from './parts/source.ts';
import { type Attempt, beginAttempt, type SealOptions } from './put/attempt.ts';
import { finishUpload } from './put/finish.ts';
import { openJob } from './put/job.ts';
import { createUpload, sendParts } from './put/parts.ts';
import { resumeAttempt } from './put/resume.ts';
import { sendWhole } from './put/single.ts';
import { StartOver } from './put/start-over.ts';

export interface PutRequest extends SealOptions, RunOptions {
  /** Absolute path of a file. */
  source: string;
  /** `s3://bucket/key` or `file:///path`. */
  target: string;
  /** Forget an unfinished job of the same source and target, abort its upload, and start under a new key. */
  fresh?: boolean | undefined;
  /** Kept with the job for whoever resumes it: the command line keeps its flags here. */
  memo?: Readonly<Record<string, unknown>> | undefined;
}

/** What the parts of this story share. */
export interface PutRun {
  request: PutRequest;
  tools: Tools;
  place: Place;
  ledger: Ledger;
  progress: Progress;
}

/** Attempts one run makes before it gives up: a source that changes all the time must not keep us here. */
const ATTEMPT_COUNT = 3;

/**
 * Seals `source` into `target`. Resolves when the store has confirmed the object. Rejects with a SealiftError; after
 * `interrupted`, `store-unavailable`, `store-throttled`, `kms-*` and the like the job stays, and the same call goes on.
 */
export async function put(request: PutRequest, tools: Tools): Promise<JobResult> {
  const progress = new Progress(tools, request);
  const place = await tools.place(request.target);
  const { file, identity: source } = await openSource(request.source);
  await file.close();
  progress.totalBytes = source.size;

  const job = await openJob(request, place, tools);
  using ledger = job.ledger;
  const run: PutRun = { request: job.request, tools, place, ledger, progress };
  for (let count = 1; ; count++) {
    try {
      const resumed = await resumeAttempt(run, source);
      if (resumed === 'done') return resultOf(run);
      const attempt = resumed ?? (await beginAttempt(run, source));
      await carry(run, attempt);
      return resultOf(run);
    } catch (error) {
      if (!(error instanceof StartOver)) throw await leave(run, error);
      if (count === ATTEMPT_COUNT) throw await leave(run, error.cause);
      await drop(run);
      progress.restart(error.message);
    }
  }
}

async function carry(run: PutRun, attempt: Attempt): Promise<void> {
  const { progress, request, ledger, place } = run;
  progress.emit({
    type: 'start',
    job: ledger.job.id,
    command: 'put',
    object: place.url,
    resumed: attempt.resumed,
    totalBytes: progress.totalBytes,
  });
  if (attempt.row.single) {
    await sendWhole(run, attempt);
  } else {
    const uploadId = attempt.row.uploadId ?? (await createUpload(run, attempt));
    const complete = await sendParts(run, attempt, uploadId);
    if (!complete) throw interrupted(request);
    await finishUpload(run, attempt, uploadId);
  }
  ledger.finish('done');
}

function resultOf({ ledger, place, progress }: PutRun): JobResult {
  const attempt = ledger.attempt()!;
  return progress.result({
    command: 'put',
    job: ledger.job.id,
    object: place.url,
    plainBytes: attempt.layout.plainSize,
    sealedBytes: attempt.layout.sealedSize,
    parts: attempt.single ? 1 : attempt.layout.partCount,
  });
}

function interrupted(request: PutRequest): SealiftError {
  return new SealiftError('interrupted', `Interrupted: ${request.source} is partly uploaded, and its job is kept`, {
    hint: 'Run the same command again, or `sealift resume`, to go on; `sealift cancel JOB` frees the parts.',
  });
}

/** Codes after which the same job can never go on: its upload is aborted and the job is over. */
const FINAL_CODES = new Set(['source-changed', 'target-exists', 'target-changed']);

/** Decides what an error leaves behind: a job to go on with, a job that is over, or nothing where nothing was begun. */
async function leave(run: PutRun, thrown: unknown): Promise<unknown> {
  const { request, ledger } = run;
  const attempt = ledger.attempt();
  if (!attempt) {
    ledger.discard();
    return SealiftError.from(thrown);
  }
  const error = request.signal?.aborted ? interrupted(request) : SealiftError.from(thrown);
  if (FINAL_CODES.has(error.code)) {
    await drop(run);
    ledger.finish('failed');
  }
  return error;
}

/** Aborts the current attempt's upload, if it has one. One that cannot be aborted now is told, not hidden. */
async function drop({ ledger, place, progress }: PutRun): Promise<void> {
  const attempt = ledger.attempt();
  if (!attempt || attempt.state === 'aborted') return;
  if (attempt.uploadId !== undefined) {
    try {
      await place.store.abortUpload(place.key, attempt.uploadId);
    } catch (error) {
      const { message } = SealiftError.from(error);
      progress.emit({ type: 'warning', message: `Upload ${attempt.uploadId} could not be aborted: ${message}` });
    }
  }
  ledger.setState('aborted');
}
