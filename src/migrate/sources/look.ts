/** One object that a list names, looked at where it is: what a migration has to know of it, or why it cannot be moved. */
import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDenied, SealiftError } from '../../errors.ts';
import type { Store } from '../../stores/store.ts';
import type { SourceObject } from '../source.ts';

/** Undefined where it is gone. */
export async function lookAtFile(directory: string, name: string): Promise<SourceObject | undefined> {
  const path = join(directory, name);
  let stats: BigIntStats;
  try {
    stats = await lstat(path, { bigint: true });
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return refused(name, new SealiftError('source-unreadable', `${path} cannot be looked at: ${message}`));
  }
  if (stats.isFile()) {
    return { name, size: Number(stats.size), mtimeNs: String(stats.mtimeNs), inode: String(stats.ino) };
  }
  return refused(name, new SealiftError('source-not-a-file', `${path} is ${kindOf(stats)}, and only files are moved`));
}

function kindOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/** An object of a store as a list has it. */
export interface NamedObject {
  name: string;
  key: string;
  versionId?: string | undefined;
}

/** Throws what is not of this object alone, as that the store cannot be reached. */
export async function lookAtObject(
  store: Store,
  { name, key, versionId }: NamedObject,
  signal: AbortSignal | undefined,
): Promise<SourceObject> {
  try {
    const info = await store.head(key, { versionId, signal });
    if (!info) throw new SealiftError('object-not-found', `There is no object ${store.url(key)}`);
    const { size, etag, lastModified } = info;
    return { name, size, etag, versionId, lastModified };
  } catch (thrown) {
    const error = SealiftError.from(thrown);
    if (!isDenied(error) && !/^(object-not-found|sse-c-)/.test(error.code)) throw error;
    return { ...refused(name, error), versionId };
  }
}

/** It is there, or somebody asked for it, and it cannot be moved. */
export function refused(name: string, { code, message }: SealiftError): SourceObject {
  return { name, size: 0, refusal: { code, message } };
}

/** A name that is no text, or may be none, in ASCII. */
export function showBytes(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^ -~]/g, (byte) => `\\x${Buffer.from(byte, 'latin1').toString('hex')}`);
}
