/**
 * A message as a stream: its header, and then its bytes in order. An object that lies in a store is read again from
 * where it broke off; what comes through a pipe comes once.
 */
import { SealiftError } from '../errors.ts';
import { decodeHeader, headerBytes, type MessageHeader } from '../formats/esdk/header.ts';
import type { ObjectHeader } from '../formats/s3ec/header.ts';
import { sliceSizeOf } from '../formats/units.ts';
import type { Place } from '../job.ts';
import { modeOf } from '../mode.ts';
import { mtimeOf } from '../mtime.ts';
import { PipeSource } from '../parts/pipe-source.ts';
import { readOn } from '../parts/read-on.ts';
import type { SealedObject } from './object.ts';
import type { SourceTime } from './target.ts';
import type { FoundAt, OpenRules } from './unlock.ts';

export type MessageStream = Contents & Body;

/** A header, by its format. */
type Contents = { format: 'esdk'; header: MessageHeader } | { format: 's3ec'; header: ObjectHeader };

interface Body {
  at: FoundAt;
  /** Undefined where the bytes have not said it yet. */
  plainSize?: number | undefined;
  /** Sealed bytes of the header, which are not in `body`. */
  headerSize: number;
  /** Sealed bytes behind the header, where known. */
  bodySize?: number | undefined;
  /** The time its source had, where it was kept. */
  mtime?: SourceTime['time'];
  /** Its permissions, likewise. */
  mode?: number | undefined;
  /** The bytes behind the header. Each chunk is good until the next one is asked for. */
  body: AsyncIterable<Uint8Array>;
  /** The pipe it comes through, to be let go whether its body was read or not. */
  pipe?: Disposable | undefined;
}

/** An object of a store, from its header on. */
export function streamOfObject(place: Place, object: SealedObject, signal: AbortSignal | undefined): MessageStream {
  const { info } = object;
  const headerSize = object.format === 'esdk' ? headerBytes(object.header).length : 0;
  const asked = { ifMatch: info.etag, versionId: info.versionId, sliceSize: sliceSizeOf(object), signal };
  return {
    at: { url: place.url, objectKey: place.key },
    ...contentsOf(object),
    plainSize: object.layout.plainSize,
    headerSize,
    bodySize: info.size - headerSize,
    mtime: mtimeOf(info),
    mode: modeOf(info),
    body: readOn(place, { first: headerSize, last: info.size - 1 }, asked),
  };
}

function contentsOf(object: SealedObject): Contents {
  const { format, header } = object;
  return format === 'esdk' ? { format, header } : { format, header };
}

/**
 * What comes through a pipe: reads as much of it as the header takes. Throws not-sealed, bad-header, truncated,
 * source-failed, interrupted, and has then let the pipe go.
 */
export async function streamOfPipe(
  chunks: AsyncIterable<Uint8Array>,
  { maxEncryptedDataKeys, signal }: Pick<OpenRules, 'maxEncryptedDataKeys'> & { signal?: AbortSignal | undefined },
): Promise<Extract<MessageStream, { format: 'esdk' }>> {
  const pipe = new PipeSource(chunks);
  pipe.stopOn(signal, () => SealiftError.interrupted(signal!, 'The pipe'));
  try {
    let start: Buffer = Buffer.alloc(0);
    for (;;) {
      const header = decodeHeader(start, { maxEncryptedDataKeys });
      if (header) {
        const { length: headerSize } = headerBytes(header);
        const behind = start.subarray(headerSize);
        return { at: { url: '-' }, format: 'esdk', header, headerSize, body: followedBy(behind, pipe), pipe };
      }
      const next = await pipe.next();
      if (!next) throw endsInHeader(start.length);
      start = Buffer.concat([start, next]);
    }
  } catch (error) {
    pipe[Symbol.dispose]();
    throw error;
  }
}

async function* followedBy(first: Buffer, pipe: PipeSource): AsyncGenerator<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    for (let next = await pipe.next(); next; next = await pipe.next()) yield next;
  } finally {
    pipe[Symbol.dispose]();
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
