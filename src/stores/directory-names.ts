/**
 * The names in a directory of objects. An object is one file, and its bytes are the object's; what else belongs to it
 * is hidden beside it. TAG and ID are 16 hexadecimal digits.
 *
 *   NAME                       the object
 *   .NAME.sealift-TAG.json     its headers, found by its first bytes (directory-object.ts)
 *   .NAME.sealift-ID           an upload, as a folder (directory-upload.ts), or an object on its way to its name
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { SealiftError } from '../errors.ts';
import { KiB } from '../units.ts';

/** File systems take 255 bytes, and the longest of the hidden names adds 31 to the object's. */
const MAX_NAME_SIZE = 220;

const ID = /^[0-9a-f]{16}$/;
const HIDDEN = /^\..*\.sealift-[0-9a-f]{16}(\.json)?$/s;

/** Bytes of an object that tell it from every other: a sealed one has its random message id in them. */
export const TAG_SOURCE_SIZE = 4 * KiB;

/** One object's place. `path` is its file. */
export interface ObjectPlace {
  directory: string;
  name: string;
  path: string;
  url: string;
}

/** Throws `bad-url` where no object can have this name. */
export function placeOf(directory: string, name: string): ObjectPlace {
  const problem = problemWith(name);
  const path = join(directory, name);
  if (problem === undefined) return { directory, name, path, url: fileUrlOf(path) };
  throw new SealiftError('bad-url', `${JSON.stringify(name)} cannot name an object in a directory: ${problem}`, {
    hint: 'Choose another name.',
  });
}

/** Why no object can have this name, or undefined where one can. */
export function problemWith(name: string): string | undefined {
  if (['', '.', '..'].includes(name) || /[/\0]/.test(name)) return 'it is no name of a file';
  if (!name.isWellFormed()) return 'it is not valid Unicode';
  if (Buffer.byteLength(name) > MAX_NAME_SIZE) return `it is longer than ${MAX_NAME_SIZE} bytes`;
  if (HIDDEN.test(name)) return 'a name of this form is kept for what belongs to an object';
  return undefined;
}

/** What a URL cannot hold as it is. */
const RESERVED = /[^!-~]|["#%<>?[\\\]^`{|}]/gu;

/** A path as a URL. Node's own `pathToFileURL` drops blanks and control characters at the end. */
export function fileUrlOf(path: string): string {
  return `file://${path.toWellFormed().replace(RESERVED, encodeURIComponent)}`;
}

/** The path of a new temporary file. */
export function newHiddenPath(place: ObjectPlace): string {
  return hiddenPath(place, randomBytes(8).toString('hex'));
}

export function hiddenPath({ directory, name }: ObjectPlace, id: string): string {
  return join(directory, `.${name}.sealift-${id}`);
}

export function headersPath(place: ObjectPlace, tag: string): string {
  return `${hiddenPath(place, tag)}.json`;
}

/** The id in a hidden name of this object, or undefined for any other file. */
export function idInName({ name }: ObjectPlace, fileName: string): string | undefined {
  const prefix = `.${name}.sealift-`;
  const id = fileName.slice(prefix.length);
  return fileName.startsWith(prefix) && isId(id) ? id : undefined;
}

/** Whether a text can be an id: it becomes part of a path. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** The tag of the object that begins with these bytes: `TAG_SOURCE_SIZE` of them, or all it has. */
export function tagOf(firstBytes: Uint8Array): string {
  return createHash('sha256').update(firstBytes).digest('hex').slice(0, 16);
}
