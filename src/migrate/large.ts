/**
 * Large objects: each is a `put`, a job of its own whose ledger lies in the migration's folder, with all that a put
 * promises: parts in parallel, resumed after anything, started over where it must be. Its ledger goes once its row is done.
 */
import { SealiftError } from '../errors.ts';
import type { JobEvent, JobResult, Place, Tools } from '../job.ts';
import { type JobRow, jobIdOf, Ledger } from '../ledger/ledger.ts';
import type { ObjectRow, TargetFacts } from '../ledger/types.ts';
import type { MigrateOptions, MigrateRun } from '../migrate.ts';
import { runLanes } from '../parts/lanes.ts';
import { lookAtSource } from '../parts/source.ts';
import type { Progress } from '../progress.ts';
import { storedMessage } from '../put/format.ts';
import { lookAtTarget } from '../put/look.ts';
import { factsOf } from '../put/source.ts';
import { put } from '../put.ts';
import { pathOf } from './message.ts';
import type { Outcome } from './outcomes.ts';
import { restBefore } from './rest.ts';
import type { MigrateTarget } from './target.ts';

/** While one is being completed the parts of another are sent. */
const AT_ONCE_COUNT = 2;

/** How one large object is moved: a story of its own, with a ledger of its own. */
export interface Story<Goal extends MigrateTarget> {
  jobIdOf(run: MigrateRun<Goal>, object: ObjectRow): Promise<string>;
  outcomeOf(run: MigrateRun<Goal>, object: ObjectRow, onEvent: (event: JobEvent) => void): Promise<Outcome>;
}

/** As `moveSmall`. */
export function moveLarge(run: MigrateRun, attempts: number): Promise<void> {
  return moveOneByOne(run, attempts, {
    jobIdOf: async (run, object) => (await jobOf(run, object)).id,
    outcomeOf: putOf,
  });
}

/** Well, two by two. */
export async function moveOneByOne<Goal extends MigrateTarget>(
  run: MigrateRun<Goal>,
  attempts: number,
  story: Story<Goal>,
): Promise<void> {
  await restBefore(run, { isLarge: true, attempts });
  await runLanes({
    items: rowsOf(run, attempts),
    lanes: { count: AT_ONCE_COUNT },
    stop: run.pause.signal,
    work: (object) => move(run, object, story),
  });
}

type Queued = Pick<MigrateRun, 'queue' | 'ledger'>;

async function* rowsOf({ queue, ledger }: Queued, attempts: number): AsyncGenerator<ObjectRow, void> {
  for await (const rows of queue.pages({ isLarge: true, attempts })) {
    for (const row of rows) {
      const object = { ...row, state: 'sending' as const, startedMs: row.startedMs ?? Date.now() };
      await ledger.write([object]);
      yield object;
    }
  }
}

async function move<Goal extends MigrateTarget>(
  run: MigrateRun<Goal>,
  object: ObjectRow,
  story: Story<Goal>,
): Promise<void> {
  using _moving = run.outcomes.begin([object]);
  const bytes = new CountedBytes(run.progress);
  let outcome: Outcome;
  try {
    outcome = await story.outcomeOf(run, object, bytes.hear);
  } catch (error) {
    outcome = { state: 'failed', error: SealiftError.from(error) };
    bytes.become({ ackedBytes: 0, reusedBytes: 0 });
  }
  await run.outcomes.settle([{ object, outcome }], { areCounted: true });
  if (outcome.state === 'done') Ledger.remove(run.ledger.objectsDir, await story.jobIdOf(run, object));
}

/** The job that moves an object, within this one. */
async function jobOf(run: MigrateRun, object: ObjectRow): Promise<InnerPut> {
  const place = await run.target.place(object.name);
  const source = pathOf(run, object);
  return { place, source, id: jobIdOf({ command: 'put', source, target: place.url }) };
}

async function putOf(run: MigrateRun, object: ObjectRow, onEvent: (event: JobEvent) => void): Promise<Outcome> {
  const job = await jobOf(run, object);
  return await putIn(run, { ...job, sameAs: async () => factsOf(await lookAtSource(job.source)), onEvent });
}

export interface InnerPut {
  place: Place;
  source: string;
  id: string;
}

/** A put within the migration. `sameAs` is the metadata by which what is there is known to be of the same source. */
export async function putIn(
  run: MigrateRun,
  {
    place,
    source,
    id,
    sourceOptions,
    sameAs,
    onEvent,
  }: InnerPut &
    Pick<MigrateOptions, 'sourceOptions'> & {
      sameAs: () => Promise<Readonly<Record<string, string>>>;
      onEvent: (event: JobEvent) => void;
    },
): Promise<Outcome> {
  const within = { ...run.tools, stateDir: run.ledger.objectsDir };
  const left = stateOf(within, id);
  // It was completed, and we stopped before its row heard of it.
  if (left === 'done') return doneBy(within, id);
  if (run.looksFirst && !left && (await isSame(run, place, await sameAs()))) return { state: 'skipped' };
  const { memo, fresh, retryFailed, sse: asked, ...options } = run.request;
  // What a customer's key means for it, a put finds out by itself.
  const sse = options.customerKey ? undefined : asked;
  const request = { ...options, sse, source, sourceOptions, target: place.url, signal: run.pause.signal, onEvent };
  const result = await put(request, within, run.opener);
  countCalls(run, result);
  return { ...doneBy(within, id), size: result.plainBytes };
}

/** Those of a job within are the migration's. */
export function countCalls(
  { progress }: Pick<MigrateRun, 'progress'>,
  { kmsCalls, kmsRequestIds }: Pick<JobResult, 'kmsCalls' | 'kmsRequestIds'>,
): void {
  for (let call = 0; call < kmsCalls; call++) progress.countKmsCall(kmsRequestIds[call]);
}

async function isSame({ pause }: MigrateRun, place: Place, sameAs: Readonly<Record<string, string>>): Promise<boolean> {
  const facts = Object.entries(sameAs);
  if (facts.length === 0) return false;
  const there = await lookAtTarget(place, { signal: pause.signal });
  return there !== undefined && facts.every(([name, value]) => there.metadata[name] === value);
}

function doneBy(within: Tools, id: string): Extract<Outcome, { state: 'done' }> {
  return { state: 'done', target: factsOfJob(within, id) };
}

/** Undefined where there is no such job. */
export function stateOf({ stateDir }: Tools, id: string): JobRow['state'] | undefined {
  try {
    return Ledger.summary(stateDir, id).state;
  } catch (error) {
    if (SealiftError.from(error).code !== 'no-such-job') throw error;
    return undefined;
  }
}

/** Of a put that is done. */
function factsOfJob({ stateDir }: Tools, id: string): TargetFacts {
  const { bytesTotal } = Ledger.summary(stateDir, id);
  using ledger = Ledger.open(stateDir, id);
  const attempt = ledger.attempt()!;
  const { messageId } = storedMessage(attempt);
  const { etag, versionId, crc32 } = attempt.answer!;
  return {
    ...attempt.made,
    sealiftId: attempt.sealiftId,
    messageId: messageId && Buffer.from(messageId).toString('hex'),
    format: attempt.format,
    sealedSize: bytesTotal,
    etag,
    versionId,
    crc32,
    isConfirmed: crc32 !== undefined,
  };
}

/** The bytes of one large object among those of all. */
export class CountedBytes {
  readonly #progress: Progress;
  #ackedBytes = 0;
  #reusedBytes = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  readonly hear = (event: JobEvent): void => {
    if (event.type === 'progress') this.become(event);
    else if (event.type === 'restart') this.become({ ackedBytes: 0, reusedBytes: 0 });
    else if (event.type === 'warning' || event.type === 'lanes') this.#progress.emit(event);
  };

  become({ ackedBytes, reusedBytes }: { ackedBytes: number; reusedBytes: number }): void {
    this.#progress.reusedBytes += reusedBytes - this.#reusedBytes;
    this.#progress.acked(ackedBytes - this.#ackedBytes);
    this.#ackedBytes = ackedBytes;
    this.#reusedBytes = reusedBytes;
  }
}
