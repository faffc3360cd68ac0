/** The two ends of a migration, and what can never lead from the one to the other: told before there is a job. */
import { SealiftError } from '../errors.ts';
import type { Tools } from '../job.ts';
import type { MigrateOptions } from '../migrate.ts';
import { headersFor } from '../put/attempt.ts';
import { isObjectUrl } from '../put/find-source.ts';
import { formatFor } from '../put/format.ts';
import { encryptionAsked } from '../stores/encryption.ts';
import { formatObjectUrl } from '../stores/object-url.ts';
import { checkFilter } from './filter.ts';
import { RestoreFolder } from './folder.ts';
import { carryNeedsOf, laneNeedsOf } from './small.ts';
import type { MigrateSource } from './source.ts';
import { openMigrateSource } from './sources/open.ts';
import { Target } from './target.ts';

export interface Ends {
  source: MigrateSource;
  /** A folder takes what is opened. */
  target: Target | RestoreFolder;
}

/** Reads a list's manifest, and writes nothing. Throws usage errors, and what keeps either end from being reached. */
export async function openEnds(request: MigrateOptions, tools: Tools): Promise<Ends> {
  checkFilter(request.filter);
  const source = await sourceOf(request, tools);
  if ('prefix' in source.reads && !isObjectUrl(request.target)) {
    if (request.deleteSource) throw keepsObjects();
    return { source, target: new RestoreFolder(request.target) };
  }
  const target = await Target.open(request, tools);
  // With what is wrong here no object could be made.
  const format = formatFor(request);
  headersFor({ request: { ...request, sse: encryptionAsked(request) }, place: await tools.prefix(target.url) }, format);
  tools.plan('prefix' in source.reads ? carryNeedsOf(format) : laneNeedsOf(format));
  return { source, target };
}

function sourceOf({ source, names, sourceOptions }: MigrateOptions, tools: Tools): Promise<MigrateSource> {
  return openMigrateSource(source, {
    names,
    customerKey: sourceOptions?.customerKey,
    storeOf: async (place) => (await tools.prefix(formatObjectUrl(place))).store,
  });
}

function keepsObjects(): SealiftError {
  return new SealiftError('usage', 'What is restored into a folder is not deleted from its store', {
    hint: 'Leave --delete-source out.',
  });
}
