/**
 * `get`: a sealed object comes back, in parallel, and only what has been verified is released. To a file the parts are
 * written in place under a random name, and an interrupted get goes on where it stopped; to a pipe they are handed on
 * in order, each after all its frames have been verified. Signed messages, and what comes through a pipe, are opened from
 * front to back (get/in-order.ts).
 */
import { SealiftError } from './errors.ts';
import { toFile } from './get/file.ts';
import { getInOrder } from './get/in-order.ts';
import { checkFirst } from './get/job.ts';
import { findObject, type SealedObject } from './get/object.ts';
import { type ByteRange, piecesOf } from './get/pieces.ts';
import { cannotGoOn, sinkFailed, toPipe } from './get/pipe.ts';
import { streamOfObject, streamOfPipe } from './get/stream.ts';
import { fillStream, type PlainStream } from './get/stream-target.ts';
import { checkTarget } from './get/target.ts';
import { type OpenRules, unlock } from './get/unlock.ts';
import { type JobResult, type Place, Progress, type RunOptions, type Tools } from './job.ts';
import type { Message } from './parts/task.ts';

/**
 * Takes opened bytes in order. The bytes are the callee's until the promise resolves, and no longer: the next ones are
 * waited for until then.
 */
export type PlainSink = (bytes: Uint8Array) => Promise<void>;

/** What is to be opened, and into what. */
export interface GetRequest extends RunOptions, OpenRules {
  /** `s3://bucket/key` or `file:///path`; or a message's bytes in order, as from a pipe. */
  source: string | AsyncIterable<Uint8Array>;
  /** A file's path, a function, or a Node or Web stream, which is ended with the object. */
  target: string | PlainSink | PlainStream;
  /** Plain bytes, both ends inclusive; `last` may be past the end. All of them where absent. */
  range?: ByteRange | undefined;
  /** Replace a file that exists. */
  overwrite?: boolean | undefined;
  /** Forget an unfinished job of the same object and target, and start again. */
  fresh?: boolean | undefined;
  /** Kept with the job for whoever resumes it. */
  memo?: Readonly<Record<string, unknown>> | undefined;
}

/** What the parts of this story share. */
export interface GetRun {
  request: PlainGetRequest;
  tools: Tools;
  place: Place;
  object: SealedObject;
  message: Message;
  /** Plain bytes wanted; `last` < `first` where the object is empty. */
  range: ByteRange;
  progress: Progress;
}

/** As GetRequest, for a stream of plain bytes. */
export type OpenRequest = Omit<GetRequest, 'target' | 'overwrite' | 'fresh' | 'memo'>;

/** A get into a file, or into a function: what a stream as a target comes to. */
export type PlainGetRequest = GetRequest & { target: string | PlainSink };

/**
 * Opens an object. Resolves when all of it is verified and where it was asked for. Rejects with a SealiftError; a
 * target file then does not exist, a sink has received only verified bytes, but perhaps not all.
 */
export async function get(request: GetRequest, tools: Tools): Promise<JobResult> {
  const { target, signal } = request;
  const progress = new Progress(request);
  if (typeof target === 'string') return getWith(progress, { ...request, target }, tools);
  if (typeof target !== 'function') {
    return fillStream(target, signal, (sink, stop) =>
      getWith(progress, { ...request, target: sink, signal: stop }, tools),
    );
  }
  try {
    return await getWith(progress, { ...request, target: guarded(target) }, tools);
  } catch (error) {
    throw cannotGoOn(error, { released: progress.ackedBytes });
  }
}

/** A caller's function, whose errors have a code as all others have. */
function guarded(sink: PlainSink): PlainSink {
  return async (bytes) => {
    try {
      await sink(bytes);
    } catch (error) {
      throw sinkFailed(error);
    }
  };
}

async function getWith(progress: Progress, request: PlainGetRequest, tools: Tools): Promise<JobResult> {
  const { source, target, overwrite = false, signal } = request;
  if (typeof source !== 'string') {
    if (typeof target === 'string') await checkTarget(target, { overwrite });
    return getInOrder({ request, tools, progress }, streamOfPipe(source, request));
  }
  if (typeof target === 'string') await checkFirst({ ...request, source, target }, tools);
  const place = await tools.place(source);
  const object = await findObject(place, request);
  if (object.header.suite.signature) {
    return getInOrder({ request, tools, progress }, streamOfObject(place, object, signal));
  }
  const rules = { ...request, onCall: progress.countKmsCall };
  const { messageId, keys } = await unlock(object.header, { url: place.url, objectKey: place.key }, tools, rules);
  const message = { layout: object.layout, messageId, keys };
  const range = wantedRange(request, object);
  progress.totalBytes = Math.max(0, range.last - range.first + 1);

  const run: GetRun = { request, tools, place, object, message, range, progress };
  const job = typeof target === 'string' ? await toFile(run, target) : await toPipe(run, target);
  return progress.result({
    command: 'get',
    job,
    object: place.url,
    plainBytes: progress.totalBytes,
    sealedBytes: object.info.size,
    parts: piecesOf(run).length,
  });
}

function wantedRange({ range }: GetRequest, { layout: { plainSize } }: SealedObject): ByteRange {
  if (!range) return { first: 0, last: plainSize - 1 };
  if (range.first > range.last || range.first < 0 || range.first >= plainSize) {
    throw new SealiftError('bad-range', `Bytes ${range.first}-${range.last} are not within ${plainSize} plain bytes`, {
      hint: 'Both ends count from 0 and belong to the range.',
    });
  }
  return { first: range.first, last: Math.min(range.last, plainSize - 1) };
}
