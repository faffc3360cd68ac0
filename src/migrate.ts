/**
 * `migrate`: every object of a source goes into a store, sealed. A migration is a durable queue of objects over stories
 * that are there already: what lists fills the queue, what moves empties it, and the ledger between the two is all that
 * is known of either. So memory is the same for ten objects and ten million, and after anything the job goes on where it
 * stopped.
 *
 *   source ── pages ──► ledger ──┬── small objects, many to a task ──► threads: read, seal, PutObject
 *                                └── large ones ──► `put`, each with a ledger of its own
 *
 * An object that fails stops no other. What would fail them all (a key disabled, a bucket gone, a disk full) pauses the
 * job instead of failing a million times.
 */
import type { JobResult, RunOptions, Tools } from './job.ts';
import type { Keyring } from './keys/keyring.ts';
import type { BulkLedger } from './ledger/bulk.ts';
import { JobControl } from './ledger/control.ts';
import { carryLarge, carrySmall } from './migrate/carry.ts';
import { openEnds } from './migrate/ends.ts';
import type { Filter, FilterRequest } from './migrate/filter.ts';
import { RestoreFolder } from './migrate/folder.ts';
import { openMigrateJob } from './migrate/job.ts';
import { watchKey } from './migrate/key-watch.ts';
import { moveLarge } from './migrate/large.ts';
import { listSource } from './migrate/lister.ts';
import { openerOfMany } from './migrate/opener.ts';
import { MAX_ATTEMPTS, Outcomes } from './migrate/outcomes.ts';
import { Pause } from './migrate/pause.ts';
import { Queue } from './migrate/queue.ts';
import type { ReportOptions } from './migrate/report.ts';
import { restoreLarge, restoreSmall } from './migrate/restore.ts';
import { moveSmall } from './migrate/small.ts';
import type { MigrateSource } from './migrate/source.ts';
import type { NameList } from './migrate/sources/names.ts';
import { sweepSources } from './migrate/sweep.ts';
import type { MigrateTarget, Target } from './migrate/target.ts';
import { Progress } from './progress.ts';
import type { SealOptions } from './put/attempt.ts';
import type { SourceOptions } from './put/find-source.ts';
import { formatFor, type PutFormat } from './put/format.ts';
import { encryptionAsked } from './stores/encryption.ts';

/** What is to be moved, and where to. */
export interface MigrateOptions extends Omit<SealOptions, 'instructionFile' | 'yes'>, RunOptions {
  /**
   * A directory's path, or `s3://bucket/prefix`: a folder, whether or not a slash is behind it. Or a list of objects: the
   * `manifest.json` of an S3 Inventory, a manifest of S3 Batch Operations that ends in `.csv`.
   */
  source: string;
  /** What of the source is moved. A job goes on with what it was begun with. */
  filter?: FilterRequest | undefined;
  /** A list of names in the source, a NUL behind each: these and no others. Called for each time it is read, from its start. */
  names?: NameList | undefined;
  /** Likewise `s3://bucket/prefix` or `file:///path`; or a directory's path, to restore sealed objects into. */
  target: string;
  /** How objects are read that are the source. */
  sourceOptions?: SourceOptions | undefined;
  /** What became of every object is written there when all are through. */
  report?: ReportOptions | undefined;
  /**
   * When all are through, delete what was moved: each only after its object has been fetched and authenticated, and only if it
   * is still what was sealed. What is skipped, or restored into a folder, is never deleted.
   */
  deleteSource?: boolean | undefined;
  /** Objects that have failed are tried again, also of a job that is over. */
  retryFailed?: boolean | undefined;
  /** Forget an unfinished job of the same source and target, and begin anew. */
  fresh?: boolean | undefined;
  /** Kept with the job for whoever resumes it: the command line keeps its flags here. */
  memo?: Readonly<Record<string, unknown>> | undefined;
}

/** What the parts of this story share. */
export interface MigrateRun<Goal extends MigrateTarget = Target> {
  request: MigrateOptions;
  tools: Tools;
  source: MigrateSource;
  filter: Filter;
  target: Goal;
  /** Opens what is sealed. */
  opener: Keyring;
  ledger: BulkLedger;
  /** The target is looked at before an object is sent: something was there when the job began. */
  looksFirst: boolean;
  /** Cuts, so that it is known what is small. */
  format: PutFormat;
  queue: Queue;
  outcomes: Outcomes;
  progress: Progress;
  pause: Pause;
}

/**
 * Moves all there is. Resolves when every object is done, skipped or failed; rejects with what paused the job, which then
 * stays, and the same call goes on.
 */
export async function migrate(
  request: MigrateOptions,
  tools: Tools,
  opener: Keyring = tools.keyring,
): Promise<JobResult> {
  const { source, target } = await openEnds(request, tools);
  const means = { request, tools, opener: openerOfMany(opener), source };
  if (target instanceof RestoreFolder)
    return await moveInto({ target, small: restoreSmall, large: restoreLarge }, means);
  const isCarried = 'prefix' in source.reads;
  const ways = isCarried ? { small: carrySmall, large: carryLarge } : { small: moveSmall, large: moveLarge };
  const sweep = request.deleteSource ? { sweep: sweepSources } : {};
  return await moveInto({ target, ...ways, watch: watchKey, ...sweep }, means);
}

/** A place for objects, and how they get there. */
interface Way<Goal extends MigrateTarget> {
  target: Goal;
  small: (run: MigrateRun<Goal>, attempts: number) => Promise<void>;
  large: (run: MigrateRun<Goal>, attempts: number) => Promise<void>;
  /** Meanwhile, until all are through. */
  watch?: (run: MigrateRun<Goal>, through: AbortSignal) => Promise<void>;
  /** Afterwards. */
  sweep?: (run: MigrateRun<Goal>) => Promise<void>;
}

async function moveInto<Goal extends MigrateTarget>(
  way: Way<Goal>,
  { request, tools, opener, source }: Pick<MigrateRun, 'request' | 'tools' | 'opener' | 'source'>,
): Promise<JobResult> {
  const { target } = way;
  const progress = new Progress(request);
  const sealed = { ...request, sse: encryptionAsked(request) };
  const job = await openMigrateJob(sealed, { source, target, tools, progress });
  using ledger = job.ledger;
  using _control = await JobControl.open(tools.stateDir, ledger.job.id, tools.change);
  const pause = new Pause(request.signal, ledger.job.id);
  const queue = new Queue(ledger, pause.signal);
  const outcomes = new Outcomes({ ledger, progress, pause, queue, kmsPerSecond: tools.kmsPerSecond });
  const run: MigrateRun<Goal> = {
    ...job,
    tools,
    opener,
    source,
    target,
    format: formatFor(job.request),
    queue,
    outcomes,
    progress,
    pause,
  };
  progress.emit({
    type: 'start',
    job: ledger.job.id,
    command: 'migrate',
    object: target.url,
    resumed: !job.isNew,
    totalBytes: progress.totalBytes,
  });
  await moveAll(run, way);
  if (!pause.signal.aborted) await pause.guard([way.sweep?.(run) ?? Promise.resolve()]);
  pause.check();
  ledger.finish('done');
  return resultOf(run);
}

async function moveAll<Goal extends MigrateTarget>(run: MigrateRun<Goal>, way: Way<Goal>): Promise<void> {
  const through = new AbortController();
  const watching = way.watch?.(run, through.signal);
  try {
    await listAndMove(run, way);
  } finally {
    through.abort();
  }
  await watching;
}

/** The first failure of any of the three stops the others; all have ended when this does. */
async function listAndMove<Goal extends MigrateTarget>(
  run: MigrateRun<Goal>,
  { small, large }: Way<Goal>,
): Promise<void> {
  const { pause, ledger } = run;
  await pause.guard([listSource(run), inPasses(run, small), inPasses(run, large)]);
  // A file that has grown or shrunk meanwhile went from the one queue to the other.
  while (!pause.signal.aborted && ledger.counts().pending.count > 0) {
    await pause.guard([inPasses(run, small), inPasses(run, large)]);
  }
}

/** What has failed by a cause that may pass is tried again when all the rest is through. */
async function inPasses<Run extends Pick<MigrateRun, 'pause'>>(
  run: Run,
  move: (run: Run, attempts: number) => Promise<void>,
): Promise<void> {
  for (let attempts = 0; attempts < MAX_ATTEMPTS && !run.pause.signal.aborted; attempts++) await move(run, attempts);
}

function resultOf({ ledger, progress }: Pick<MigrateRun, 'ledger' | 'progress'>): JobResult {
  const { done, failed, skipped } = ledger.counts();
  const { id } = ledger.job;
  const bytes = { plainBytes: done.bytes, sealedBytes: ledger.sealedBytes() };
  const result = progress.result({ command: 'migrate', job: id, object: null, ...bytes, parts: 0 });
  return { ...result, objects: done.count, failed: failed.count, skipped: skipped.count, failures: ledger.failures() };
}
