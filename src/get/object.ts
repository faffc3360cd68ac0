/**
 * The object to be opened: found, its header read, its layout known. None of it is to be trusted before the key says so
 * (unlock.ts).
 */
import { SealiftError } from '../errors.ts';
import { decodeHeader, headerBytes, MAX_HEADER_SIZE, type MessageHeader } from '../formats/esdk/header.ts';
import { type Layout, layoutOfObject } from '../formats/esdk/layout.ts';
import { footerSizeOf, MAX_FOOTER_SIZE } from '../formats/esdk/signature.ts';
import { isUnsealed } from '../formats/plain/mark.ts';
import type { ObjectHeader } from '../formats/s3ec/header.ts';
import { DEFAULT_PART_SIZE, layoutOf, type Layout as S3ecLayout } from '../formats/s3ec/layout.ts';
import type { Place } from '../job.ts';
import { ID_METADATA } from '../parts/written.ts';
import { readWhole } from '../stores/object-stream.ts';
import type { ObjectInfo, Store } from '../stores/store.ts';
import { KiB } from '../units.ts';
import { headerOr, layoutOfSealed } from './s3ec-header.ts';
import type { OpenRules } from './unlock.ts';

/** Bytes the first request asks for: a header has some 400, and a few more cost nothing. */
const FIRST_READ_SIZE = 16 * KiB;

export type SealedObject = EsdkObject | S3ecObject;

export interface EsdkObject {
  format: 'esdk';
  info: ObjectInfo;
  header: MessageHeader;
  /** Of a signed message, without its signature. */
  layout: Layout;
}

export interface S3ecObject {
  format: 's3ec';
  info: ObjectInfo;
  header: ObjectHeader;
  hasInstructionFile: boolean;
  layout: S3ecLayout;
}

/** An object that was put with `--seal none`. */
export interface UnsealedObject {
  format: 'plain';
  info: ObjectInfo;
  layout: S3ecLayout;
}

export type FoundObject = SealedObject | UnsealedObject;

/** An object that cannot be opened in pieces: a signature, or a chain of blocks, goes through all of it. */
export function isInOrder({ format, header }: SealedObject): boolean {
  return format === 'esdk' ? header.suite.signature !== undefined : header.suite.tagSize === 0;
}

export type FindOptions = Pick<OpenRules, 'maxEncryptedDataKeys'> & {
  versionId?: string | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Finds the object and reads its header: all that can be known without a key. Throws object-not-found, not-sealed,
 * object-unsealed, bad-header.
 */
export async function findObject(place: Place, options: FindOptions = {}): Promise<SealedObject> {
  const found = await findAny(place, options);
  if (found.format === 'plain') throw unsealed(place.url);
  return found;
}

/** As `findObject`, of what is not sealed too, where it says that Sealift wrote it so. */
export async function findAny(place: Place, options: FindOptions = {}): Promise<FoundObject> {
  return await lookInto(place, await findInfo(place, options), options);
}

/** Throws object-not-found. */
export async function findInfo(place: Place, { signal, versionId }: FindOptions): Promise<ObjectInfo> {
  const info = await place.store.head(place.key, { signal, versionId });
  if (!info) throw notFound(place.url, versionId);
  return info;
}

/** Reads the header of an object that was found. Throws not-sealed, bad-header. */
export async function lookInto(place: Place, info: ObjectInfo, options: FindOptions): Promise<FoundObject> {
  const { signal } = options;
  if (isUnsealed(info.metadata)) {
    return { format: 'plain', info, layout: layoutOf({ plainSize: info.size, partSize: DEFAULT_PART_SIZE }) };
  }
  const found = await headerOr(place, info.metadata, () => findMessage(place, info, options), signal);
  if ('format' in found) return found;
  return { format: 's3ec', info, ...found, layout: layoutOfSealed(found.header, info.size) };
}

async function findMessage(place: Place, info: ObjectInfo, options: FindOptions): Promise<EsdkObject> {
  const header = await readHeader(place, info, options);
  const tail = header.suite.signature ? await readTail(place, info, options.signal) : undefined;
  return { format: 'esdk', info, header, layout: layoutOfMessage({ url: place.url, header, size: info.size, tail }) };
}

function notFound(url: string, versionId: string | undefined): SealiftError {
  if (versionId === undefined) {
    return new SealiftError('object-not-found', `There is no object ${url}`, {
      hint: 'Check bucket and key; keys are case-sensitive and have no leading slash.',
    });
  }
  return new SealiftError('object-not-found', `There is no version ${versionId} of the object ${url}`, {
    hint: 'Only buckets have versions: `aws s3api list-object-versions` shows them.',
  });
}

/** For a source that is a pipe. Throws `bad-option`. */
export function refuseVersion({ versionId }: Pick<FindOptions, 'versionId'>): void {
  if (versionId === undefined) return;
  throw new SealiftError('bad-option', 'What comes through a pipe has no versions', {
    hint: 'Leave --version-id away, or name the object.',
  });
}

/** The last bytes, in which the footer of a signed message is. */
function readTail(place: Place, info: ObjectInfo, signal: AbortSignal | undefined): Promise<Buffer> {
  const range = { first: Math.max(0, info.size - MAX_FOOTER_SIZE), last: info.size - 1 };
  return readRange(place, info, range, signal);
}

/** The layout of a message of `size` bytes. Of a signed one, whose footer is of no fixed size, `tail` are the last bytes. */
export function layoutOfMessage(message: {
  url: string;
  header: MessageHeader;
  size: number;
  tail?: Buffer | undefined;
}): Layout {
  const { url, header, size, tail } = message;
  const footerSize = header.suite.signature && tail ? footerSizeOf(tail) : 0;
  if (footerSize === undefined) {
    throw new SealiftError('truncated', `${url} is a signed message, and does not end with a signature`, {
      hint: 'The object was cut short, or bytes were added to it. Nothing of it was released.',
    });
  }
  const { length: headerSize } = headerBytes(header);
  return layoutOfObject({ sealedSize: size - footerSize, headerSize, frameSize: header.frameSize });
}

async function readHeader(
  place: Place,
  info: ObjectInfo,
  { signal, maxEncryptedDataKeys }: FindOptions,
): Promise<MessageHeader> {
  for (let size = FIRST_READ_SIZE; ; size = Math.min(size * 8, MAX_HEADER_SIZE)) {
    const last = Math.min(size, info.size) - 1;
    const bytes = last < 0 ? Buffer.alloc(0) : await readRange(place, info, { first: 0, last }, signal);
    const header = decodeMarked(bytes, place, info, { maxEncryptedDataKeys });
    if (header) return header;
    if (bytes.length === info.size) {
      throw info.metadata[ID_METADATA] === undefined ? notSealed(place.url) : truncatedHeader(place.url);
    }
  }
}

/** An object that carries our mark but does not begin like a message is damaged, not foreign. */
function decodeMarked(
  bytes: Buffer,
  { store, key }: Place,
  info: ObjectInfo,
  limits: FindOptions,
): MessageHeader | undefined {
  try {
    return decodeHeader(bytes, limits);
  } catch (error) {
    if (!(error instanceof SealiftError) || error.code !== 'not-sealed') throw error;
    if (info.metadata[ID_METADATA] === undefined) throw notSealed(store.url(key), error);
    throw new SealiftError('bad-header', `${store.url(key)} was sealed by Sealift, but its first bytes are damaged`, {
      hint: 'Fetch another version or another copy of it.',
      cause: error,
    });
  }
}

/** Reads a small range whole. */
export async function readRange(
  { store, key }: { store: Store; key: string },
  info: ObjectInfo,
  range: { first: number; last: number },
  signal?: AbortSignal,
): Promise<Buffer> {
  return readWhole(await store.read(key, range, { ifMatch: info.etag, versionId: info.versionId, signal }));
}

function notSealed(url: string, cause?: SealiftError): SealiftError {
  return new SealiftError('not-sealed', `${url} is not a sealed object`, {
    hint: cause?.hint ?? 'It is too short for an AWS Encryption SDK message.',
    cause,
  });
}

function unsealed(url: string): SealiftError {
  return new SealiftError('object-unsealed', `${url} was put with --seal none: nothing of it can be authenticated`, {
    hint: 'Whoever may write there could have written it. To have its bytes all the same, give `sealift get` --seal none. To have it sealed, put those again.',
  });
}

function truncatedHeader(url: string): SealiftError {
  return new SealiftError('truncated', `${url} ends inside its header`, {
    hint: 'Fetch another version or another copy of it.',
  });
}
