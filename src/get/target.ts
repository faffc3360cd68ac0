/**
 * The file a get writes: a random name beside the target until everything is verified, then renamed. Nobody ever sees
 * a half-opened or unverified file under the name they asked for.
 */
import { randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, link, lstat, lutimes, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SealiftError } from '../errors.ts';
import { targetError } from '../parts/open-part.ts';

/**
 * Throws `target-exists` unless `overwrite`, `target-unwritable` where it is a folder, a device or a pipe, or has no room
 * for a hidden name beside it. A file with the inode of `ours` may stand there: see `wasPublished` in file.ts.
 */
export async function checkTarget(
  path: string,
  { overwrite, ours }: { overwrite: boolean; ours?: string | undefined },
): Promise<void> {
  const stats = await statsOf(path, path);
  // A path may just fit, and the hidden one not.
  await statsOf(temporaryPathFor(path), path);
  if (stats?.isDirectory()) {
    throw new SealiftError('target-unwritable', `${path} is a directory`, { hint: 'Name the file to write.' });
  }
  // The rename at the end would replace a device or a pipe, not write to it.
  if (stats && !stats.isFile() && !stats.isSymbolicLink()) {
    throw new SealiftError('target-unwritable', `${path} is not a regular file`, {
      hint: 'Name a file. To write into a pipe, give - and redirect standard output.',
    });
  }
  if (stats && !overwrite && String(stats.ino) !== ours) throw fileExists(path);
}

/** Undefined where there is nothing of this name, but could be. */
async function statsOf(path: string, target: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw targetError(target, error as NodeJS.ErrnoException);
  }
}

/** The time a file's source had, as `lutimes` takes it, and who is told where the file cannot have it. */
export interface SourceTime {
  time: number | Date | undefined;
  warn: (message: string) => void;
}

/** A random name beside the target. The target's own is not in it: that may be as long as a name can be. */
export function temporaryPathFor(target: string): string {
  return join(dirname(target), `.sealift-${randomBytes(8).toString('hex')}`);
}

/**
 * Creates the temporary file exclusively, for its owner alone, as long as it will be, or leaves nothing there. Resolves
 * to its inode.
 */
export async function createTemporary(
  path: string,
  { target, size }: { target: string; size: number },
): Promise<string> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.truncate(size);
      return String((await file.stat({ bigint: true })).ino);
    } catch (error) {
      await rm(path);
      throw error;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw targetError(target, error as NodeJS.ErrnoException);
  }
}

/** The inode of the regular file at `path`; undefined where there is none, or not of this size. */
export async function inodeAt(path: string, size: number): Promise<string | undefined> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined);
  return stats?.isFile() && Number(stats.size) === size ? String(stats.ino) : undefined;
}

/** Puts everything written so far on the disk. */
export async function syncFile(path: string): Promise<void> {
  await withHandle(path, 'r+', (file) => file.datasync());
}

/**
 * Gives the verified file its source's time and mode, where they are given, and its name, and puts all on the disk. Without `overwrite` the name is taken by a hard link,
 * which fails where another file has appeared meanwhile; a rename would replace it.
 */
export async function publish(
  temporary: string,
  target: string,
  { overwrite, time, mode, warn }: { overwrite: boolean; mode?: number | undefined } & Partial<SourceTime>,
): Promise<void> {
  if (mode !== undefined) await withHandle(temporary, 'r+', (file) => file.chmod(mode));
  if (time !== undefined) {
    // Whoever lays a link there does not choose whose time is set.
    await lutimes(temporary, new Date(), time).catch(({ message }: Error) => {
      warn?.(`${target} could not be given its modification time, and is there with all its bytes: ${message}`);
    });
  }
  await withHandle(temporary, 'r+', (file) => file.sync());
  try {
    if (overwrite) await rename(temporary, target);
    else await linkAs(temporary, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw fileExists(target);
    throw targetError(target, error as NodeJS.ErrnoException);
  }
  await settle(temporary, target);
}

/** The end of `publish`, also for a run that died before it: the file has one name, and that is on the disk. */
export async function settle(temporary: string, target: string): Promise<void> {
  await removeTemporary({ tempPath: temporary });
  await withHandle(dirname(target), 'r', (folder) => folder.sync());
}

async function linkAs(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    // A file system without hard links (exFAT, some network ones): look once more, then rename.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    await checkTarget(target, { overwrite: false });
    await rename(temporary, target);
  }
}

/** Removes a half-written file. One that is gone already is fine. */
export async function removeTemporary({ tempPath }: { tempPath: string }): Promise<void> {
  await rm(tempPath, { force: true });
}

async function withHandle(path: string, flags: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  try {
    const file = await open(path, flags);
    try {
      await work(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw targetError(path, error as NodeJS.ErrnoException);
  }
}

function fileExists(path: string): SealiftError {
  return new SealiftError('target-exists', `${path} exists already`, {
    hint: 'Give --overwrite to replace it, or choose another name.',
  });
}
