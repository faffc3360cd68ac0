/**
 * The object to be opened: found, its header read and authenticated, its name checked, its layout known. Nothing here
 * needs more than the header, and nothing here is trusted before the key says so.
 */
import { SealiftError } from '../errors.ts';
import {
  authenticateHeader,
  decodeHeader,
  headerBytes,
  MAX_HEADER_SIZE,
  type MessageHeader,
} from '../formats/esdk/header.ts';
import { checkCommitment, deriveMessageKeys } from '../formats/esdk/keys.ts';
import { type Layout, layoutOfObject } from '../formats/esdk/layout.ts';
import { isBoundTo, NAME_MARKER } from '../formats/esdk/message-id.ts';
import type { Place, Tools } from '../job.ts';
import type { Message } from '../parts/task.ts';
import { ID_METADATA } from '../put/attempt.ts';
import type { ObjectInfo, Store } from '../stores/store.ts';
import { KiB } from '../units.ts';

/** Bytes the first request asks for: a header has some 400, and a few more cost nothing. */
const FIRST_READ_SIZE = 16 * KiB;

export interface SealedObject {
  info: ObjectInfo;
  header: MessageHeader;
  layout: Layout;
}

/** Finds the object and reads its header: all that can be known without a key. Throws object-not-found, not-sealed, bad-header. */
export async function findObject(
  place: Place,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<SealedObject> {
  const info = await place.store.head(place.key, options);
  if (!info) {
    throw new SealiftError('object-not-found', `There is no object ${place.url}`, {
      hint: 'Check bucket and key; keys are case-sensitive and have no leading slash.',
    });
  }
  const header = await readHeader(place, info, options);
  const headerSize = headerBytes(header).length;
  return { info, header, layout: layoutOfObject({ sealedSize: info.size, headerSize, frameSize: header.frameSize }) };
}

/**
 * Unwraps the data key and authenticates the header with it. Throws wrong-key, bad-header, and `object-relocated`
 * where the message says it is bound to a name and `place` has another.
 */
export async function unlockObject(
  { header, layout }: SealedObject,
  place: Place,
  tools: Tools,
  options: { allowRelocated?: boolean | undefined; signal?: AbortSignal | undefined },
): Promise<Message> {
  const { encryptionContext, encryptedDataKeys, messageId } = header;
  using dataKey = await tools.keyring.openDataKey({ encryptionContext, encryptedDataKeys, signal: options.signal });
  const keys = deriveMessageKeys({ dataKey: dataKey.bytes, messageId });
  checkCommitment(header, keys);
  authenticateHeader(header, keys);
  const bound = encryptionContext[NAME_MARKER[0]] === NAME_MARKER[1];
  if (bound && !options.allowRelocated && !isBoundTo(messageId, place.key)) {
    throw new SealiftError('object-relocated', `${place.url} was sealed under another name`, {
      hint: 'Somebody moved or swapped it. If you moved it yourself, give --allow-relocated.',
    });
  }
  return { layout, messageId, keys };
}

async function readHeader(
  place: Place,
  info: ObjectInfo,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<MessageHeader> {
  for (let size = FIRST_READ_SIZE; ; size = Math.min(size * 8, MAX_HEADER_SIZE)) {
    const last = Math.min(size, info.size) - 1;
    const bytes = last < 0 ? Buffer.alloc(0) : await readRange(place, info, { first: 0, last }, signal);
    const header = decodeMarked(bytes, place, info);
    if (header) return header;
    if (bytes.length === info.size) {
      throw info.metadata[ID_METADATA] === undefined ? notSealed(place.url) : truncatedHeader(place.url);
    }
  }
}

/** An object that carries our mark but does not begin like a message is damaged, not foreign. */
function decodeMarked(bytes: Buffer, { store, key }: Place, info: ObjectInfo): MessageHeader | undefined {
  try {
    return decodeHeader(bytes);
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
  const chunks: Uint8Array[] = [];
  for await (const chunk of await store.read(key, range, { ifMatch: info.etag, versionId: info.versionId, signal })) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function notSealed(url: string, cause?: SealiftError): SealiftError {
  return new SealiftError('not-sealed', `${url} is not a sealed object`, {
    hint: cause?.hint ?? 'It is too short for an AWS Encryption SDK message.',
    cause,
  });
}

function truncatedHeader(url: string): SealiftError {
  return new SealiftError('truncated', `${url} ends inside its header`, {
    hint: 'Fetch another version or another copy of it.',
  });
}
