/**
 * Large objects: each is a `put`, a job of its own whose ledger lies in the migration's folder, with all that a put
 * promises: parts in parallel, resumed after anything, started over where it must be. Its ledger goes once its row is done.
 */
import { SealiftError } from '../errors.ts';
import type { JobEvent, Place, Tools } from '../job.ts';
import { type JobRow, jobIdOf, Ledger } from '../ledger/ledger.ts';
import type { ObjectRow, TargetFacts } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
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

/** While one is being completed the parts of another are sent. */
const AT_ONCE_COUNT = 2;

/** As `moveSmall`. */
export async function moveLarge(run: MigrateRun, attempts: number): Promise<void> {
  await restBefore(run, { isLarge: true, attempts });
  await runLanes({
    items: rowsOf(run, attempts),
    lanes: { count: AT_ONCE_COUNT },
    stop: run.pause.signal,
    work: (object) => move(run, object),
  });
}

async function* rowsOf({ queue, ledger }: MigrateRun, attempts: number): AsyncGenerator<ObjectRow, void> {
  for await (const rows of queue.pages({ isLarge: true, attempts })) {
    for (const row of rows) {
      const object = { ...row, state: 'sending' as const, startedMs: row.startedMs ?? Date.now() };
      await ledger.write([object]);
      yield object;
    }
  }
}

async function move(run: MigrateRun, object: ObjectRow): Promise<void> {
  const bytes = new CountedBytes(run.progress);
  let outcome: Outcome;
  try {
    outcome = await putOf(run, object, bytes.hear);
  } catch (error) {
    outcome = { state: 'failed', error: SealiftError.from(error) };
    bytes.become({ ackedBytes: 0, reusedBytes: 0 });
  }
  await run.outcomes.settle([{ object, outcome }], { areCounted: true });
  if (outcome.state !== 'done') return;
  const { within, id } = await jobOf(run, object);
  Ledger.remove(within.stateDir, id);
}

/** The job that moves an object, within this one. */
async function jobOf(run: MigrateRun, object: ObjectRow) {
  const { target, tools, ledger } = run;
  const place = await target.place(object.name);
  const source = pathOf(run, object);
  const id = jobIdOf({ command: 'put', source, target: place.url });
  return { place, source, id, within: { ...tools, stateDir: ledger.objectsDir } };
}

async function putOf(run: MigrateRun, object: ObjectRow, onEvent: (event: JobEvent) => void): Promise<Outcome> {
  const { place, source, id, within } = await jobOf(run, object);
  const left = stateOf(within, id);
  // It was completed, and we stopped before its row heard of it.
  if (left === 'done') return { state: 'done', target: factsOfJob(within, id) };
  if (run.looksFirst && !left) {
    if (await isSame(run, place, factsOf(await lookAtSource(source)))) return { state: 'skipped' };
  }
  const { memo, fresh, retryFailed, sse: asked, ...options } = run.request;
  // What a customer's key means for it, a put finds out by itself.
  const sse = options.customerKey ? undefined : asked;
  await put({ ...options, sse, source, target: place.url, signal: run.pause.signal, onEvent }, within);
  return { state: 'done', target: factsOfJob(within, id) };
}

async function isSame({ pause }: MigrateRun, place: Place, sameAs: Record<string, string>): Promise<boolean> {
  const there = await lookAtTarget(place, { signal: pause.signal });
  return there !== undefined && Object.entries(sameAs).every(([name, value]) => there.metadata[name] === value);
}

/** Undefined where there is no such job. */
function stateOf({ stateDir }: Tools, id: string): JobRow['state'] | undefined {
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
class CountedBytes {
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
