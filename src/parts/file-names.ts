/**
 * Where in a folder an object's file goes, by the object's name. Whoever named the object must not choose any other place:
 * a name that leads out of the folder, or that no file can have, is refused and never mended, so that no two names meet in
 * one file.
 */
import { SealiftError } from '../errors.ts';

/** What file systems take. */
const MAX_PART_SIZE = 255;

/** Windows takes these for devices, whatever follows a dot, and these signs for something else than themselves. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])( *\.|$)/i;
const WINDOWS_SIGNS = /[<>:"\\|?*\p{Cc}]|[. ]$/u;

/** The folders that lead to the file, and the file's own name. Throws `bad-name`. */
export function filePartsOf(name: string, platform: NodeJS.Platform = process.platform): string[] {
  const parts = name.split('/');
  const problem = problemWithWhole(name) ?? firstOf(parts, (part) => problemWithPart(part, platform));
  if (problem === undefined) return parts;
  throw badName(name, problem);
}

export function badName(name: string, why: string, cause?: unknown): SealiftError {
  return new SealiftError('bad-name', `${JSON.stringify(name)} can be no file there: ${why}`, {
    hint: 'Restore this object by itself: `sealift get OBJECT FILE` lets you choose the name.',
    cause,
  });
}

function problemWithWhole(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.startsWith('/')) return 'it begins with a slash';
  if (name.endsWith('/')) return 'it ends with a slash';
  return undefined;
}

function problemWithPart(part: string, platform: NodeJS.Platform): string | undefined {
  if (part === '') return 'it has two slashes in a row';
  if (part === '.' || part === '..') return `it has the part ${JSON.stringify(part)}`;
  if (part.includes('\0')) return 'it has a zero byte';
  if (!part.isWellFormed()) return 'it is not valid Unicode';
  if (Buffer.byteLength(part) > MAX_PART_SIZE) return `a part of it is longer than ${MAX_PART_SIZE} bytes`;
  if (platform !== 'win32') return undefined;
  if (WINDOWS_DEVICE.test(part)) return `${JSON.stringify(part)} is a device`;
  return WINDOWS_SIGNS.test(part) ? `Windows takes ${JSON.stringify(part)} for another name` : undefined;
}

function firstOf(parts: readonly string[], problemOf: (part: string) => string | undefined): string | undefined {
  for (const part of parts) {
    const problem = problemOf(part);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
