/**
 * The way back: sealed objects of a store become files under a folder. Small ones are opened whole, many to a task, on the
 * threads that fetch them; large ones are each a `get`, a job of its own in the migration's folder. A file has the time and
 * the permissions that are kept with its object, and its row is done only when it is on the disk.
 */
import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { findObject } from '../get/object.ts';
import { get } from '../get.ts';
import { accessTo, type Crew, type JobEvent } from '../job.ts';
import { jobIdOf } from '../ledger/ledger.ts';
import type { ObjectRow } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import { isFileOf } from '../mtime.ts';
import { runLanes } from '../parts/lanes.ts';
import type { ObjectToRestore, RestoredObject } from '../parts/restore-objects.ts';
import { ID_METADATA } from '../parts/written.ts';
import { unlessMissing } from '../stores/directory-files.ts';
import type { RestoreFolder } from './folder.ts';
import { countCalls, moveOneByOne, stateOf } from './large.ts';
import { placeOf, prefixOf, settleMoved } from './object.ts';
import type { Outcome } from './outcomes.ts';
import { restBefore } from './rest.ts';
import { groupsOf } from './small.ts';
import { unlocker } from './unlock.ts';

type RestoreRun = MigrateRun<RestoreFolder>;

/** As `moveSmall`. */
export async function restoreSmall(run: RestoreRun, attempts: number): Promise<void> {
  const { tools, format, progress, pause } = run;
  await restBefore(run, { isLarge: false, attempts });
  const partSize = format.cutFile(format.firstPartSize).layout.sealedSize;
  const crew = await tools.crew({ partSize, plainSize: partSize }, progress.tellLanes);
  await runLanes({
    items: batches(run, attempts, partSize),
    lanes: crew.lanes,
    stop: pause.signal,
    work: (started, cut) => restore(run, crew, started, cut),
  });
}

/** A row on its way. */
interface Started {
  row: ObjectRow;
  /** It was on its way before. */
  wasTried: boolean;
}

async function* batches(run: RestoreRun, attempts: number, most: number): AsyncGenerator<Started[], void> {
  for await (const rows of run.queue.pages({ isLarge: false, attempts })) {
    for (const group of groupsOf(rows, most)) {
      const started = group.map((row) => ({
        row: { ...row, state: 'sending' as const, startedMs: row.startedMs ?? Date.now() },
        wasTried: row.startedMs !== undefined,
      }));
      // Until they are settled they wait no longer.
      await run.ledger.write(started.map(({ row }) => row));
      yield started;
    }
  }
}

async function restore(run: RestoreRun, crew: Crew, started: readonly Started[], cut: AbortSignal): Promise<void> {
  const { request, target, opener, pause, progress } = run;
  using _ticket = await crew.budget.take(crew.laneSize);
  using _moving = run.outcomes.begin(started.map(({ row }) => row));
  const place = await prefixOf(run);
  const rules = { ...request.sourceOptions, signal: pause.signal, onCall: progress.countKmsCall };
  const task = {
    kind: 'restore' as const,
    store: await accessTo(place),
    objects: started.map((each) => wanted(run, each, place.key)),
    root: target.url,
    overwrite: request.overwrite ?? false,
    umask: process.umask(),
    profiled: false,
  };
  const size = started.reduce((sum, { row }) => sum + row.size, 0);
  const unlock = unlocker(place.store, opener, rules);
  const restored = await crew.lanes.measure(size, () => crew.threads.restore(task, unlock, cut));
  await settleMoved(
    run,
    started.map(({ row }, index) => ({ row, outcome: outcomeOf(row, restored[index]!) })),
  );
}

function wanted({ ledger }: RestoreRun, { row: object, wasTried }: Started, prefix: string): ObjectToRestore {
  const { row, name, size, source } = object;
  const { etag, versionId } = source;
  const hidden = createHash('sha256').update(`${ledger.job.id} ${row}`).digest('hex').slice(0, 16);
  return {
    objectKey: prefix + name,
    name,
    size,
    etag,
    versionId,
    hiddenName: `.sealift-${hidden}`,
    wasTried,
  };
}

/** Undefined where the threads cannot tell what it is. */
function outcomeOf({ size: sealedSize }: ObjectRow, restored: RestoredObject): Outcome | undefined {
  switch (restored.outcome) {
    case 'unknown':
      return undefined;
    case 'skipped':
      return { state: 'skipped' };
    case 'failed':
      return { state: 'failed', error: SealiftError.revive(restored.error) };
    case 'done': {
      const { size, sealiftId, messageId, format, etag, versionId } = restored;
      return { state: 'done', size, target: { sealiftId, messageId, format, sealedSize, etag, versionId } };
    }
  }
}

/** As `moveLarge`. */
export function restoreLarge(run: RestoreRun, attempts: number): Promise<void> {
  return moveOneByOne(run, attempts, {
    jobIdOf: async (run, object) => (await jobOf(run, object)).id,
    outcomeOf: getOf,
  });
}

async function jobOf(run: RestoreRun, object: ObjectRow) {
  const place = await placeOf(run, object);
  const path = await run.target.pathOf(object.name);
  const id = jobIdOf({ command: 'get', source: place.url, target: path });
  return { place, path, id };
}

async function getOf(run: RestoreRun, object: ObjectRow, onEvent: (event: JobEvent) => void): Promise<Outcome> {
  const { request, tools, opener, pause, ledger } = run;
  const { place, path, id } = await jobOf(run, object);
  const within = { ...tools, keyring: opener, stateDir: ledger.objectsDir };
  const { versionId } = object.source;
  const found = await findObject(place, { ...request.sourceOptions, versionId, signal: pause.signal });
  const { info, format, header, layout } = found;
  const done: Outcome = {
    state: 'done',
    size: layout.plainSize,
    target: {
      sealiftId: info.metadata[ID_METADATA] ?? '',
      messageId: Buffer.from(header.messageId).toString('hex'),
      format,
      sealedSize: info.size,
      etag: info.etag,
      versionId: info.versionId,
    },
  };
  const there = await unlessMissing(lstat(path, { bigint: true }));
  // What stands there may be what an earlier run has made, and stopped before the row heard of it.
  if (there?.isFile() && isFileOf(there, info)) return stateOf(within, id) ? done : { state: 'skipped' };
  const { customerKey, ...rules } = request.sourceOptions ?? {};
  const { overwrite } = request;
  const result = await get(
    {
      source: place.url,
      target: path,
      ...rules,
      versionId,
      customerKey,
      overwrite,
      keepMode: true,
      signal: pause.signal,
      onEvent,
    },
    within,
  );
  countCalls(run, result);
  return done;
}
