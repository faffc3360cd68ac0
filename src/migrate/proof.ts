/**
 * `verify JOB`: what a migration has written is still there, is what it wrote, and opens. The ledger knows of each object
 * which message it is, how large and under which ETag; all of that is compared before a byte is opened, and then all bytes
 * are. So an object that is gone, damaged or replaced is found, and also an older one of the same name put back, which
 * would open as well. Nothing is written, and the ledger stays as it is.
 */
import { SealiftError } from '../errors.ts';
import type { FoundObject } from '../get/object.ts';
import type { OpenRules } from '../get/unlock.ts';
import type { GetRequest } from '../get.ts';
import type { JobResult, RunOptions, Tools } from '../job.ts';
import { BulkView } from '../ledger/bulk-view.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { JobSummary, ObjectRow } from '../ledger/types.ts';
import { runLanes } from '../parts/lanes.ts';
import { ID_METADATA } from '../parts/written.ts';
import { Progress } from '../progress.ts';
import { isObjectUrl } from '../put/find-source.ts';
import { freshRandom } from '../random.ts';
import { verify } from '../verify.ts';
import { CountedBytes, countCalls } from './large.ts';
import { failsAll } from './pause.ts';
import { chosen, type Sample, sampleCount } from './sample.ts';
import { urlIn } from './target.ts';

/** What of a migration is to be proven. */
export interface ProofRequest extends RunOptions, OpenRules {
  /** Its id. */
  job: string;
  /** How many of the objects that are done. Default: all. */
  sample?: Sample | undefined;
  /** Names a choice: the same seed chooses the same objects. Default: a new one, which the result tells. */
  seed?: string | undefined;
  /** With which S3 has encrypted the objects (SSE-C). */
  customerKey?: GetRequest['customerKey'];
}

/** Objects on their way at once: small ones are waited for more than worked on, and large ones share the lanes there are. */
const AT_ONCE_COUNT = 8;

/** What the proof of one object and that of the next share. */
interface ProofRun {
  request: ProofRequest;
  tools: Tools;
  target: string;
  progress: Progress;
  tally: Tally;
}

/**
 * Resolves once all that was chosen is looked at, also where some of it does not prove itself: `failed` and `failures` of
 * the result say so. Throws `no-such-job`, `job-busy` where it still runs, `usage` where it wrote no objects, and what would
 * keep every object from being opened.
 */
export async function prove(request: ProofRequest, tools: Tools): Promise<JobResult> {
  refuseRunning(Ledger.summary(tools.stateDir, request.job));
  using view = BulkView.open(tools.stateDir, request.job);
  const { id: job, target } = view.job;
  if (!isObjectUrl(target)) throw restored(job, target);
  const { sample = 'all', seed = freshRandom(5).toString('hex') } = request;
  const of = view.counts().done.count;
  const count = sampleCount(sample, of);
  const rows = () => chosen(view.objectsDone(), { count, of, seed });

  const progress = new Progress(request);
  const tally = new Tally(progress, count);
  for (const { size } of rows()) progress.totalBytes += size;
  const { totalBytes } = progress;
  progress.emit({ type: 'start', job, command: 'verify', object: target, resumed: false, totalBytes });
  const run: ProofRun = { request, tools, target, progress, tally };
  const complete = await runLanes({
    items: rows(),
    lanes: { count: AT_ONCE_COUNT },
    stop: request.signal,
    work: (row) => proveOne(run, row),
  });
  if (!complete) throw stopped(tally.looked, count);
  const bytes = { plainBytes: tally.plainBytes, sealedBytes: tally.sealedBytes };
  const result = progress.result({ command: 'verify', job, object: null, ...bytes, parts: tally.parts });
  const { done, failed } = tally.counts;
  return { ...result, objects: done, failed, failures: tally.failures(), sample: { objects: count, of, seed } };
}

/** Throws what would fail every other object too. */
async function proveOne({ request, tools, target, progress, tally }: ProofRun, row: ObjectRow): Promise<void> {
  const { job, sample, seed, onEvent, ...rules } = request;
  const url = urlIn(target, row.name);
  const bytes = new CountedBytes(progress);
  try {
    const expects = (object: FoundObject) => checkSame(url, row, object);
    const seal = row.target?.format === 'plain' ? 'none' : undefined;
    const result = await verify({ ...rules, source: url, seal, onEvent: bytes.hear, expects }, tools);
    countCalls({ progress }, result);
    tally.proven(row, result);
  } catch (thrown) {
    const error = SealiftError.from(thrown);
    if (error.code === 'interrupted') return;
    if (failsAll(error) && !isFolderGone(target, error)) throw error;
    bytes.become({ ackedBytes: 0, reusedBytes: 0 });
    tally.failed(row, error);
  }
}

/** In a directory an object's folder may be gone with it. */
function isFolderGone(target: string, { code }: SealiftError): boolean {
  return code === 'bucket-not-found' && target.startsWith('file:');
}

/** Throws `object-changed` where the object is another than the migration wrote. */
export function checkSame(url: string, { target: wrote }: ObjectRow, object: FoundObject): void {
  const { info } = object;
  const messageId = object.format === 'plain' ? undefined : object.header.messageId.toString('hex');
  const facts: [string, unknown, unknown][] = [
    ['the message id', wrote?.messageId, messageId],
    ['the sealift-id', wrote?.sealiftId, info.metadata[ID_METADATA]],
    ['the size', wrote?.sealedSize, info.size],
    ['the ETag', wrote?.etag, info.etag],
  ];
  const others = facts.filter(([, written, found]) => written !== found).map(([what]) => what);
  if (others.length === 0) return;
  throw new SealiftError('object-changed', `${url} is not the object that was written: ${others.join(', ')} differ`, {
    hint: 'Somebody wrote it anew, or put an older version back. A bucket with versions may still have ours: its id is in the report.',
  });
}

/** What has come of it so far. */
class Tally {
  readonly #progress: Progress;
  readonly #failures = new Map<string, number>();
  readonly counts = { done: 0, failed: 0 };
  plainBytes = 0;
  sealedBytes = 0;
  parts = 0;

  constructor(progress: Progress, listed: number) {
    this.#progress = progress;
    progress.objects = () => ({ listed, ...this.counts, skipped: 0, listing: false });
  }

  get looked(): number {
    return this.counts.done + this.counts.failed;
  }

  proven({ name, size }: ObjectRow, { plainBytes, sealedBytes, parts }: JobResult): void {
    this.counts.done++;
    this.plainBytes += plainBytes;
    this.sealedBytes += sealedBytes;
    this.parts += parts;
    this.#progress.emit({ type: 'object', name, size, outcome: 'done' });
  }

  failed({ name, size }: ObjectRow, { code, message }: SealiftError): void {
    this.counts.failed++;
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
    this.#progress.emit({ type: 'object', name, size, outcome: 'failed', code, message });
  }

  /** By the code of each, most first. */
  failures(): Record<string, number> {
    return Object.fromEntries([...this.#failures].sort(([, one], [, other]) => other - one));
  }
}

function refuseRunning({ id, running, pid }: JobSummary): void {
  if (!running) return;
  throw new SealiftError('job-busy', `Job ${id} is running${pid === undefined ? '' : ` in process ${pid}`}`, {
    hint: 'Verify it when it is over, or interrupt it: its work is kept, and what is done can be verified.',
  });
}

function restored(job: string, target: string): SealiftError {
  return new SealiftError('usage', `Job ${job} wrote files into ${target}, and no sealed objects`, {
    hint: 'Every byte of a file was verified before it got its name. To prove the objects themselves, verify the job that wrote them.',
  });
}

function stopped(looked: number, count: number): SealiftError {
  return new SealiftError('interrupted', `Interrupted: ${looked} of ${count} objects were looked at`, {
    hint: 'A verify cannot be resumed. Run it again, or take a --sample.',
  });
}
