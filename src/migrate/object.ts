/** An object of the store that a migration reads. */
import { SealiftError } from '../errors.ts';
import { type Place, underKey } from '../job.ts';
import type { ObjectRow } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';

type Reading = Pick<MigrateRun, 'source' | 'tools' | 'request'>;

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
