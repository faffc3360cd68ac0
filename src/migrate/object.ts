/** An object of the store that a migration reads. */
import { SealiftError } from '../errors.ts';
import { type Place, underKey } from '../job.ts';
import type { ObjectRow } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import { goesWhole } from '../put/attempt.ts';
import type { Outcome, Settled } from './outcomes.ts';

type Reading = Pick<MigrateRun, 'source' | 'tools' | 'request'>;
type Settling = Reading & Pick<MigrateRun, 'format' | 'pause' | 'progress' | 'outcomes' | 'ledger' | 'queue'>;

/** Where all of them are: the key is what theirs begin with. */
export async function prefixOf({ source, tools, request }: Reading): Promise<Place> {
  if (!('prefix' in source.reads)) throw new SealiftError('internal', 'The source has no objects');
  return underKey(await tools.prefix(source.reads.prefix), request.sourceOptions?.customerKey);
}

export async function placeOf(run: Reading, { name }: Pick<ObjectRow, 'name'>): Promise<Place> {
  const prefix = await prefixOf(run);
  const key = prefix.key + name;
  return { ...prefix, key, url: prefix.store.url(key) };
}

/** What small ones came to; undefined where nothing of one says what it is. */
export interface Moved {
  row: ObjectRow;
  outcome: Outcome | undefined;
}

/** Settles each. What does not say what it is becomes a large one: its story looks for an instruction file. */
export async function settleMoved(run: Settling, moved: readonly Moved[]): Promise<void> {
  const unknown: ObjectRow[] = [];
  const settled: Settled[] = [];
  for (const { row, outcome } of moved) {
    if (!outcome) unknown.push({ ...row, state: 'pending', isLarge: true });
    else settled.push({ object: isChanged(outcome) ? await listedAnew(run, row) : row, outcome });
  }
  await Promise.all([run.outcomes.settle(settled), run.ledger.write(unknown)]);
  run.queue.tell();
}

function isChanged(outcome: Outcome): boolean {
  return outcome.state === 'failed' && outcome.error.code === 'object-changed';
}

/**
 * An object that was replaced since it was listed, as it is now: the next time it is tried that is what is wanted. One that
 * is gone, or that nobody may look at, stays as it was listed, and fails again.
 */
async function listedAnew(run: Settling, row: ObjectRow): Promise<ObjectRow> {
  const { store, key } = await placeOf(run, row);
  const { versionId } = row.source;
  const info = await store.head(key, { versionId, signal: run.pause.signal }).catch(() => undefined);
  if (!info) return row;
  const { size, etag } = info;
  run.progress.totalBytes += size - row.size;
  const isLarge = !goesWhole(run.format.cutFile(size), run.tools, undefined);
  return { ...row, size, isLarge, source: { ...row.source, etag } };
}
