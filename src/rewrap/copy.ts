/**
 * A server-side copy of an object onto its own name: no byte of it comes here. Up to 5 GiB S3 copies it in one request,
 * a larger one part by part. Every request names the version that is copied, and the last one the version that is
 * replaced: they are the same.
 */
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import type { Place } from '../job.ts';
import { runLanes } from '../parts/lanes.ts';
import type {
  CompletedUpload,
  Copies,
  CopySource,
  ObjectHeaders,
  ObjectInfo,
  StoredPart,
  WriteAnswer,
} from '../stores/store.ts';
import { GiB } from '../units.ts';

/** What S3 copies in one request (API_CopyObject.html). */
const MOST_AT_ONCE = 5 * GiB;
/** 5 TiB take no more than 10,000 of them, and one is copied in seconds. */
const PART_SIZE = GiB;
/** S3 does the work: a few requests at a time are enough to have it do several parts at once. */
const LANES = { count: 8 };

export interface CopyRequest {
  place: Place;
  /** The same place, under the key that the server has encrypted the object with until now. */
  source: Pick<Place, 'customerKey'>;
  copies: Copies;
  /** The version to be copied, and replaced. */
  info: ObjectInfo;
  headers: ObjectHeaders;
  signal: AbortSignal | undefined;
  /** Hears of an upload that could not be aborted. */
  warn: (message: string) => void;
}

/** Resolves to the answer, and how many requests copied bytes. Where it rejects nothing is left of the copy. */
export async function copyOver(request: CopyRequest): Promise<{ answer: WriteAnswer; parts: number }> {
  const { place, copies, info, headers, signal } = request;
  if (info.size > MOST_AT_ONCE) return await copyInParts(request);
  const condition = { ifMatch: info.etag };
  const answer = await copies.copyObject(place.key, { source: copySourceOf(request), headers, condition }, { signal });
  return { answer, parts: 1 };
}

async function copyInParts(request: CopyRequest): Promise<{ answer: WriteAnswer; parts: number }> {
  const { place, info, headers, signal, warn } = request;
  const { store, key, url } = place;
  const uploadId = await store.createUpload(key, { ...headers, signal });
  try {
    const upload = completed(request, uploadId, await copyParts(request, uploadId));
    const answer = await store.completeUpload(key, upload, { signal });
    return { answer, parts: Math.ceil(info.size / PART_SIZE) };
  } catch (error) {
    await store.abortUpload(key, uploadId).catch(({ message }: Error) => {
      warn(`Upload ${uploadId} of ${url} could not be aborted: ${message}`);
    });
    throw error;
  }
}

async function copyParts(request: CopyRequest, uploadId: string): Promise<StoredPart[]> {
  const { place, copies, info, signal } = request;
  const source = copySourceOf(request);
  const parts: StoredPart[] = [];
  const numbers = Array.from({ length: Math.ceil(info.size / PART_SIZE) }, (_, index) => index + 1);
  const complete = await runLanes({
    items: numbers,
    lanes: LANES,
    stop: signal,
    // Nothing of it can be gone on with.
    graceMs: 0,
    work: async (number, cut) => {
      const first = (number - 1) * PART_SIZE;
      const last = Math.min(first + PART_SIZE, info.size) - 1;
      parts.push(await copies.copyPart(place.key, { source, uploadId, number, first, last }, { signal: cut }));
    },
  });
  if (!complete) throw SealiftError.interrupted(signal!, `The copy of ${place.url}`);
  return parts.toSorted((a, b) => a.number - b.number);
}

function copySourceOf({ info: { etag, versionId }, source: { customerKey } }: CopyRequest): CopySource {
  return { etag, versionId, customerKey };
}

/** The whole checksum is that of the parts together, and must be the old object's where that has one. */
function completed({ place, info }: CopyRequest, uploadId: string, parts: StoredPart[]): CompletedUpload {
  const told = parts.map(({ number, etag, size, crc32 }) => {
    if (crc32 !== undefined) return { number, etag, size, crc32 };
    throw new SealiftError('checksum-mismatch', `The store told no checksum of part ${number} of ${place.url}`, {
      hint: 'It does not do all of S3 that a copy has to rely on. Get the object, and put it again.',
    });
  });
  const crc32 = told.reduce((whole, part) => combineCrc32(whole, part.crc32, part.size), 0);
  if (info.crc32 !== undefined && info.crc32 !== crc32) throw otherBytes(place.url);
  return { uploadId, parts: told, size: info.size, crc32, condition: { ifMatch: info.etag } };
}

export function otherBytes(url: string): SealiftError {
  return new SealiftError('checksum-mismatch', `The copy of ${url} does not have the checksum of what was copied`, {
    hint: 'Look at the object with `sealift verify` before you go on.',
  });
}
