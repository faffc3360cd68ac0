/**
 * `put`: a file, or an object of a store, goes into a store sealed, in parallel, and an interrupted one goes on where it
 * stopped. A pipe goes there too, but from its start or not at all (put/pipe.ts).
 *
 * The ledger hears of everything before it happens: the attempt (header, id, plan) before the upload is created, each
 * part's intent before its first byte, each receipt before the lane takes another part. What goes wrong in a way that
 * the same key cannot survive (the source changed, the upload is gone, the ledger is older than the truth) starts the
 * object over as a new attempt under a new message key.
 */
import { type ErrorCode, EXIT, isDenied, SealiftError } from './errors.ts';
import type { Cut } from './formats/message.ts';
import type { JobResult, Place, RunOptions, Tools } from './job.ts';
import { underKey } from './job.ts';
import type { Keyring } from './keys/keyring.ts';
import { leaveJob } from './leave.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { ProfileOptions } from './parts/stopwatch.ts';
import { Progress } from './progress.ts';
import { type Attempt, beginAttempt, type SealOptions } from './put/attempt.ts';
import { findObjectSource, identifyFile, isObjectUrl, type SourceOptions } from './put/find-source.ts';
import { finishUpload, footerSizeOf } from './put/finish.ts';
import { giveUpAttempt } from './put/give-up.ts';
import { openJob } from './put/job.ts';
import { createUpload, needsOf, sendParts } from './put/parts.ts';
import { putPipe } from './put/pipe.ts';
import { resumeAttempt } from './put/resume.ts';
import { sendWhole } from './put/single.ts';
import type { PartDigests, RangedSource } from './put/source.ts';
import { StartOver } from './put/start-over.ts';
import { encryptionAsked } from './stores/encryption.ts';
import type { InheritedHeaders, WriteAnswer } from './stores/store.ts';

/** What is to be sealed, and into which object. */
export interface PutOptions extends SealOptions, RunOptions, ProfileOptions {
  /**
   * A file's path; `s3://bucket/key` or `file:///path`, an object that is plain, or sealed and to be sealed anew; or a Node or Web
   * stream, or any async iterable: what it yields is copied before it is asked for more.
   */
  source: string | AsyncIterable<Uint8Array>;
  /** How a source is read that is an object. */
  sourceOptions?: SourceOptions | undefined;
  /** `s3://bucket/key` or `file:///path`. */
  target: string;
  /** Of a stream, where it is known: its parts begin large enough for so many bytes. */
  expectedSize?: number | undefined;
  /** Forget an unfinished job of the same source and target, abort its upload, and start under a new key. */
  fresh?: boolean | undefined;
  /** Kept with the job for whoever resumes it: the command line keeps its flags here. */
  memo?: Readonly<Record<string, unknown>> | undefined;
}

/** A put's request; or a reseal's, which puts what it opens, and whose source is its object's URL. */
export interface WriteRequest extends PutOptions {
  command: 'put' | 'reseal';
  inherited?: InheritedHeaders | undefined;
  /**
   * Of a source that proves itself only as a whole: has it do so, before anything is sent. Resolves to what the plain
   * bytes of parts so cut hash to.
   */
  prove?: ((cut: Cut) => Promise<PartDigests>) | undefined;
}

/** What the parts of this story share. */
export interface PutRun {
  request: WriteRequest;
  tools: Tools;
  place: Place;
  ledger: Ledger;
  /** The job was begun by this run, not taken up. */
  isNew: boolean;
  progress: Progress;
}

/** Attempts one run makes before it gives up: a source that changes all the time must not keep us here. */
const ATTEMPT_COUNT = 3;

/**
 * Seals `source` into `target`. Resolves when the store has confirmed the object. Rejects with a SealiftError; after
 * `interrupted`, `store-unavailable`, `store-throttled`, `kms-*` and the like the job stays, and the same call goes on.
 * `opener` opens a source that is sealed.
 */
export async function put(request: PutOptions, tools: Tools, opener: Keyring = tools.keyring): Promise<JobResult> {
  refuseIdleFlags(request);
  const progress = new Progress(request);
  const place = underKey(await tools.place(request.target), request.customerKey);
  const sse = encryptionAsked(request);
  const write = { ...request, sse, command: 'put' as const };
  const by = { tools, place, progress };
  const { source } = request;
  if (typeof source !== 'string') return await putFrom(source, write, by);
  if (!isObjectUrl(source)) return await putFrom(await identifyFile(source), write, by);
  const found = await findObjectSource(source, { ...request.sourceOptions, signal: request.signal }, { ...by, opener });
  return await putFrom(found.source, { ...write, source: found.name, prove: found.prove }, by);
}

/** As `put`, of what was found under the request's source. */
export async function putFrom(
  source: RangedSource | AsyncIterable<Uint8Array>,
  request: WriteRequest,
  { tools, place, progress }: Pick<PutRun, 'tools' | 'place' | 'progress'>,
): Promise<JobResult> {
  const job = await openJob(request, { place, tools, progress });
  using ledger = job.ledger;
  const run: PutRun = { ...job, tools, place, progress };
  const answer = Symbol.asyncIterator in source ? await putPipe(run, source) : await putRanged(run, source);
  ledger.setState('done', answer);
  ledger.finish('done');
  return resultOf(run);
}

/** What asks for something that cannot be done here is told, not passed over. */
function refuseIdleFlags({ source, expectedSize }: PutOptions): void {
  if (typeof source !== 'string' || expectedSize === undefined) return;
  throw new SealiftError('usage', '--expected-size is for pipes: the size of a file is known', {
    hint: 'Leave it out.',
  });
}

/** Seals what can be read again, under another key where that mends what went wrong. */
async function putRanged(run: PutRun, source: RangedSource): Promise<WriteAnswer> {
  for (let count = 1; ; count++) {
    try {
      return await writeObject(run, source);
    } catch (error) {
      if (!(error instanceof StartOver)) throw await leave(run, error);
      if (count === ATTEMPT_COUNT) throw await leave(run, error.cause);
      await drop(run);
      run.progress.restart(error.message);
    }
  }
}

async function writeObject(run: PutRun, source: RangedSource): Promise<WriteAnswer> {
  const resumed = await resumeAttempt(run, source);
  if (!resumed) return await carry(run, await beginAttempt(run, source));
  return 'arrived' in resumed ? resumed.arrived : await carry(run, resumed.attempt);
}

async function carry(run: PutRun, begun: Attempt): Promise<WriteAnswer> {
  const { progress, request, ledger, place, tools } = run;
  progress.emit({
    type: 'start',
    job: ledger.job.id,
    command: request.command,
    object: place.url,
    resumed: begun.resumed,
    totalBytes: progress.totalBytes,
  });
  const attempt = { ...begun, digests: await request.prove?.(begun.message) };
  if (attempt.row.single) return await sendWhole(run, attempt);
  // The crew comes first: where memory is too small there is no upload yet to be left behind.
  const crew = await tools.crew(needsOf(attempt.message, request, attempt.source!), progress.tellLanes);
  const uploadId = attempt.row.uploadId ?? (await createUpload(run, attempt));
  const complete = await sendParts(run, attempt, { uploadId, crew });
  if (!complete) throw interrupted(request);
  return await finishUpload(run, attempt, uploadId);
}

function resultOf({ request, ledger, place, progress }: PutRun): JobResult {
  const attempt = ledger.attempt()!;
  return progress.result({
    command: request.command,
    job: ledger.job.id,
    object: place.url,
    plainBytes: attempt.layout.plainSize,
    sealedBytes: attempt.layout.sealedSize + footerSizeOf(ledger),
    parts: attempt.single ? 1 : attempt.layout.partCount,
    etag: attempt.answer?.etag,
    versionId: attempt.answer?.versionId,
    sse: attempt.answer?.sse,
    signed: attempt.signingKey === undefined ? undefined : true,
    seal: attempt.format === 'plain' ? 'none' : undefined,
  });
}

function interrupted(request: WriteRequest): SealiftError {
  const done = request.command === 'put' ? 'uploaded' : 'resealed';
  return new SealiftError('interrupted', `Interrupted: ${request.source} is partly ${done}, and its job is kept`, {
    hint: 'Run the same command again, or `sealift resume`, to go on; `sealift cancel JOB` frees the parts.',
  });
}

/** Codes after which the same job can never go on: its upload is aborted and the job is over. */
const FINAL_CODES = new Set<ErrorCode>([
  'source-changed',
  'target-exists',
  'target-changed',
  // Of an object to be resealed.
  'object-changed',
  // The object is there, as it was not to be.
  'encryption-mismatch',
  'bad-frame',
  'bad-tag',
  'bad-signature',
  'truncated',
  'trailing-bytes',
]);

/** What a store says, beside that it is denied, to a request that it will never take. */
const REFUSALS = new Set<ErrorCode>([
  'store-error',
  'sse-c-blocked',
  'kms-key-not-found',
  'kms-key-disabled',
  'bucket-not-found',
  'wrong-region',
]);

/** Decides what an error leaves behind: a job to go on with, a job that is over, or nothing where nothing was begun. */
async function leave(run: PutRun, thrown: unknown): Promise<SealiftError> {
  const { request, ledger } = run;
  return await leaveJob(thrown, {
    ledger,
    isBegun: ledger.attempt() !== undefined && !(await wasRefused(run, SealiftError.from(thrown))),
    finalCodes: FINAL_CODES,
    drop: async () => void (await drop(run)),
    interrupted: interrupted(request),
  });
}

/**
 * Whether the store or we would not have the object as it was asked for, and nothing of it is there: a job kept for
 * that would hold the user to the very option that was refused.
 */
async function wasRefused(run: PutRun, error: SealiftError): Promise<boolean> {
  if (!run.isNew || run.progress.ackedBytes > 0) return false;
  if (error.exit !== EXIT.usage && !isDenied(error) && !REFUSALS.has(error.code)) return false;
  // Only the ledger knows of an upload that an attempt before this could not abort.
  if (run.ledger.lostAttempts().length > 0) return false;
  const { uploadId, instructions } = run.ledger.attempt()!;
  return (uploadId === undefined && instructions === undefined) || (await drop(run));
}

/** Gives the current attempt up. Resolves to whether nothing of it is left. */
function drop({ ledger, place, progress }: PutRun): Promise<boolean> {
  return giveUpAttempt({ ledger, place: async () => place, warn: progress.warn });
}
