/**
 * A small object, fetched whole and held: what it is shows in its own bytes and metadata, and once its keys have come it is
 * opened in memory, so that nothing of it is handed on before all of it is proven.
 */
import { SealiftError } from '../errors.ts';
import { decodeHeader as decodeMessage, headerBytes, type MessageHeader } from '../formats/esdk/header.ts';
import type { MessageKeys } from '../formats/esdk/keys.ts';
import { MessageOpener } from '../formats/esdk/open-message.ts';
import { verifierFor } from '../formats/esdk/signature.ts';
import { isUnsealed } from '../formats/plain/mark.ts';
import { INSTRUCTION_FILE_MARK } from '../formats/s3ec/encode-header.ts';
import { decodeHeader, headerPlace, type ObjectHeader } from '../formats/s3ec/header.ts';
import type { ObjectKeys } from '../formats/s3ec/keys.ts';
import { ObjectOpener } from '../formats/s3ec/open-object.ts';
import { readWhole } from '../stores/object-stream.ts';
import type { Store } from '../stores/store.ts';

/** What is to be fetched. */
export interface WantedObject {
  objectKey: string;
  /** As the listing has it. */
  size: number;
  /** Any where the listing does not say. */
  etag?: string | undefined;
  versionId?: string | undefined;
}

export interface HeldObject<Kind extends Contents = Contents> {
  bytes: Buffer;
  etag: string;
  versionId?: string | undefined;
  metadata: Readonly<Record<string, string>>;
  contents: Kind;
}

/** One that keys open. */
export type LockedObject = HeldObject<Extract<Contents, { header: unknown }>>;

/** What an object is, by what it says of itself. */
export type Contents =
  | { format: 'esdk'; header: MessageHeader }
  | { format: 's3ec'; header: ObjectHeader }
  /** Written so by Sealift, with `--seal none`. */
  | { format: 'plain' }
  /** An instruction file: what opens another object. */
  | { format: 'instructions' }
  /** Nothing says. Perhaps an instruction file does. */
  | { format: 'unknown' };

/** What its keys are found by: of a message the header, else the metadata. */
export type Locked =
  | { format: 'esdk'; header: Uint8Array }
  | { format: 's3ec'; metadata: Readonly<Record<string, string>> };

export type Keys = MessageKeys | ObjectKeys;

/** Throws `object-changed` where it is another than was listed, `bad-header`, and what reading throws. */
export async function fetchWhole(
  store: Store,
  { objectKey, size, etag, versionId }: WantedObject,
  signal: AbortSignal,
): Promise<HeldObject> {
  // What has no bytes is nothing that was sealed, and has no range.
  const stream = await store.read(objectKey, { first: 0, last: size - 1 }, { ifMatch: etag, versionId, signal });
  const bytes = await readWhole(stream);
  if (stream.objectSize !== size) throw changed(store.url(objectKey));
  const metadata = await stream.metadata();
  const contents = contentsOf(bytes, metadata);
  return { bytes, etag: stream.etag, versionId: stream.versionId, metadata, contents };
}

function contentsOf(bytes: Buffer, metadata: HeldObject['metadata']): Contents {
  if (isUnsealed(metadata)) return { format: 'plain' };
  if (INSTRUCTION_FILE_MARK in metadata) return { format: 'instructions' };
  const place = headerPlace(metadata);
  if (place === 'object') return { format: 's3ec', header: decodeHeader(metadata) };
  if (place === 'instruction-file') return { format: 'unknown' };
  try {
    const header = decodeMessage(bytes);
    return header ? { format: 'esdk', header } : { format: 'unknown' };
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code !== 'not-sealed' && code !== 'bad-header') throw error;
    return { format: 'unknown' };
  }
}

/** It is sealed, and says with which keys. */
export function isLocked(held: HeldObject): held is LockedObject {
  return 'header' in held.contents;
}

export function lockedOf({ contents, metadata }: LockedObject): Locked {
  return contents.format === 'esdk'
    ? { format: 'esdk', header: headerBytes(contents.header) }
    : { format: 's3ec', metadata };
}

/** Its plain bytes, all of them proven; but for AES-CBC, which nothing proves. Throws as openers do. */
export function openHeld({ bytes, contents }: LockedObject, keys: Keys): Buffer {
  if (contents.format === 'esdk') {
    const { header } = contents;
    const sealed = bytes.subarray(headerBytes(header).length);
    const means = { verifier: verifierFor(header), reserve: () => {}, sealedSize: sealed.length };
    return openedBy(new MessageOpener({ header, keys: keys as MessageKeys, ...means }), sealed);
  }
  return openedBy(new ObjectOpener(contents.header, keys as ObjectKeys), bytes);
}

/** What is given is good until more is asked for. */
function openedBy(opener: Pick<MessageOpener, 'push' | 'finish'> | ObjectOpener, sealed: Buffer): Buffer {
  const plain: Buffer[] = [];
  for (const piece of opener.push(sealed)) plain.push(Buffer.from(piece));
  plain.push(Buffer.from(opener.finish()));
  return Buffer.concat(plain);
}

function changed(url: string): SealiftError {
  return new SealiftError('object-changed', `${url} is not the object that was listed`, {
    hint: 'It was replaced meanwhile. Run the same command again.',
  });
}
