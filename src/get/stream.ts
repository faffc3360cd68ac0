/**
 * A message as a stream: its header, and then its bytes in order. An object that lies in a store is read again from
 * where it broke off; what comes through a pipe comes once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SealiftError } from '../errors.ts';
import { decodeHeader, headerBytes, type MessageHeader } from '../formats/esdk/header.ts';
import type { Layout } from '../formats/esdk/layout.ts';
import { release } from '../formats/release.ts';
import type { Place } from '../job.ts';
import type { SealedObject } from './object.ts';
import type { FoundAt, OpenRules } from './unlock.ts';

export interface MessageStream {
  at: FoundAt;
  header: MessageHeader;
  /** Undefined where the bytes have not said it yet. */
  layout?: Layout | undefined;
  /** Sealed bytes behind the header, where known. */
  bodySize?: number | undefined;
  /** The bytes behind the header. Each chunk is good until the next one is asked for. */
  body: AsyncIterable<Uint8Array>;
}

/** Tries that a broken stream gets without any byte arriving between. */
const ATTEMPT_COUNT = 5;
const FIRST_PAUSE_MS = 200;

/** An object of a store, from its header on. */
export function streamOfObject(place: Place, object: SealedObject, signal: AbortSignal | undefined): MessageStream {
  const { info, header, layout } = object;
  const { length: headerSize } = headerBytes(header);
  return {
    at: { url: place.url, objectKey: place.key },
    header,
    layout,
    bodySize: info.size - headerSize,
    body: readOn(place, object, { first: headerSize, last: info.size - 1 }, signal),
  };
}

async function* readOn(
  { store, key }: Place,
  { info }: SealedObject,
  { first, last }: { first: number; last: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const version = { ifMatch: info.etag, versionId: info.versionId, signal };
  for (let position = first, attempt = 1; position <= last; attempt++) {
    try {
      for await (const chunk of await store.read(key, { first: position, last }, version)) {
        yield chunk;
        position += chunk.length;
        attempt = 1;
        release(chunk);
      }
    } catch (error) {
      const passing = error instanceof SealiftError && error.code === 'store-unavailable';
      if (!passing || attempt === ATTEMPT_COUNT) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}

/** What comes through a pipe: reads as much of it as the header takes. Throws not-sealed, bad-header, truncated. */
export async function streamOfPipe(
  chunks: AsyncIterable<Uint8Array>,
  { maxEncryptedDataKeys }: Pick<OpenRules, 'maxEncryptedDataKeys'>,
): Promise<MessageStream> {
  const rest = chunks[Symbol.asyncIterator]();
  let start: Buffer = Buffer.alloc(0);
  for (;;) {
    const header = decodeHeader(start, { maxEncryptedDataKeys });
    if (header) {
      const behind = start.subarray(headerBytes(header).length);
      return { at: { url: '-' }, header, body: followedBy(behind, rest) };
    }
    const next = await nextOf(rest);
    if (!next) throw endsInHeader(start.length);
    start = Buffer.concat([start, next]);
  }
}

async function* followedBy(first: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    for (let next = await nextOf(rest); next; next = await nextOf(rest)) yield next;
  } finally {
    await rest.return?.();
  }
}

/** The next chunk, undefined at the end. */
async function nextOf(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await chunks.next();
    return done ? undefined : value;
  } catch (error) {
    if (error instanceof SealiftError) throw error;
    if ((error as Error).name === 'AbortError') throw new SealiftError('interrupted', 'Interrupted', { cause: error });
    throw new SealiftError('source-unreadable', `The pipe cannot be read: ${(error as Error).message}`, {
      hint: 'Look at what the command before it says.',
      cause: error,
    });
  }
}

function endsInHeader(size: number): SealiftError {
  if (size === 0) {
    return new SealiftError('not-sealed', 'Nothing came through the pipe', {
      hint: 'Look at what the command before it says.',
    });
  }
  return new SealiftError('truncated', `The message ends inside its header, after ${size} bytes`, {
    hint: 'The command before the pipe did not send all of it.',
  });
}
