/** What lies in a directory: its objects, and the directories in it, which are other stores. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from './directory-files.ts';
import { problemWith } from './directory-names.ts';
import type { ListedObject, ListedPrefix } from './store.ts';

/** In the order of S3, which compares bytes. Links, devices and what belongs to objects are no objects. */
export async function* listDirectory(
  directory: string,
  prefix: string,
  startAfter = '',
): AsyncGenerator<ListedObject | ListedPrefix, void> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(prefix) && problemWith(name) === undefined);
  names.sort(compareKeys);
  for (const name of names) {
    if (compareKeys(name, startAfter) <= 0) continue;
    const stats = await unlessMissing(lstat(join(directory, name)));
    if (stats?.isDirectory()) yield { prefix: `${name}/` };
    else if (stats?.isFile()) yield { key: name, size: stats.size, lastModified: stats.mtime };
  }
}

function compareKeys(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
