/**
 * A small file restored: written under a hidden name, with the time and the permissions that its source had, and on the
 * disk before it gets its own name. What stands there already stays, unless it is to be replaced.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { codeOf, moveToNewName, unlessMissing } from '../stores/directory-files.ts';
import { badName } from './file-names.ts';
import type { Folder } from './folders.ts';
import { targetError } from './open-part.ts';

const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY } = constants;

export interface RestoredFile {
  folder: Folder;
  /** Its own name in the folder. */
  name: string;
  /** What people call it. */
  shown: string;
  /** The hidden name that it has until it is whole: the same whenever it is tried again, so that nothing is left behind. */
  hiddenName: string;
  bytes: Buffer;
  /** As `FileHandle.utimes` takes it. */
  mtime: number | Date | undefined;
  mode: number | undefined;
  overwrite: boolean;
}

/** Resolves once the file is on the disk, under its name: that the folder has it there is for whoever syncs folders. */
export async function writeRestored(file: RestoredFile): Promise<void> {
  const { folder, name, hiddenName, shown, overwrite } = file;
  const hidden = folder.pathOf(hiddenName);
  const target = folder.pathOf(name);
  try {
    await rm(hidden, { force: true });
    await fill(hidden, file);
    if (!overwrite) return await moveToNewName(hidden, target);
    await refuseSpecial(target, shown);
    await rename(hidden, target);
  } catch (error) {
    throw error instanceof SealiftError ? error : await explained(error, { target, shown });
  } finally {
    await rm(hidden, { force: true });
  }
}

/** To replace a device or a pipe is not what anybody asked for. */
async function refuseSpecial(target: string, shown: string): Promise<void> {
  const stats = await unlessMissing(lstat(target));
  if (!stats || stats.isFile() || stats.isSymbolicLink() || stats.isDirectory()) return;
  throw new SealiftError('target-unwritable', `${shown} is not a regular file`, {
    hint: 'Remove it, or restore into another folder.',
  });
}

async function fill(path: string, { bytes, mtime, mode }: RestoredFile): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(bytes);
  if (mode !== undefined) await file.chmod(mode);
  if (mtime !== undefined) await file.utimes(new Date(), mtime);
  await file.sync();
}

async function explained(error: unknown, { target, shown }: { target: string; shown: string }): Promise<SealiftError> {
  const isTaken = codeOf(error) === 'EEXIST';
  if (codeOf(error) === 'EISDIR' || (isTaken && (await isFolder(target)))) {
    return badName(shown, 'there is a folder of this name', error);
  }
  return isTaken ? fileExists(shown) : targetError(shown, error as NodeJS.ErrnoException);
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path)).isDirectory();
}

/** Whether a file of this name is there and holds just these bytes. */
export async function holds(path: string, bytes: Buffer): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    // Whoever writes there finds out why.
    return false;
  }
  try {
    const stats = await file.stat();
    return stats.isFile() && stats.size === bytes.length && (await file.readFile()).equals(bytes);
  } finally {
    await file.close();
  }
}

export function fileExists(path: string): SealiftError {
  return new SealiftError('target-exists', `${path} exists already`, {
    hint: 'Give --overwrite to replace it, or restore into another folder.',
  });
}
