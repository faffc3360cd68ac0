/**
 * What a put reads by ranges, as often as it has to: a file, or an object of a store, plain or sealed. How it is found is
 * told elsewhere (put/find-source.ts, reseal/source.ts); here is what its attempts, parts and headers need of it.
 */
import { SealiftError } from '../errors.ts';
import { accessTo, type Place } from '../job.ts';
import type { ObjectIdentity, SourceIdentity } from '../ledger/types.ts';
import { MODE_METADATA } from '../mode.ts';
import { MTIME_METADATA, mtimeText, SOURCE_SIZE_METADATA } from '../mtime.ts';
import { openedSizeOf } from '../parts/open-source.ts';
import type { ObjectContents, PartSource, PipedPart } from '../parts/task.ts';
import type { ObjectHeaders } from '../stores/store.ts';
import type { Attempt } from './attempt.ts';

/** User metadata that tells which object a sealed one was made of. */
export const SOURCE_ETAG_METADATA = 'sealift-source-etag';

/** Whether it stands in quotes depends on who tells it. */
export function bareEtag(etag: string): string {
  return etag.replaceAll('"', '');
}

/** What can be read again by ranges. */
export type RangedSource = SourceIdentity | ObjectSource;

/** What a part can be made of at once: all but a pipe's. */
export type RangedPart = Exclude<PartSource, PipedPart>;

export interface ObjectSource extends ObjectContents {
  object: ObjectIdentity;
  place: Place;
  /** What the sealed object has from it, unless it is asked to have something else. */
  kept?: Pick<ObjectHeaders, 'metadata' | 'contentType' | 'tags' | 'inherited'> | undefined;
}

/** What the ledger keeps of it. */
export function identityOf(source: RangedSource): SourceIdentity | ObjectIdentity {
  return 'object' in source ? source.object : source;
}

/** What the metadata tells by which a file is known again, if nobody has written to it since. */
export function factsOf({ mtimeNs, size }: Pick<SourceIdentity, 'mtimeNs' | 'size'>): Record<string, string> {
  return { [MTIME_METADATA]: mtimeText(mtimeNs), [SOURCE_SIZE_METADATA]: String(size) };
}

/** What the sealed object's metadata tells of it. */
export function metadataOf(source: RangedSource): Record<string, string> {
  if (!('object' in source)) return { ...factsOf(source), [MODE_METADATA]: source.mode };
  const { mtime, size } = source.object;
  return { ...(mtime === undefined ? {} : { [MTIME_METADATA]: mtime }), [SOURCE_SIZE_METADATA]: String(size) };
}

/** Plain bytes of it that may be held to seal `wanted` of them; undefined where none are, because they are sealed as they come. */
export function heldSizeOf(source: RangedSource | undefined, wanted: number): number | undefined {
  const message = source && 'object' in source ? source.message : undefined;
  return message && openedSizeOf(message, wanted);
}

/** SHA-256, by part number. */
export type PartDigests = ReadonlyMap<number, Uint8Array>;

/** Where a part's bytes come from, and what they must be: a part that nobody proved is not sent. */
export async function sourceOfPart(
  { source, digests }: Pick<Attempt, 'source' | 'digests'>,
  number: number,
): Promise<RangedPart> {
  if (!('object' in source!)) return source!;
  const { object, message, crc32, place } = source;
  const digest = digests?.get(number);
  if (digests && !digest) throw new SealiftError('internal', `Part ${number} was not proven`);
  return { object, message, crc32, digest, store: await accessTo(place), objectKey: place.key };
}
