/**
 * What a put is to read, found: a file, or an object of a store. An object that is sealed, in any format we read, is opened
 * and sealed anew; any other is taken for plain bytes. The version that is found here is the one that is read, and no other:
 * every request names it by its ETag.
 */
import type { KeyObject } from 'node:crypto';
import { resolve } from 'node:path';
import { isDenied, SealiftError } from '../errors.ts';
import type { Cut } from '../formats/message.ts';
import { SEAL_METADATA } from '../formats/plain/mark.ts';
import { HEADER_NAMES, headerPlace } from '../formats/s3ec/header.ts';
import { findInfo, lookInto, type SealedObject } from '../get/object.ts';
import { checkRules, type OpenRules } from '../get/unlock.ts';
import { type Place, type RunOptions, type Tools, underKey } from '../job.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { SourceIdentity } from '../ledger/types.ts';
import { MTIME_METADATA, mtimeText } from '../mtime.ts';
import { checkedStream } from '../parts/pipe-source.ts';
import { openSource as openFile } from '../parts/source.ts';
import { ID_METADATA } from '../parts/written.ts';
import type { Progress } from '../progress.ts';
import { proveParts } from '../reseal/proof.ts';
import { openSource } from '../reseal/source.ts';
import type { InheritedHeaders, KeptHeaders, ObjectInfo } from '../stores/store.ts';
import { bareEtag, type ObjectSource, type PartDigests, type RangedSource, SOURCE_ETAG_METADATA } from './source.ts';

/** How an object is read that is a source. */
export interface SourceOptions extends OpenRules {
  /** Of an S3 bucket with versions: this one, instead of the newest. */
  versionId?: string | undefined;
  /** With which S3 has encrypted it (SSE-C). */
  customerKey?: KeyObject | undefined;
}

export interface FoundSource {
  source: RangedSource;
  /** Its path, or its URL. */
  name: string;
  /** Of what proves itself only as a whole: has it do so (put.ts). */
  prove?: (cut: Cut) => Promise<PartDigests>;
}

interface Finding {
  tools: Tools;
  progress: Progress;
  /** Opens what is sealed. */
  opener: Keyring;
}

/** A stream or an object as it is, and a path so that it says the same wherever its job is gone on with. */
export function filed(source: string | AsyncIterable<Uint8Array>): string | AsyncIterable<Uint8Array> {
  return typeof source === 'string' ? filedPath(source) : checkedStream(source);
}

/** As `filed`, of what is no stream. */
export function filedPath(source: string): string {
  return isObjectUrl(source) ? source : resolve(source);
}

/** Whether a source is an object, and no file. */
export function isObjectUrl(source: string): boolean {
  return /^(s3|file):\/\//.test(source);
}

export async function identifyFile(path: string): Promise<SourceIdentity> {
  const { file, identity } = await openFile(path);
  await file.close();
  return identity;
}

/** Throws `object-not-found`, `cannot-carry`, and what opening throws. */
export async function findObjectSource(
  url: string,
  options: SourceOptions & Pick<RunOptions, 'signal'>,
  finding: Finding,
): Promise<FoundSource> {
  checkRules(options);
  const { progress } = finding;
  const place = underKey(await finding.tools.place(url), options.customerKey);
  const info = await findInfo(place, options);
  const object = await lookIfSealed(place, info, options);
  const found = object ? await openSealed(place, object, options, finding) : { source: plainSource(place, info) };
  const kept = await headersOf(place, info, { options, progress });
  const identity = { ...found.source.object, mtime: keptTimeOf(info) };
  return { ...found, source: { ...found.source, object: identity, kept }, name: place.url };
}

/**
 * Undefined for an object of neither format: its bytes are plain. One in 256 of them begins with the byte that messages begin
 * with, and then does not go on as one.
 */
async function lookIfSealed(place: Place, info: ObjectInfo, options: SourceOptions): Promise<SealedObject | undefined> {
  try {
    const found = await lookInto(place, info, options);
    return found.format === 'plain' ? undefined : found;
  } catch (error) {
    const { code } = SealiftError.from(error);
    const saysSo = info.metadata[ID_METADATA] !== undefined || headerPlace(info.metadata) !== 'none';
    if (code === 'not-sealed' || (code === 'bad-header' && !saysSo)) return undefined;
    throw error;
  }
}

function plainSource(place: Place, { size, etag, versionId, crc32 }: ObjectInfo): ObjectSource {
  return { object: { url: place.url, size, etag, versionId }, place, crc32 };
}

async function openSealed(
  place: Place,
  object: SealedObject,
  options: SourceOptions & Pick<RunOptions, 'signal'>,
  { tools: { budget }, progress, opener }: Finding,
): Promise<Pick<FoundSource, 'prove'> & { source: ObjectSource }> {
  const { signal } = options;
  const rules = { ...options, onCall: progress.countKmsCall };
  const { source, openWhole } = await openSource(place, object, rules, { opener, sealer: opener, budget });
  if (!openWhole) return { source };
  return { source, prove: (cut) => proveParts(place, object, cut, { opener: openWhole(), progress, budget, signal }) };
}

/** What its metadata says, as every writer of such metadata has it; else when it was stored. */
export function keptTimeOf({
  metadata,
  lastModified,
}: Pick<ObjectInfo, 'metadata' | 'lastModified'>): string | undefined {
  return metadata[MTIME_METADATA] ?? (lastModified && mtimeText(`${lastModified.getTime()}000000`));
}

/** Metadata that is about the source as it is sealed or stored, and not about its bytes. */
const LEFT_BEHIND: readonly string[] = [ID_METADATA, MTIME_METADATA, SEAL_METADATA, ...HEADER_NAMES];

/** What the new object has from the source. Throws `cannot-carry`, and `object-changed` where it is another by now. */
async function headersOf(
  place: Place,
  info: ObjectInfo,
  { options: { signal }, progress }: { options: Pick<RunOptions, 'signal'>; progress: Progress },
): Promise<ObjectSource['kept']> {
  const there = await readHeaders(place, info, { signal, progress });
  if (there.etag !== info.etag) {
    throw new SealiftError('object-changed', `${place.url} was replaced meanwhile`, {
      hint: 'Run the same command again.',
    });
  }
  return keptOf(there);
}

/** What an object has from another, whose headers these are. */
export function keptOf({ etag, metadata, contentType, tags, inherited }: KeptHeaders): ObjectSource['kept'] {
  const names = Object.entries(metadata).filter(([name]) => !LEFT_BEHIND.includes(name));
  const itself = { [SOURCE_ETAG_METADATA]: bareEtag(etag) };
  return {
    metadata: { ...Object.fromEntries(names), ...itself },
    contentType,
    tags,
    inherited: contentHeaders(inherited),
  };
}

async function readHeaders(
  { store, key, url }: Place,
  info: ObjectInfo,
  { signal, progress }: Pick<RunOptions, 'signal'> & { progress: Progress },
): Promise<KeptHeaders> {
  try {
    return await store.headers(key, { versionId: info.versionId, signal });
  } catch (error) {
    if (!isDenied(error)) throw error;
    progress.warn(`The tags of ${url} may not be read (s3:GetObjectTagging): the new object has none of them`);
    return info;
  }
}

/** Where it is locked, and where it leads to, is not for another place. */
function contentHeaders({ retention, legalHold, redirect, ...content }: InheritedHeaders = {}): InheritedHeaders {
  return content;
}
