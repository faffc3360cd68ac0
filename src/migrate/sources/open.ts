/**
 * What a SOURCE is, by how it is written:
 *
 *   a directory on this disk     its files; with a list of names, those of them
 *   …/manifest.json              an S3 Inventory, at s3:// or on this disk
 *   ….csv                        a manifest of S3 Batch Operations, likewise
 *   s3://bucket/folder           the objects behind s3://bucket/folder/; with a list of names, those of them
 */
import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SealiftError } from '../../errors.ts';
import { isObjectUrl } from '../../put/find-source.ts';
import { formatObjectUrl, type ObjectUrl, parseBucketUrl, parsePrefixUrl } from '../../stores/object-url.ts';
import type { Store } from '../../stores/store.ts';
import type { MigrateSource } from '../source.ts';
import { BatchSource } from './batch.ts';
import { BucketSource } from './bucket.ts';
import { DirectorySource } from './directory.ts';
import { InventorySource } from './inventory.ts';
import { parseManifest } from './inventory-manifest.ts';
import { type NameList, NamesSource } from './names.ts';
import { badManifest, StoredFile } from './stored-file.ts';

export interface SourceOptions {
  /** A list of names in a directory or behind a prefix: these and no others. */
  names?: NameList | undefined;
  /** With which S3 has encrypted the objects (SSE-C). A list of them is not encrypted so. */
  customerKey?: KeyObject | undefined;
  storeOf: (place: ObjectUrl) => Promise<Store>;
}

/**
 * `source` is an absolute path or a URL. Throws `source-not-found`, `source-not-a-directory`, `bad-url`, `bad-manifest`.
 */
export async function openMigrateSource(source: string, options: SourceOptions): Promise<MigrateSource> {
  const { names } = options;
  if (!isObjectUrl(source) && (await isDirectory(source))) {
    return names ? new NamesSource({ directory: source }, names) : new DirectorySource(source);
  }
  const place = isObjectUrl(source) ? parsePrefixUrl(source) : { directory: dirname(source), key: basename(source) };
  if (/(^|\/)manifest\.json$|\.csv$/.test(place.key)) return await openList(source, place, options);
  if (isObjectUrl(source) && 'directory' in place) {
    throw new SealiftError('usage', `The objects of a directory are no source of a migration: ${source}`, {
      hint: '`sealift ls` lists them, and `sealift get` opens each. A path without file:// is a directory of plain files.',
    });
  }
  if ('directory' in place) throw notADirectory(source, existsSync(join(place.directory, place.key)));
  return await openPrefix(place, options);
}

async function openPrefix(place: ObjectUrl, { names, customerKey, storeOf }: SourceOptions): Promise<MigrateSource> {
  const prefix = place.key.replace(/(?<=[^/])$/, '/');
  const store = (await storeOf(place)).withCustomerKey(customerKey);
  return names ? new NamesSource({ store, prefix }, names) : new BucketSource(store, prefix);
}

async function openList(source: string, place: ObjectUrl, options: SourceOptions): Promise<MigrateSource> {
  const { names, customerKey, storeOf } = options;
  if (names) {
    throw new SealiftError('usage', `${source} is a list of objects, and --files-from0 another`, {
      hint: 'Give one of them: names are of a directory or behind a prefix.',
    });
  }
  const file = await StoredFile.find(await storeOf(place), place.key);
  if (!file) throw new SealiftError('source-not-found', `There is no ${source}`, { hint: 'Check the spelling.' });
  const bucketOf = async (bucket: string) =>
    (await storeOf(parseBucketUrl(`s3://${bucket}`))).withCustomerKey(customerKey);
  if (place.key.endsWith('.csv')) return await BatchSource.open(file, bucketOf);
  const manifest = parseManifest(file.url, (await file.readAll()).toString());
  const fileAt = async (key: string) => {
    const at = 'directory' in place ? beside(place.directory, key) : { bucket: manifest.destination, key };
    const found = await StoredFile.find(await storeOf(at), at.key);
    if (found) return found;
    throw badManifest(file.url, `its file ${key} is missing`, `It was looked for at ${formatObjectUrl(at)}.`);
  };
  return new InventorySource(manifest, { store: await bucketOf(manifest.bucket), fileAt });
}

/** Where a data file is that was fetched with its manifest: as in the bucket, or in the same folder. */
function beside(folder: string, key: string): ObjectUrl {
  const name = basename(key);
  const data = join(folder, '../data');
  return { directory: existsSync(join(data, name)) ? data : folder, key: name };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

function notADirectory(source: string, isThere: boolean): SealiftError {
  if (isThere) {
    return new SealiftError('source-not-a-directory', `${source} is no directory`, { hint: '`put` seals one file.' });
  }
  return new SealiftError('source-not-found', `There is no directory ${source}`, {
    hint: 'Check the spelling; a relative path is taken from the folder the command was started in.',
  });
}
