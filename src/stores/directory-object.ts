/**
 * An object in a directory, and how one comes into being.
 *
 * The file NAME holds the object's bytes and nothing else, so that any reader of its format can open it. Its headers
 * (metadata, checksum, content type, storage class, tags) lie beside it in a file of their own, and two files cannot be
 * replaced in one step. So the headers' file is named after the object's first bytes: every writing has its own, and
 * whoever finds an object finds its headers, whatever was interrupted or came between.
 *
 *   1. the object's bytes are on the disk, under a hidden name
 *   2. its headers are on the disk, name and all       a crash from here on leaves headers that nobody looks for
 *   3. the hidden file takes the name NAME             the one step that counts
 *   4. the headers of the object it replaced go        a crash before leaves them, and nobody looks for them
 *
 * A new name is taken by a hard link, which fails where the name is taken. To replace the very object seen before
 * (If-Match) it is looked at once more and the hidden file renamed over it: a writer that comes between these two
 * calls, less than a millisecond on a local disk, is overwritten. What has the name is always one writer's object, whole.
 */
import { accessSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { KiB } from '../units.ts';
import { checkIsFile, codeOf, createFile, moveToNewName, syncFolder } from './directory-files.ts';
import { headersPath, newHiddenPath, type ObjectPlace, TAG_SOURCE_SIZE, tagOf } from './directory-names.ts';
import { OpenedFile } from './directory-read.ts';
import type { ObjectHeaders, WriteAnswer, WriteCondition } from './store.ts';

/** What tells a file from every other that has or had its name. */
export interface Identity {
  size: number;
  etag: string;
  tag: string;
  lastModified: Date;
}

/** An object's headers, as they are kept. */
export interface StoredHeaders extends ObjectHeaders {
  size: number;
  crc32: number;
}

/** S3 takes 2 KiB of metadata and ten tags; nothing larger is written or read. */
const MAX_HEADERS_SIZE = 64 * KiB;

/** Opens the object for reading; the caller closes it. Undefined where there is none, in a directory that is there. */
export function openObject(place: ObjectPlace): { file: OpenedFile; identity: Identity } | undefined {
  const file = OpenedFile.open(place.path);
  if (!file) {
    accessSync(place.directory);
    return undefined;
  }
  try {
    return { file, identity: identify(file, place) };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** The object's identity, or undefined where there is none. */
export function lookAt(place: ObjectPlace): Identity | undefined {
  const object = openObject(place);
  object?.file[Symbol.dispose]();
  return object?.identity;
}

/** A rewritten file has another time, a replaced one another inode, and sealed again it begins otherwise. */
function identify(file: OpenedFile, place: ObjectPlace): Identity {
  const stats = file.stat();
  checkIsFile(stats, place);
  const tag = tagOf(file.readStart(TAG_SOURCE_SIZE));
  const { size, ino, mtimeNs, mtime } = stats;
  const numbers = [ino, mtimeNs, size].map((number) => number.toString(16));
  return { size: Number(size), etag: `"${numbers.join('-')}-${tag}"`, tag, lastModified: mtime };
}

/** The headers of this very object. Undefined where it has none: somebody else wrote or renamed it. */
export function readHeaders(place: ObjectPlace, { tag, size }: Identity): StoredHeaders | undefined {
  const headers = readHeadersFile(headersPath(place, tag));
  return headers?.size === size ? headers : undefined;
}

/** Undefined where there is no such file, or another one than `encodeHeaders` makes: others may write there too. */
export function readHeadersFile(path: string): StoredHeaders | undefined {
  using file = OpenedFile.open(path);
  return file && decodeHeaders(file.readStart(MAX_HEADERS_SIZE));
}

/** The file's text. Throws `metadata-too-large`. */
export function encodeHeaders({ metadata, contentType, storageClass, tags, size, crc32 }: StoredHeaders): string {
  const headers = { size, crc32, metadata, contentType, storageClass, tags };
  const text = `${JSON.stringify(headers, undefined, 2)}\n`;
  if (Buffer.byteLength(text) <= MAX_HEADERS_SIZE) return text;
  throw new SealiftError('metadata-too-large', `Metadata and tags take more than ${MAX_HEADERS_SIZE} bytes`, {
    hint: 'Give fewer or shorter --metadata and --tag.',
  });
}

function decodeHeaders(bytes: Buffer): StoredHeaders | undefined {
  try {
    const { size, crc32, metadata, contentType, storageClass, tags } = JSON.parse(bytes.toString());
    const texts = [...Object.values(metadata), ...Object.values(tags ?? {}), contentType ?? '', storageClass ?? ''];
    const isOurs = Number.isSafeInteger(size) && Number.isSafeInteger(crc32);
    if (!isOurs || !texts.every((text) => typeof text === 'string')) return undefined;
    return { size, crc32, metadata, contentType, storageClass, tags };
  } catch {
    return undefined;
  }
}

/**
 * Gives the hidden file at `path`, whose bytes are on the disk, the object's name. Throws `target-exists` or
 * `target-changed` where the condition fails, and the file stays hidden. To be called again after a crash: a file that
 * has the name already is a success.
 */
export async function publish(
  place: ObjectPlace,
  path: string,
  { headers, condition }: { headers: StoredHeaders; condition: WriteCondition },
): Promise<WriteAnswer> {
  const { etag, tag } = lookAt({ ...place, path })!;
  await writeHeaders(place, tag, headers);
  const there = lookAt(place);
  if (there?.etag !== etag) {
    try {
      await takeName(place, path, { condition, there });
    } catch (error) {
      if (there?.tag !== tag) await rm(headersPath(place, tag), { force: true });
      throw error;
    }
  }
  await syncFolder(place.directory);
  if (there && there.tag !== tag) await rm(headersPath(place, there.tag), { force: true });
  return { etag, crc32: headers.crc32 };
}

async function writeHeaders(place: ObjectPlace, tag: string, headers: StoredHeaders): Promise<void> {
  const path = newHiddenPath(place);
  try {
    await createFile(path, encodeHeaders(headers));
    await rename(path, headersPath(place, tag));
  } finally {
    await rm(path, { force: true });
  }
  await syncFolder(place.directory);
}

async function takeName(
  { path: target, url }: ObjectPlace,
  path: string,
  { condition, there }: { condition: WriteCondition; there: Identity | undefined },
): Promise<void> {
  if ('ifNoneMatch' in condition) {
    if (there) throw targetExists(url);
    try {
      return await moveToNewName(path, target);
    } catch (error) {
      throw codeOf(error) === 'EEXIST' ? targetExists(url) : error;
    }
  }
  if ('ifMatch' in condition && condition.ifMatch !== there?.etag) {
    throw new SealiftError('target-changed', `${url} is not the object that was to be replaced`, {
      hint: 'The object was changed by someone else since the start. Look at it before you go on.',
    });
  }
  await rename(path, target);
}

function targetExists(url: string): SealiftError {
  return new SealiftError('target-exists', `${url} exists already`, {
    hint: 'Choose another name, or replace the object with --overwrite.',
  });
}
