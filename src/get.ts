/**
 * `get`: a sealed object comes back, in parallel, and only what has been verified is released. To a file the parts are
 * written in place under a random name, and an interrupted get goes on where it stopped; to a pipe they are handed on
 * in order, each after all its frames have been verified. An object that only as a whole proves itself is opened twice
 * for a pipe: first to prove it, and then to hand it on (get/proof.ts). Signed messages, what comes through a pipe, and
 * objects under AES-CBC are opened from front to back (get/in-order.ts).
 */
import type { KeyObject } from 'node:crypto';
import type { Message } from './formats/message.ts';
import { toFile } from './get/file.ts';
import { getInOrder } from './get/in-order.ts';
import { checkFirst } from './get/job.ts';
import { toNowhere } from './get/nowhere.ts';
import { type FoundObject, findObject, isInOrder, refuseVersion } from './get/object.ts';
import { type ByteRange, checkRange, piecesOf } from './get/pieces.ts';
import { cannotGoOn, sinkFailed, toPipe } from './get/pipe.ts';
import { checkProvable, Proof } from './get/proof.ts';
import { streamOfObject, streamOfPipe } from './get/stream.ts';
import { fillStream, type PlainStream } from './get/stream-target.ts';
import { checkTarget } from './get/target.ts';
import { checkRules, type OpenRules, unlock } from './get/unlock.ts';
import { unlockObject } from './get/unlock-s3ec.ts';
import { ChecksumProof, findUnsealed, messageOf, unsealedRequest } from './get/unsealed.ts';
import { type JobResult, type Place, type RunOptions, type Tools, underKey } from './job.ts';
import type { KeyringRequest } from './keys/keyring.ts';
import type { ProfileOptions } from './parts/stopwatch.ts';
import { Progress } from './progress.ts';

/**
 * Takes opened bytes in order. The bytes are the callee's until the promise resolves, and no longer: the next ones are
 * waited for until then. They may lie in a SharedArrayBuffer; what takes none gets a copy, `new Uint8Array(bytes)`.
 */
export type PlainSink = (bytes: Uint8Array) => Promise<void>;

/** What is to be opened, and into what. */
export interface GetRequest extends RunOptions, OpenRules, ProfileOptions {
  /** `s3://bucket/key` or `file:///path`; or a message's bytes in order, as from a pipe. */
  source: string | AsyncIterable<Uint8Array>;
  /** A file's path, a function, or a Node or Web stream, which is ended with the object. */
  target: string | PlainSink | PlainStream;
  /** Plain bytes, both ends inclusive; `last` may be past the end. All of them where absent. */
  range?: ByteRange | undefined;
  /** Of an S3 bucket with versions: this one of the object, instead of the newest. */
  versionId?: string | undefined;
  /** With which S3 has encrypted the object (SSE-C). */
  customerKey?: KeyObject | undefined;
  /**
   * `none`: the object was put with `seal: 'none'`, and is to be had all the same. Nothing of it can be authenticated; as a
   * whole it is compared with the CRC32 that S3 keeps. Objects that are sealed are refused then.
   */
  seal?: 'none' | undefined;
  /** Replace a file that exists. */
  overwrite?: boolean | undefined;
  /** Give the file the permissions that its source had, less the umask. Otherwise it is its owner's alone. */
  keepMode?: boolean | undefined;
  /**
   * Of objects of the S3 Encryption Client, which prove themselves only as a whole: hand on what is not proven, where it is
   * a range, or before it is, where it goes into a sink.
   */
  releaseUnverified?: boolean | undefined;
  /** Forget an unfinished job of the same object and target, and start again. */
  fresh?: boolean | undefined;
  /** Kept with the job for whoever resumes it. */
  memo?: Readonly<Record<string, unknown>> | undefined;
}

/** What the parts of this story share. */
export interface GetRun {
  request: PlainRequest;
  tools: Tools;
  place: Place;
  object: FoundObject;
  message: Message;
  /** Of an object that proves itself only as a whole, where all of it is wanted. */
  proof: Proof | ChecksumProof | undefined;
  /** Plain bytes wanted; `last` < `first` where the object is empty. */
  range: ByteRange;
  progress: Progress;
}

/** As GetRequest, for a stream of plain bytes. */
export type OpenRequest = Omit<GetRequest, 'target' | 'overwrite' | 'fresh' | 'memo'>;

/** What is left of a request once a stream as its target is a function: a get, or a verify, which keeps nothing. */
export type PlainRequest =
  | (GetRequest & { command: 'get'; target: string | PlainSink })
  | (Omit<GetRequest, 'target'> & Expecting & { command: 'verify'; target?: undefined });

/** Of a verify of one object among many. */
export interface Expecting {
  /** Throws where the object that was found is not the one that is meant. */
  expects?: ((object: FoundObject) => void) | undefined;
}

/**
 * Opens an object. Resolves when all of it is verified and where it was asked for. Rejects with a SealiftError; a
 * target file then does not exist, a sink has received only verified bytes, but perhaps not all.
 */
export async function get(request: GetRequest, tools: Tools): Promise<JobResult> {
  const { target, signal } = request;
  const progress = new Progress(request);
  const into = (plain: string | PlainSink, stop = signal) =>
    openSource({ ...request, command: 'get', target: plain, signal: stop }, { tools, progress });
  if (typeof target === 'string') return into(target);
  if (typeof target !== 'function') return fillStream(target, { signal, progress, job: into });
  try {
    return await into(guarded(target));
  } catch (error) {
    throw cannotGoOn(error, progress);
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

/** Opens the source of a get or a verify; what is said of errors is for these to decide. */
export async function openSource(
  asked: PlainRequest,
  { tools, progress }: { tools: Tools; progress: Progress },
): Promise<JobResult> {
  checkRules(asked);
  const request = asked.seal === 'none' ? unsealedRequest(asked) : asked;
  const { command, source, target, overwrite = false, seal, signal } = request;
  if (typeof source !== 'string') {
    refuseVersion(request);
    if (typeof target === 'string') await checkTarget(target, { overwrite });
    return getInOrder({ request, tools, progress }, streamOfPipe(source, request));
  }
  if (typeof target === 'string') await checkFirst({ ...request, source, target }, tools);
  const place = underKey(await tools.place(source), request.customerKey);
  const object = seal === 'none' ? await findUnsealed(place, request) : await findObject(place, request);
  if (request.command === 'verify') request.expects?.(object);
  if (object.format !== 'plain') {
    checkProvable(request, object);
    if (isInOrder(object)) return getInOrder({ request, tools, progress }, streamOfObject(place, object, signal));
  }
  const rules = { ...request, onCall: progress.countKmsCall };
  const message = await progress.watch.time('kms', () => unlockMessage(place, object, tools, rules));
  const range = wantedRange(request, object);
  const proof = request.range ? undefined : proofOf(place, object, message, progress);
  progress.totalBytes = Math.max(0, range.last - range.first + 1);

  const run: GetRun = { request, tools, place, object, message, proof, range, progress };
  return progress.result({
    command,
    job: await deliver(run),
    object: place.url,
    plainBytes: progress.totalBytes,
    sealedBytes: object.info.size,
    parts: piecesOf(run).count,
    seal,
  });
}

/** What the pieces of an object have to come to, where they do not prove themselves. */
function proofOf(place: Place, object: FoundObject, message: Message, progress: Progress): GetRun['proof'] {
  if (object.format === 'plain') return new ChecksumProof(place, object, progress);
  return message.format === 's3ec' ? new Proof(place, object, message) : undefined;
}

/** The object's keys, and how it is cut. Throws as `unlock` and `unlockObject` do. */
async function unlockMessage(
  { url, key }: Place,
  object: FoundObject,
  tools: Tools,
  rules: OpenRules & Pick<KeyringRequest, 'signal' | 'onCall'>,
): Promise<Message> {
  const at = { url, objectKey: key };
  if (object.format === 'plain') return messageOf(object);
  if (object.format === 'esdk') {
    const { messageId, keys } = await unlock(object.header, at, tools, rules);
    return { format: 'esdk', layout: object.layout, messageId, keys };
  }
  const { suite, messageId } = object.header;
  const keys = await unlockObject(object.header, at, tools, rules);
  return { format: 's3ec', layout: object.layout, suite, messageId, keys };
}

/** Resolves to the id of the job that this was, '' where it was none. */
function deliver(run: GetRun): Promise<string> {
  const { target } = run.request;
  if (target === undefined) return toNowhere(run);
  return typeof target === 'string' ? toFile(run, target) : toPipe(run, target);
}

function wantedRange({ range }: PlainRequest, { layout: { plainSize } }: FoundObject): ByteRange {
  if (!range) return { first: 0, last: plainSize - 1 };
  checkRange(range, plainSize);
  return { first: range.first, last: Math.min(range.last, plainSize - 1) };
}
