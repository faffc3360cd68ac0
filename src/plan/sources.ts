/** What a plan is about: a file, or every file under a directory, as objects with names and sizes. */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { openSource } from '../parts/source.ts';

export interface PlannedObject {
  path: string;
  /** Behind the directory, with slashes. Of a single file ''. */
  name: string;
  size: number;
}

/** Throws as `openSource` does where `path` is neither. */
export async function* objectsUnder(path: string): AsyncGenerator<PlannedObject, void> {
  const isDirectory = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isDirectory) return yield* filesUnder(path, path);
  const { file, identity } = await openSource(path);
  await file.close();
  yield { path, name: '', size: identity.size };
}

/** Links, devices and pipes are not followed: what they stand for is not known before they are read. */
async function* filesUnder(root: string, folder: string): AsyncGenerator<PlannedObject, void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(root, path);
    else if (entry.isFile()) {
      const { size } = await lstat(path);
      yield { path, name: relative(root, path).split(sep).join('/'), size };
    }
  }
}
