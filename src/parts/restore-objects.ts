/**
 * Small objects on their way down, into files under a folder: each is fetched whole, opened in memory once the main thread
 * has found its keys, and written. All keys of a task are asked for at once. One that fails stops no other.
 */
import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorData, SealiftError } from '../errors.ts';
import { modeOf } from '../mode.ts';
import { isFileOf, mtimeOf } from '../mtime.ts';
import { unlessMissing } from '../stores/directory-files.ts';
import type { Store } from '../stores/store.ts';
import { eachOf, type FailedObject, failed } from './each-of.ts';
import { filePartsOf } from './file-names.ts';
import { type Folder, Folders } from './folders.ts';
import {
  fetchWhole,
  isLocked,
  type Keys,
  type Locked,
  type LockedObject,
  lockedOf,
  openHeld,
  type WantedObject,
} from './held-object.ts';
import { fileExists, holds, writeRestored } from './restored-file.ts';
import type { StoreAccess } from './task.ts';
import { ID_METADATA } from './written.ts';

export interface RestoreTask {
  kind: 'restore';
  store: StoreAccess;
  objects: readonly ObjectToRestore[];
  /** The folder they go into. */
  root: string;
  overwrite: boolean;
  /** Permissions that no file gets. */
  umask: number;
  profiled: boolean;
}

export interface ObjectToRestore extends WantedObject {
  /** The file's, behind the root, with slashes. */
  name: string;
  /** As `RestoredFile` has it. */
  hiddenName: string;
  /** It may have been restored before a crash: a file of just its bytes is it. */
  wasTried: boolean;
}

/** What has become of one of them. */
export type RestoredObject =
  | {
      outcome: 'done';
      /** Plain bytes. */
      size: number;
      /** Of the writing of the object, where that says. */
      sealiftId: string;
      etag: string;
      versionId?: string | undefined;
      messageId: string;
      format: 'esdk' | 's3ec';
    }
  /** A file of the same size and time is there already; or it is of use to another object alone, which is open then. */
  | { outcome: 'skipped' }
  /** It does not say by itself what it is: whoever looks beside it may find out. */
  | { outcome: 'unknown' }
  | FailedObject;

export interface RestoreReceipt {
  /** In the order of the task's objects. */
  restored: RestoredObject[];
}

export interface RestoreLink {
  /** The keys of each, or why there are none. */
  unlock(objects: readonly KeyRequest[]): Promise<(Keys | { error: ErrorData })[]>;
  readonly cut: AbortSignal;
}

export interface KeyRequest {
  objectKey: string;
  locked: Locked;
}

interface Desk {
  task: RestoreTask;
  store: Store;
  link: RestoreLink;
  folders: Folders;
}

interface FetchedObject {
  object: ObjectToRestore;
  held: LockedObject;
  folder: Folder;
  /** Its own name in the folder. */
  own: string;
}

/** Restores all of them. Each is answered for itself; what rejects is an error of ours, or of a disk. */
export async function restoreObjects(
  task: RestoreTask,
  { store, link }: Pick<Desk, 'store' | 'link'>,
): Promise<RestoreReceipt> {
  const folders = new Folders(task.root);
  const desk = { task, store, link, folders };
  try {
    const found = await eachOf(task.objects, (object) => fetchObject(object, desk));
    const keys = await keysOf(found.filter(isFetched), link);
    const restored = await eachOf(found, async (each) =>
      isFetched(each) ? await writeObject(each, keys.get(each)!, task) : each,
    );
    await folders.sync();
    return { restored };
  } finally {
    await folders.close();
  }
}

function isFetched(found: FetchedObject | RestoredObject): found is FetchedObject {
  return 'held' in found;
}

async function keysOf(
  fetched: readonly FetchedObject[],
  link: RestoreLink,
): Promise<Map<FetchedObject, Keys | { error: ErrorData }>> {
  if (fetched.length === 0) return new Map();
  const asked = fetched.map(({ object: { objectKey }, held }) => ({ objectKey, locked: lockedOf(held) }));
  const keys = await link.unlock(asked);
  return new Map(fetched.map((each, index) => [each, keys[index]!]));
}

/** Throws `bad-name` before anything is asked for, `not-sealed`, `object-unsealed`, `target-exists`. */
async function fetchObject(object: ObjectToRestore, desk: Desk): Promise<FetchedObject | RestoredObject> {
  const { objectKey, name, size, wasTried } = object;
  const { task, store, link, folders } = desk;
  const parts = filePartsOf(name);
  const own = parts.pop()!;
  const folder = await folders.folderOf(parts);
  const there = wasTried ? undefined : await unlessMissing(lstat(folder.pathOf(own), { bigint: true }));
  if (there) {
    if (there.isFile() && (await isSame(there, object, desk))) return { outcome: 'skipped' };
    if (!task.overwrite && !there.isDirectory()) throw fileExists(join(task.root, name));
  }
  // Nothing that was sealed is as short as that, and of no bytes no range can be asked for.
  if (size === 0) throw notSealed(store.url(objectKey));
  const held = await fetchWhole(store, object, link.cut);
  const { format } = held.contents;
  if (format === 'plain') throw unsealed(store.url(objectKey));
  if (format === 'instructions') return { outcome: 'skipped' };
  return isLocked(held) ? { object, held, folder, own } : { outcome: 'unknown' };
}

/** By what the object's metadata says of the file it was made of. */
async function isSame(
  there: BigIntStats,
  { objectKey, versionId }: ObjectToRestore,
  { store, link }: Desk,
): Promise<boolean> {
  const info = await store.head(objectKey, { versionId, signal: link.cut });
  return info !== undefined && isFileOf(there, info);
}

async function writeObject(
  { object, held, folder, own }: FetchedObject,
  keys: Keys | { error: ErrorData },
  { root, umask, overwrite }: RestoreTask,
): Promise<RestoredObject> {
  if ('error' in keys) return failed(keys.error);
  const bytes = openHeld(held, keys);
  const { name, hiddenName, wasTried } = object;
  if (!(wasTried && (await holds(folder.pathOf(own), bytes)))) {
    const means = { mtime: mtimeOf(held), mode: modeOf(held, umask), overwrite };
    await writeRestored({ folder, name: own, shown: join(root, name), hiddenName, bytes, ...means });
  }
  const { etag, versionId, metadata, contents } = held;
  const messageId = Buffer.from(contents.header.messageId).toString('hex');
  const sealiftId = metadata[ID_METADATA] ?? '';
  return { outcome: 'done', size: bytes.length, sealiftId, etag, versionId, messageId, format: contents.format };
}

function notSealed(url: string): SealiftError {
  return new SealiftError('not-sealed', `${url} is not a sealed object`, {
    hint: 'Only objects sealed by Sealift or by an AWS client can be opened. Copy others as they are.',
  });
}

function unsealed(url: string): SealiftError {
  return new SealiftError('object-unsealed', `${url} was put with --seal none: nothing proves what it is`, {
    hint: 'Get it by itself: `sealift get OBJECT FILE --seal none`.',
  });
}
