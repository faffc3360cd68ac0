/**
 * The bytes of one ranged GetObject. What was answered must be what was asked, or nothing is read; a connection that
 * is lost or stalls midway rejects the loop. Whoever opens a stream must loop over it: until then, and until the loop
 * ends or is left, it holds a connection.
 */
import { SealiftError } from '../errors.ts';
import type { Body } from './http1/body.ts';
import type { ObjectStream } from './store.ts';

/** As the SDK has it. */
interface Answer {
  body: Body;
  ContentRange?: string | undefined;
  ContentLength?: number | undefined;
  ETag?: string | undefined;
  VersionId?: string | undefined;
  Metadata?: Record<string, string> | undefined;
}

interface Request {
  range: { first: number; last: number };
  url: string;
  ifMatch?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Throws `store-error`, or `object-changed`, and drops the connection where the answer is for another range or object. */
export function openS3Stream(answer: Answer, request: Request): ObjectStream {
  const { body } = answer;
  const served = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? '');
  const [first, last, objectSize] = (served ?? []).slice(1).map(Number) as [number, number, number];
  const size = last - first + 1;
  const { range, url, signal } = request;
  if (first !== range.first || last !== Math.min(range.last, objectSize - 1) || answer.ContentLength !== size) {
    body[Symbol.dispose]();
    throw new SealiftError(
      'store-error',
      `GetObject ${url}: asked for bytes ${range.first} to ${range.last}, was answered ${answer.ContentRange ?? 'without a range'}`,
      {
        hint: 'The endpoint, or something before it, does not serve ranges as S3 does.',
      },
    );
  }
  if (request.ifMatch !== undefined && answer.ETag !== request.ifMatch) {
    body[Symbol.dispose]();
    throw new SealiftError('object-changed', `GetObject ${url}: another object was answered`, {
      hint: 'It was replaced meanwhile, and the server does not know If-Match. Run the same command again.',
    });
  }
  let received = 0;
  async function readInto(bytes: Uint8Array): Promise<number> {
    let count = 0;
    let cause: unknown;
    try {
      count = await body.readInto(bytes);
    } catch (thrown) {
      cause = thrown;
    }
    if (signal?.aborted) throw SealiftError.interrupted(signal, `GetObject ${url}`);
    received += count;
    if (count > 0 || received === size) return count;
    const why = cause instanceof Error ? cause.message : 'the connection was closed';
    throw new SealiftError('store-unavailable', `GetObject ${url}: ${received} of ${size} bytes came: ${why}`, {
      hint: 'Run the same command again; what has arrived is kept.',
      cause,
    });
  }
  return {
    size,
    objectSize,
    etag: answer.ETag ?? '',
    versionId: answer.VersionId,
    metadata: async () => answer.Metadata ?? {},
    readInto,
    [Symbol.dispose]: () => body[Symbol.dispose](),
  };
}

/** The body of what the SDK was answered. */
export function bodyOf(message: AsyncIterable<Uint8Array> & { destroy(): unknown }): Body {
  const chunks = message[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  return {
    async readInto(bytes) {
      if (rest.length === 0) rest = (await chunks.next()).value ?? rest;
      const piece = rest.subarray(0, bytes.length);
      bytes.set(piece);
      rest = rest.subarray(piece.length);
      return piece.length;
    },
    [Symbol.dispose]: () => message.destroy(),
  };
}
