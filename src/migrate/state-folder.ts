/**
 * A state folder inside SOURCE is not migrated. Its ledgers change while they are read, and the one of the migration
 * itself would never be done.
 */
import { realpathSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';
import { SealiftError } from '../errors.ts';
import type { Tools } from '../job.ts';
import type { MigrateSource } from './source.ts';

/** Its name in the source, with a slash at its end; undefined where it is elsewhere. Throws `usage` where it is all of the source. */
export function stateFolderIn(
  { reads, url }: MigrateSource,
  { stateDir }: Pick<Tools, 'stateDir'>,
): string | undefined {
  if (!('directory' in reads)) return undefined;
  const parts = relative(realpathSync(reads.directory), stateDir).split(sep);
  if (parts[0] === '') {
    throw new SealiftError(
      'usage',
      `${url} is the folder where Sealift keeps its jobs, and they would change as they are read`,
      {
        hint: 'Name another with --state-dir, and migrate this one then.',
      },
    );
  }
  return parts[0] === '..' || isAbsolute(parts[0]!) ? undefined : `${parts.join('/')}/`;
}

export function leftOutText(folder: string): string {
  return `${folder} is left out: Sealift keeps its jobs there. To hear no more of it, leave it out with --exclude`;
}
