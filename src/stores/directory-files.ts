/** What the directory store asks of the file system, and what it means when that says no. */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { type ErrorCode, SealiftError } from '../errors.ts';
import { MiB } from '../units.ts';
import type { ObjectPlace } from './directory-names.ts';
import type { PartBody } from './store.ts';

const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDWR } = constants;

/** Opens a file that is there, to write into it. A symbolic link is refused; a pipe in its place does not hang. */
export function openToWrite(path: string): Promise<FileHandle> {
  return open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
}

/** What has been written of a body. */
interface Written {
  size: number;
  crc32: number;
}

/** Makes a file of these bytes and puts it on the disk. Whatever has the name already, a link too, is an error. */
export async function createFile(path: string, body: string | Uint8Array | PartBody): Promise<Written> {
  await using file = await open(path, 'wx');
  const written = await writeBody(file, typeof body === 'string' ? Buffer.from(body) : body, 0);
  await file.sync();
  return written;
}

/** Writes all of a body, which may be made meanwhile, at `offset`. */
export async function writeBody(file: FileHandle, body: Uint8Array | PartBody, offset: number): Promise<Written> {
  let size = 0;
  let checksum = 0;
  for await (const slice of body instanceof Uint8Array ? [body] : body.slices()) {
    await writeAt(file, slice, offset + size);
    checksum = crc32(slice, checksum);
    size += slice.length;
  }
  return { size, crc32: checksum };
}

/**
 * Bytes written at once. For more, Linux looks for larger pages in a row than memory has for long: a GiB in calls of 8 MiB
 * took the system 0.2 s on an idle machine, and 0.8 to 2 s on a busy one; in calls of 1 MiB 0.2 s on both.
 */
const WRITE_SIZE = MiB;

/** Writes all of `bytes` at `position`: the system may take less at a time. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const size = Math.min(WRITE_SIZE, bytes.length - done);
    const { bytesWritten } = await file.write(bytes, done, size, position + done);
    done += bytesWritten;
  }
}

/** Makes names created in or removed from a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** What link(2) says on file systems without hard links: exFAT, some network ones. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Gives a file a new name that nothing may have. Fails with EEXIST where something has it, in one step if it can. */
export async function moveToNewName(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!NO_LINKS.includes(codeOf(error) ?? '')) throw error;
    if (await lstat(to).catch(() => undefined)) throw Object.assign(new Error(`${to} exists`), { code: 'EEXIST' });
    await rename(from, to);
    return;
  }
  await rm(from);
}

/** A system error's code, for example `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** `work`, or undefined where what it looks for is not there. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Any error of a call on the directory store. One that is ours already passes as it is. */
export function directoryError(thrown: unknown, call: string, place: ObjectPlace): SealiftError {
  if (thrown instanceof SealiftError) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (typeof code !== 'string') return SealiftError.from(thrown);
  const { directory, url } = place;
  const error = (errorCode: ErrorCode, hint: string, what = `${call} ${url}: ${message}`) =>
    new SealiftError(errorCode, what, { hint, cause: thrown });
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return error('bucket-not-found', 'Make it or mount it, or check its name.', `There is no directory ${directory}`);
    case 'EACCES':
    case 'EPERM':
      return error('access-denied', `Check who may read and write in ${directory} (ls -ld), and who you are (id).`);
    case 'ENOSPC':
    case 'EDQUOT':
      return error('disk-full', 'Free some space and run the same command again: it goes on where it stopped.');
    case 'EROFS':
    case 'EFBIG':
    case 'ENAMETOOLONG':
      return error('target-unwritable', 'The file system does not take it. Choose another directory.');
    case 'ELOOP':
    case 'EMLINK':
      return error('store-error', 'An object and what belongs to it are regular files. Name the file itself.');
    default:
      return error('store-error', 'The file system refuses; its message says why.');
  }
}

/** Throws `store-error` where an object's name belongs to a folder, a device or a pipe. */
export function checkIsFile(stats: BigIntStats, place: ObjectPlace): void {
  if (!stats.isFile()) throw notAFile(place, stats.isDirectory() ? 'a directory' : 'a device or a pipe');
}

function notAFile({ url }: ObjectPlace, what: string): SealiftError {
  return new SealiftError('store-error', `${url} is ${what}, and an object is a regular file`, {
    hint: 'Name a file. To put a file into a directory under its own name, end in a slash.',
  });
}
