/**
 * Small objects: of one part, which go up in one request. They go down to the threads many to a task, and a task weighs
 * no more than a part of a large object does, so both take the same lanes and the same tickets.
 */
import { SealiftError } from '../errors.ts';
import { accessTo, type Crew, type LaneNeeds, type Place } from '../job.ts';
import type { ObjectRow } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import { runLanes } from '../parts/lanes.ts';
import type { SentObject } from '../parts/task.ts';
import type { PutFormat } from '../put/format.ts';
import { type Prepared, prepare } from './message.ts';
import type { Outcome, Settled } from './outcomes.ts';
import { restBefore } from './rest.ts';

/** Objects of a batch: enough that its messages and its two syncs of the ledger cost each of them little. */
export const BATCH_COUNT = 64;

interface Batch {
  place: Place;
  prepared: Prepared[];
}

/** What a lane needs for a batch. */
export function laneNeedsOf(format: PutFormat): LaneNeeds {
  return { partSize: format.cutFile(format.firstPartSize).layout.sealedSize };
}

/** As `laneNeedsOf`, of one that is carried from store to store: what was fetched is held beside what is sealed. */
export function carryNeedsOf(format: PutFormat): LaneNeeds {
  const { partSize } = laneNeedsOf(format);
  return { partSize, plainSize: partSize, carried: true };
}

/** Resolves once none waits that has been tried so many times, and none will. */
export async function moveSmall(run: MigrateRun, attempts: number): Promise<void> {
  const { tools, format, progress, pause } = run;
  await restBefore(run, { isLarge: false, attempts });
  const needs = laneNeedsOf(format);
  const crew = await tools.crew(needs, progress.tellLanes);
  await runLanes({
    items: batches(run, attempts, needs.partSize),
    lanes: crew.lanes,
    stop: pause.signal,
    work: (batch, cut) => send(run, crew, batch, cut),
  });
}

async function send(run: MigrateRun, crew: Crew, { place, prepared }: Batch, cut: AbortSignal): Promise<void> {
  using _ticket = await crew.budget.take(crew.laneSize);
  using _moving = run.outcomes.begin(prepared.map(({ object }) => object));
  const objects = prepared.map(({ toSend }) => toSend);
  const size = prepared.reduce((sum, { target }) => sum + target.sealedSize, 0);
  const task = { kind: 'send' as const, store: await accessTo(place), objects, profiled: false };
  const sent = await crew.lanes.measure(size, () => crew.threads.send(task, cut));
  await run.outcomes.settle(
    prepared.map((each, index) => ({ object: each.object, outcome: outcomeOf(each, sent[index]!) })),
  );
}

export function outcomeOf({ target }: Pick<Prepared, 'target'>, sent: SentObject): Outcome {
  if (sent.outcome === 'failed') return { state: 'failed', error: SealiftError.revive(sent.error) };
  if (sent.outcome === 'skipped') return { state: 'skipped' };
  const { sealiftId, size: sealedSize, etag, versionId, crc32 } = sent;
  const { earlier = [], ...facts } = target;
  // What a look has found is not the message that was made this time.
  const message = earlier.find((each) => each.sealiftId === sealiftId) ?? facts;
  const { messageId } = message;
  return {
    state: 'done',
    target: { ...facts, sealiftId, messageId, sealedSize, etag, versionId, crc32, isConfirmed: crc32 !== undefined },
  };
}

/** What is made ready is in the ledger before it is handed on, and no longer waits there. */
async function* batches(run: MigrateRun, attempts: number, most: number): AsyncGenerator<Batch, void> {
  for await (const rows of run.queue.pages({ isLarge: false, attempts })) {
    for (const group of groupsOf(rows, most)) {
      const ready = await makeReady(run, group);
      await run.ledger.write(ready.map(({ object }) => object));
      // Of a directory's files each folder is a store of its own.
      for (const prepared of Map.groupBy(ready, ({ place }) => place.settings).values()) {
        yield { place: prepared[0]!.place, prepared };
      }
    }
  }
}

/** Rows in order, a batch's worth at a time: by their number, and by the bytes they had when they were listed. */
export function* groupsOf(rows: readonly ObjectRow[], most: number): Generator<ObjectRow[], void> {
  let group: ObjectRow[] = [];
  let size = 0;
  for (const row of rows) {
    if (group.length === BATCH_COUNT || (group.length > 0 && size + row.size > most)) {
      yield group;
      group = [];
      size = 0;
    }
    group.push(row);
    size += row.size;
  }
  if (group.length > 0) yield group;
}

/** Those that can be sent. Those that cannot are settled when this resolves. */
async function makeReady(run: MigrateRun, rows: readonly ObjectRow[]): Promise<Prepared[]> {
  const failed: Settled[] = [];
  const grown: ObjectRow[] = [];
  const ready = await Promise.all(
    rows.map(async (object) => {
      try {
        const prepared = await prepare(run, object);
        if (!prepared) grown.push({ ...object, isLarge: true });
        return prepared;
      } catch (error) {
        failed.push({ object, outcome: { state: 'failed', error: SealiftError.from(error) } });
        return undefined;
      }
    }),
  );
  await Promise.all([run.outcomes.settle(failed), run.ledger.write(grown)]);
  if (grown.length > 0) run.queue.tell();
  return ready.filter((prepared) => prepared !== undefined);
}
