/**
 * From store to store: small objects are carried by the threads, many to a task, opened in memory where they are sealed; a
 * large one is a `put` whose source is an object.
 */
import { type ErrorData, SealiftError } from '../errors.ts';
import { accessTo, type Crew, type JobEvent, type Place } from '../job.ts';
import { jobIdOf } from '../ledger/ledger.ts';
import type { ObjectRow } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import type { CarriedObject, CarryAnswers, ObjectToCarry, OpenedObject } from '../parts/carry-objects.ts';
import { runLanes } from '../parts/lanes.ts';
import { keptOf, keptTimeOf } from '../put/find-source.ts';
import { bareEtag, SOURCE_ETAG_METADATA } from '../put/source.ts';
import { moveOneByOne, putIn } from './large.ts';
import { earlierOf, type Prepared, prepareAs, type SendingOf } from './message.ts';
import { type Moved, placeOf, prefixOf, settleMoved } from './object.ts';
import type { Outcome, Settled } from './outcomes.ts';
import { failsAll } from './pause.ts';
import { restBefore } from './rest.ts';
import { carryNeedsOf, groupsOf, outcomeOf } from './small.ts';
import { unlocker } from './unlock.ts';

interface Batch {
  /** Where they go: of a directory's files each folder is a store of its own. */
  place: Place;
  objects: { row: ObjectRow; place: Place }[];
}

/** As `moveSmall`. */
export async function carrySmall(run: MigrateRun, attempts: number): Promise<void> {
  const { tools, format, progress, pause } = run;
  await restBefore(run, { isLarge: false, attempts });
  const needs = carryNeedsOf(format);
  const crew = await tools.crew(needs, progress.tellLanes);
  await runLanes({
    items: batches(run, attempts, needs.partSize),
    lanes: crew.lanes,
    stop: pause.signal,
    work: (batch, cut) => carry(run, crew, batch, cut),
  });
}

async function* batches(run: MigrateRun, attempts: number, most: number): AsyncGenerator<Batch, void> {
  for await (const rows of run.queue.pages({ isLarge: false, attempts })) {
    for (const group of groupsOf(rows, most)) {
      const objects = await placed(run, group);
      for (const together of Map.groupBy(objects, ({ place }) => place.settings).values()) {
        yield { place: together[0]!.place, objects: together };
      }
    }
  }
}

/** Those that can have a place. They wait no longer, until they are settled. */
async function placed(run: MigrateRun, rows: readonly ObjectRow[]): Promise<Batch['objects']> {
  const objects: Batch['objects'] = [];
  const refused: Settled[] = [];
  for (const listed of rows) {
    const row = { ...listed, state: 'sending' as const, startedMs: listed.startedMs ?? Date.now() };
    try {
      objects.push({ row, place: await run.target.place(row.name) });
    } catch (error) {
      refused.push({ object: row, outcome: { state: 'failed', error: SealiftError.from(error) } });
    }
  }
  await Promise.all([run.ledger.write(objects.map(({ row }) => row)), run.outcomes.settle(refused)]);
  return objects;
}

async function carry(run: MigrateRun, crew: Crew, { place, objects }: Batch, cut: AbortSignal): Promise<void> {
  using _ticket = await crew.budget.take(crew.laneSize);
  using _moving = run.outcomes.begin(objects.map(({ row }) => row));
  const from = await prefixOf(run);
  const task = {
    kind: 'carry' as const,
    from: await accessTo(from),
    store: await accessTo(place),
    objects: objects.map(({ row, place: { key } }) =>
      wanted(run, row, { objectKey: from.key + row.name, targetKey: key }),
    ),
    profiled: false,
  };
  const prepared = new Map<number, Prepared<SendingOf>>();
  const answers = answersFor(run, { from, objects, prepared });
  const size = objects.reduce((sum, { row }) => sum + row.size, 0);
  const carried = await crew.lanes.measure(size, () => crew.threads.carry(task, answers, cut));
  const moved = objects.map((object, index) => movedOf(object, carried[index]!, prepared.get(index)));
  await settleMoved(run, moved);
}

function wanted(
  { looksFirst }: MigrateRun,
  row: ObjectRow,
  keys: Pick<ObjectToCarry, 'objectKey' | 'targetKey'>,
): ObjectToCarry {
  const { size, source } = row;
  const { etag, versionId } = source;
  const earlierIds = earlierOf(row).map(({ sealiftId }) => sealiftId);
  const look = looksFirst || earlierIds.length > 0;
  return { ...keys, size, etag, versionId, look, earlierIds, sameAs: sameAs(etag) };
}

/** By what another run knows an object that was made of this one. */
export function sameAs(etag: string | undefined): Record<string, string> {
  return etag === undefined ? {} : { [SOURCE_ETAG_METADATA]: bareEtag(etag) };
}

interface Carrying {
  from: Place;
  objects: Batch['objects'];
  /** By their place in the batch. */
  prepared: Map<number, Prepared<SendingOf>>;
}

function answersFor(run: MigrateRun, { from, objects, prepared }: Carrying): CarryAnswers {
  const { request, opener, ledger, pause, progress } = run;
  const rules = { ...request.sourceOptions, signal: pause.signal, onCall: progress.countKmsCall };
  const one = async (opened: OpenedObject): Promise<SendingOf | { error: ErrorData }> => {
    try {
      const made = await prepareOne(run, objects[opened.index]!, { from, opened });
      prepared.set(opened.index, made);
      return made.toSend;
    } catch (thrown) {
      const error = SealiftError.from(thrown);
      if (failsAll(error)) throw error;
      return { error: error.toJSON() };
    }
  };
  return {
    unlock: unlocker(from.store, opener, rules),
    async prepare(opened) {
      const answers = await Promise.all(opened.map(one));
      await ledger.write([...prepared.values()].map(({ object }) => object));
      return answers;
    },
  };
}

async function prepareOne(
  run: MigrateRun,
  { row, place }: Batch['objects'][number],
  { from, opened: { plainSize, kept } }: { from: Place; opened: OpenedObject },
): Promise<Prepared<SendingOf>> {
  const key = from.key + row.name;
  const { etag } = kept;
  const object = { url: from.store.url(key), size: plainSize, etag, mtime: keptTimeOf(kept) };
  const source = { object, place: { ...from, key }, kept: keptOf(kept) };
  const made = await prepareAs(run, row, { place, source, sameAs: sameAs(etag) });
  if (made) return made;
  throw new SealiftError('memory-too-small', `${object.url} does not fit into memory`, {
    hint: 'Give more --max-memory.',
  });
}

function movedOf(
  { row }: Batch['objects'][number],
  carried: CarriedObject,
  made: Prepared<SendingOf> | undefined,
): Moved {
  if (carried.outcome === 'unknown') return { row, outcome: undefined };
  const outcome = outcomeOf({ target: made?.target ?? row.target! }, carried);
  return { row: made?.object ?? row, outcome };
}

/** As `moveLarge`. */
export function carryLarge(run: MigrateRun, attempts: number): Promise<void> {
  return moveOneByOne(run, attempts, {
    jobIdOf: async (run, object) => (await jobOf(run, object)).id,
    outcomeOf: putOf,
  });
}

async function jobOf(run: MigrateRun, object: ObjectRow) {
  const place = await run.target.place(object.name);
  const { url: source } = await placeOf(run, object);
  return { place, source, id: jobIdOf({ command: 'put', source, target: place.url }) };
}

async function putOf(run: MigrateRun, object: ObjectRow, onEvent: (event: JobEvent) => void): Promise<Outcome> {
  const { etag, versionId } = object.source;
  const sourceOptions = { ...run.request.sourceOptions, versionId };
  return await putIn(run, { ...(await jobOf(run, object)), sourceOptions, sameAs: async () => sameAs(etag), onEvent });
}
