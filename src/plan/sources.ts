/**
 * What a plan is about, as objects with names and sizes: a file, every file under a directory, or every object of a bucket
 * whose key begins so. Of a bucket's objects nothing is read.
 */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { openSource } from '../parts/source.ts';
import { type ObjectUrl, parsePrefixUrl } from '../stores/object-url.ts';
import type { CallOptions, Store } from '../stores/store.ts';

export interface PlannedObject {
  /** A file's path, or an object's URL. */
  path: string;
  /** Behind the directory or the prefix, with slashes. Of a single file or object '': a `put` takes it, others a `migrate`. */
  name: string;
  size: number;
  /** Of an object in a bucket: how it is kept there. */
  storageClass?: string | undefined;
}

/** Whether a source is a bucket's objects, by the beginning of their keys, and no path. */
export function isInBucket(source: string): boolean {
  return source.startsWith('s3://');
}

/** Throws `bad-url` for a bucket's objects, else as `openSource` does where the path is no directory's. */
export async function* objectsUnder(
  source: string,
  { storeOf, signal }: CallOptions & { storeOf: (url: ObjectUrl) => Promise<Store> },
): AsyncGenerator<PlannedObject, void> {
  if (!isInBucket(source)) return yield* filesAt(source);
  const prefix = parsePrefixUrl(source);
  const store = await storeOf(prefix);
  const one = await objectAt(store, prefix.key, { signal });
  if (one) yield one;
  else yield* objectsIn(store, prefix.key, { signal });
}

/** The object of exactly this key. Whoever may not look at it, or cannot, is told so by the listing, or sees it there. */
async function objectAt(store: Store, key: string, options: CallOptions): Promise<PlannedObject | undefined> {
  if (key === '' || key.endsWith('/')) return undefined;
  const info = await store.head(key, options).catch(() => undefined);
  return info && { path: store.url(key), name: '', size: info.size, storageClass: info.storageClass ?? 'STANDARD' };
}

async function* filesAt(path: string): AsyncGenerator<PlannedObject, void> {
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

/** Objects, also behind further slashes. Their names begin behind the prefix's last slash, as those of files do. */
async function* objectsIn(store: Store, prefix: string, options: CallOptions): AsyncGenerator<PlannedObject, void> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  for await (const listed of store.list(prefix, { ...options, recursive: true })) {
    if ('prefix' in listed) continue;
    const { key, size, storageClass = 'STANDARD' } = listed;
    yield { path: store.url(key), name: key.slice(folder.length), size, storageClass };
  }
}
