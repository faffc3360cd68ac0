/**
 * The source file, and the one question asked of it again and again: is this still the file that was planned? Size,
 * modification time and inode say it is another one; a change of device or change time alone (a remount, a chmod, a
 * restored copy) only makes it doubtful. The last word is the fingerprint's: a file can change through a memory map
 * without its times moving.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import type { ObjectIdentity, SourceIdentity } from '../ledger/types.ts';

/** Who may read, write and run it: neither setuid, setgid nor sticky. */
const PERMISSIONS = 0o777;
/** Non-blocking, so that a FIFO is refused instead of hanging. It changes nothing for a regular file. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

export type SourceVerdict = 'same' | 'doubtful' | 'changed';

export function compareSource(
  planned: SourceIdentity | ObjectIdentity,
  now: SourceIdentity | ObjectIdentity,
): SourceVerdict {
  if ('etag' in planned || 'etag' in now) return isSameVersion(planned, now) ? 'same' : 'changed';
  if (planned.size !== now.size || planned.mtimeNs !== now.mtimeNs || planned.inode !== now.inode) return 'changed';
  return planned.device === now.device && planned.ctimeNs === now.ctimeNs ? 'same' : 'doubtful';
}

/**
 * Opens the file at `path` for reading and says what it is. The caller closes the handle. Throws source-not-found,
 * source-is-directory, source-not-a-file, source-unreadable.
 */
export async function openSource(path: string): Promise<{ file: FileHandle; identity: SourceIdentity }> {
  let file: FileHandle;
  try {
    file = await open(path, READ_FLAGS);
  } catch (error) {
    throw sourceError(path, error as NodeJS.ErrnoException);
  }
  try {
    return { file, identity: regularFile(path, await file.stat({ bigint: true })) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What the file at `path` is now. It is not opened, and a link is none. Throws as `openSource` does. */
export async function lookAtSource(path: string): Promise<SourceIdentity> {
  let stats: BigIntStats;
  try {
    stats = await lstat(path, { bigint: true });
  } catch (error) {
    throw sourceError(path, error as NodeJS.ErrnoException);
  }
  return regularFile(path, stats);
}

/** Throws `source-changed` unless what is there now is the planned file. */
export function refuseChanged(planned: SourceIdentity, now: SourceIdentity): void {
  if (compareSource(planned, now) === 'changed') throw sourceChanged(planned, now);
}

function isSameVersion(planned: SourceIdentity | ObjectIdentity, now: SourceIdentity | ObjectIdentity): boolean {
  if (!('etag' in planned && 'etag' in now)) return false;
  const isSameMessage = planned.messageId === now.messageId && planned.size === now.size;
  return isSameMessage && planned.etag === now.etag && planned.versionId === now.versionId;
}

export function sourceChanged(
  planned: SourceIdentity | ObjectIdentity,
  now?: SourceIdentity | ObjectIdentity,
): SealiftError {
  if ('etag' in planned || (now && 'etag' in now)) {
    return new SealiftError('source-changed', `${nameOf(planned)} was replaced while it was being read`, {
      hint: 'What is there now was left as it is. Run the command again to seal that.',
    });
  }
  let how = 'its bytes are not those that were read before';
  if (now && now.size !== planned.size) how = `its size went from ${planned.size} to ${now.size} bytes`;
  else if (now && now.inode !== planned.inode) how = 'another file has taken its place';
  else if (now && now.mtimeNs !== planned.mtimeNs) how = 'it was written to';
  return new SealiftError('source-changed', `${planned.path} changed while it was being read: ${how}`, {
    hint: 'Nothing was completed. Stop whatever writes to the file, or take a snapshot of it, and run the command again.',
  });
}

/** What people call it. */
export function nameOf(source: SourceIdentity | ObjectIdentity): string {
  return 'etag' in source ? source.url : source.path;
}

/** What it is. Throws `source-is-directory` and `source-not-a-file`. */
export function regularFile(path: string, stats: BigIntStats): SourceIdentity {
  if (stats.isDirectory()) throw directoryError(path);
  if (!stats.isFile()) throw notAFile(path);
  return {
    path,
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    inode: String(stats.ino),
    device: String(stats.dev),
    mode: (Number(stats.mode) & PERMISSIONS).toString(8).padStart(4, '0'),
  };
}

function directoryError(path: string): SealiftError {
  return new SealiftError('source-is-directory', `${path} is a directory`, {
    hint: '`put` seals one file: name a file in it, or a tar of it. A whole directory is for `migrate`.',
  });
}

function notAFile(path: string, cause?: unknown): SealiftError {
  return new SealiftError('source-not-a-file', `${path} is not a regular file`, {
    hint: 'Seal it as a pipe (`sealift put - DEST < FILE`), or copy it into a file first: that can be resumed.',
    cause,
  });
}

/** What keeps it from being opened. */
export function sourceError(path: string, error: NodeJS.ErrnoException): SealiftError {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new SealiftError('source-not-found', `There is no file ${path}`, {
        hint: 'Check the spelling; a relative path is taken from the folder the command was started in.',
        cause: error,
      });
    case 'EISDIR':
      return directoryError(path);
    case 'ENXIO':
    case 'ENODEV':
      return notAFile(path, error);
    default:
      return new SealiftError('source-unreadable', `${path} cannot be read: ${error.message}`, {
        hint: 'Check its permissions (`ls -l`) and who you are (`id`).',
        cause: error,
      });
  }
}
