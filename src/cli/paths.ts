/** What a person's words for a file or an object stand for. */
import { statSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SealiftError } from '../errors.ts';
import { parseObjectUrl } from '../stores/object-url.ts';

/**
 * `npm run sealift` starts us in the package's folder and notes the caller's in INIT_CWD. Paths are the caller's. The
 * note is taken down once read: a command started by us may be somewhere else by the time it looks.
 */
export function enterCallersFolder(): void {
  const { npm_lifecycle_event, INIT_CWD } = process.env;
  if (npm_lifecycle_event !== 'sealift' || !INIT_CWD) return;
  process.chdir(INIT_CWD);
  delete process.env.INIT_CWD;
}

/** The object that a person names to be read: a URL as it stands, and a bare path as the file it is. */
export function objectAt(text: string): string {
  return /^\w+:\/\//.test(text) ? text : pathToFileURL(resolve(text)).href;
}

/** The objects that a person names by how they begin: a bare path is a file's, and a directory's stands for all in it. */
export function prefixAt(text: string): string {
  if (/^\w+:\/\//.test(text)) return text;
  const path = resolve(text);
  return pathToFileURL(isDirectory(path) ? join(path, sep) : path).href;
}

/** The object a file goes into: a DEST that ends in a slash stands for the folder, as in `cp`. */
export function objectFor(source: string, dest: string): string {
  if (!dest.endsWith('/')) return dest;
  if (source === '-') {
    throw new SealiftError('usage', 'What comes through a pipe has no name for an object', {
      hint: 'Name the object, not only its folder.',
    });
  }
  const name = basename(source);
  return dest + (dest.startsWith('file:') ? encodeURIComponent(name) : name);
}

/**
 * The file an object goes into, as an absolute path: a TARGET that is a folder takes the last part of the key. What comes
 * through a pipe is the object ''.
 */
export function fileFor(object: string, target: string): string {
  const path = resolve(target);
  if (isDirectory(path)) return join(path, lastSegment(object));
  if (target.endsWith('/') || target.endsWith(sep)) {
    throw new SealiftError('target-unwritable', `${target} is not a directory`, {
      hint: 'Make it first, or leave the slash away to write a file of that name.',
    });
  }
  return path;
}

/** One that cannot even be looked at is left to whoever writes there to complain about. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Whoever named the object must not choose where a file is written. */
function lastSegment(object: string): string {
  if (object === '') {
    throw new SealiftError('usage', 'What comes through a pipe has no name for a file', {
      hint: 'Name the file to write, not only its directory.',
    });
  }
  const { key } = parseObjectUrl(object);
  const name = key.slice(key.lastIndexOf('/') + 1);
  if (['', '.', '..'].includes(name) || name.includes(sep) || name.includes('\0')) {
    throw new SealiftError('usage', `The last part of ${object} is no name for a file`, {
      hint: 'Name the file to write, not only its directory.',
    });
  }
  return name;
}
