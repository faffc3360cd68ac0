/**
 * `reseal`: an object is sealed again under a new data key, in its own place. Its bytes go through here, part by part:
 * what is opened of the old object is sealed into the new one on the same thread, and an interrupted job goes on where it
 * stopped, as a put of a file does. The old object is there until the new one takes its name, in one step and only if it
 * is still the version that was read; so there is always one of the two, whole.
 *
 * All that is kept with the object goes over: metadata, content headers, tags, storage class, encryption at rest, locks,
 * and the encryption context. What cannot go over is refused before anything is asked of a key.
 */
import { SealiftError } from './errors.ts';
import { PUBLIC_KEY_NAME } from './formats/esdk/context.ts';
import { NAME_MARKER } from './formats/esdk/message-id.ts';
import { HEADER_NAMES } from './formats/s3ec/header.ts';
import { type EsdkObject, findObject } from './get/object.ts';
import { checkRules, type OpenRules, unlock } from './get/unlock.ts';
import { type JobResult, type Place, Progress, type RunOptions, type Tools } from './job.ts';
import type { Keyring, OpenKeyRequest } from './keys/keyring.ts';
import { MTIME_METADATA } from './mtime.ts';
import type { SealedSource } from './parts/task.ts';
import type { SealOptions } from './put/attempt.ts';
import { ID_METADATA } from './put/confirm.ts';
import { putFrom, type WriteRequest } from './put.ts';
import type { KeptHeaders } from './stores/store.ts';

/** What is to be sealed again, and how. */
export interface ResealOptions
  extends Pick<
      SealOptions,
      'format' | 's3ecLegacy' | 'context' | 'frameSize' | 'partSize' | 'equalParts' | 'sign' | 'storageClass' | 'sse'
    >,
    OpenRules,
    RunOptions {
  /** `s3://bucket/key` or `file:///path`. */
  object: string;
  /** Forget an unfinished job of the same object, abort its upload, and start under a new key. */
  fresh?: boolean | undefined;
  /** Kept with the job for whoever resumes it. */
  memo?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Seals `object` again. Resolves when the store has confirmed the new one. Rejects with a SealiftError; the old object is
 * then as it was, and what a put keeps to go on with is kept. `opener` opens the object as it is now; the keyring that
 * seals is tried too.
 */
export async function reseal(request: ResealOptions, opener: Keyring, tools: Tools): Promise<JobResult> {
  checkRules(request);
  const progress = new Progress(request);
  const place = await tools.place(request.object);
  const object = await findObject(place, request);
  if (object.format === 's3ec') throw onlyWhole(place, 'an object of the S3 Encryption Client');
  if (object.header.suite.signature) throw onlyWhole(place, 'a signed message');
  const headers = await headersOf(place, object, request);
  const source = await openSource(place, object, request, { opener, tools, progress });
  return await putFrom(source, writeRequest(request, object, headers), { tools, place, progress });
}

function onlyWhole({ url }: Place, what: string): SealiftError {
  return new SealiftError('cannot-carry', `${url} is ${what}, and proves itself only as a whole`, {
    hint: 'Nothing was changed. Get it into a file, and put that with --overwrite: with --sign, or as --format s3ec, to have it as it was.',
  });
}

/** The headers of the version that was found. Throws `cannot-carry`, and `object-changed` where they are another's. */
async function headersOf(place: Place, { info }: EsdkObject, { signal }: RunOptions): Promise<KeptHeaders> {
  const { versionId } = info;
  const headers = await place.store.headers(place.key, { versionId, signal });
  if (headers.etag === info.etag) return headers;
  throw new SealiftError('object-changed', `${place.url} was replaced meanwhile`, {
    hint: 'Run the same command again.',
  });
}

async function openSource(
  place: Place,
  { info, header, layout }: EsdkObject,
  request: ResealOptions,
  { opener, tools, progress }: { opener: Keyring; tools: Tools; progress: Progress },
): Promise<SealedSource> {
  const keyring = { openDataKey: (asked: OpenKeyRequest) => openWithEither(opener, tools.keyring, asked) };
  const rules = { ...request, onCall: progress.countKmsCall };
  const at = { url: place.url, objectKey: place.key };
  const { messageId, keys } = await unlock(header, at, { keyring }, rules);
  const { etag, versionId, metadata } = info;
  const mtime = metadata[MTIME_METADATA];
  return {
    object: { url: place.url, size: layout.plainSize, etag, versionId, mtime },
    message: { format: 'esdk', layout, messageId, keys },
  };
}

/** Of a job whose last answer was lost, the object is under the new key already. */
async function openWithEither(opener: Keyring, sealer: Keyring, asked: OpenKeyRequest) {
  try {
    return await opener.openDataKey(asked);
  } catch (error) {
    if (opener === sealer || SealiftError.from(error).code !== 'wrong-key') throw error;
    return await sealer.openDataKey(asked).catch(() => {
      throw error;
    });
  }
}

function writeRequest(request: ResealOptions, object: EsdkObject, kept: KeptHeaders): WriteRequest {
  const { format, s3ecLegacy, frameSize, partSize, equalParts, sign, fresh, memo, signal, onEvent } = request;
  const { contentType, tags, inherited } = kept;
  return {
    command: 'reseal',
    source: request.object,
    target: request.object,
    context: request.context ?? contextOf(object),
    metadata: without(kept.metadata, [ID_METADATA, MTIME_METADATA, ...HEADER_NAMES]),
    storageClass: request.storageClass ?? kept.storageClass,
    sse: request.sse ?? kept.sse,
    overwrite: true,
    ...{
      contentType,
      tags,
      inherited,
      format,
      s3ecLegacy,
      frameSize,
      partSize,
      equalParts,
      sign,
      fresh,
      memo,
      signal,
      onEvent,
    },
  };
}

/** The user's part of it. */
function contextOf({ header }: EsdkObject): Record<string, string> {
  return without(header.encryptionContext, [NAME_MARKER[0], PUBLIC_KEY_NAME]);
}

function without(pairs: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(pairs).filter(([name]) => !names.includes(name)));
}
