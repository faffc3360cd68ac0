/**
 * `reseal`: an object is sealed again under a new data key, in its own place. Its bytes go through here, part by part:
 * what is opened of the old object is sealed into the new one on the same thread, and an interrupted job goes on where it
 * stopped, as a put of a file does. The old object is there until the new one takes its name, in one step and only if it
 * is still the version that was read; so there is always one of the two, whole.
 *
 * An object that proves itself only as a whole is read twice: before anything is sent it has to prove itself, and then its
 * parts are sealed as those of any other (reseal/proof.ts).
 *
 * All that is kept with the object goes over: metadata, content headers, tags, storage class, encryption at rest, locks,
 * and the encryption context. What cannot go over is refused before anything is asked of a key.
 */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from './errors.ts';
import { PUBLIC_KEY_NAME } from './formats/esdk/context.ts';
import { NAME_MARKER } from './formats/esdk/message-id.ts';
import type { Cut } from './formats/message.ts';
import { INSTRUCTION_FILE_SUFFIX } from './formats/s3ec/encode-header.ts';
import { HEADER_NAMES } from './formats/s3ec/header.ts';
import { findObject, type SealedObject } from './get/object.ts';
import { checkRules, type OpenRules } from './get/unlock.ts';
import { contextOf as contextOfObject } from './get/unlock-s3ec.ts';
import { type JobResult, type Place, type RunOptions, type Tools, underKey } from './job.ts';
import { isUnfinished } from './jobs.ts';
import type { Keyring } from './keys/keyring.ts';
import { jobIdOf } from './ledger/ledger.ts';
import { MTIME_METADATA } from './mtime.ts';
import { ID_METADATA } from './parts/written.ts';
import { Progress } from './progress.ts';
import type { SealOptions } from './put/attempt.ts';
import { RESERVED_NAMES } from './put/s3ec.ts';
import { putFrom, type WriteRequest } from './put.ts';
import { proveParts } from './reseal/proof.ts';
import { openSource } from './reseal/source.ts';
import { placeAsItIs } from './rewrap/place.ts';
import { encryptionAsked, encryptionKept } from './stores/encryption.ts';
import type { KeptHeaders } from './stores/store.ts';

/** What is to be sealed again, and how. */
export interface ResealOptions
  extends Pick<
      SealOptions,
      | 'format'
      | 's3ecLegacy'
      | 'context'
      | 'frameSize'
      | 'partSize'
      | 'equalParts'
      | 'sign'
      | 'storageClass'
      | 'sse'
      | 'customerKey'
    >,
    OpenRules,
    RunOptions {
  /** `s3://bucket/key` or `file:///path`. */
  object: string;
  /** With which S3 has encrypted it as it is now (SSE-C). Default: `customerKey`, or none. */
  oldCustomerKey?: KeyObject | undefined;
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
  const { signal } = request;
  const { budget, keyring: sealer } = tools;
  const progress = new Progress(request);
  const place = await tools.place(request.object);
  const target = underKey(place, request.customerKey);
  const job = jobIdOf({ command: 'reseal', source: request.object, target: place.url });
  const old = await placeAsItIs(place, { ...request, mayBeDone: !request.fresh && isUnfinished(tools, job) });
  const object = await findObject(old, request);
  const headers = await headersOf(old, object, request);
  const rules = { ...request, onCall: progress.countKmsCall };
  const { source, openWhole } = await openSource(old, object, rules, { opener, sealer, budget });
  const prove =
    openWhole && ((cut: Cut) => proveParts(old, object, cut, { opener: openWhole(), progress, budget, signal }));
  const write = { ...writeRequest(request, object, headers), prove };
  tellWhatIsLost(place, object, write, progress);
  return await putFrom(source, write, { tools, place: target, progress });
}

/** The headers of the version that was found. Throws `cannot-carry`, and `object-changed` where they are another's. */
async function headersOf(place: Place, { info }: SealedObject, { signal }: RunOptions): Promise<KeptHeaders> {
  const { versionId } = info;
  const headers = await place.store.headers(place.key, { versionId, signal });
  if (headers.etag === info.etag) return headers;
  throw new SealiftError('object-changed', `${place.url} was replaced meanwhile`, {
    hint: 'Run the same command again.',
  });
}

/** What the old object has, and the new one will not. */
function tellWhatIsLost(
  { url }: Place,
  object: SealedObject,
  { format, sign }: WriteRequest,
  { warn }: Progress,
): void {
  if (object.format === 's3ec') {
    if (!object.hasInstructionFile) return;
    const file = `${url}${INSTRUCTION_FILE_SUFFIX}`;
    warn(`${file} stays behind: the new object does not need it, and older versions open only with it`);
    return;
  }
  if (!object.header.suite.signature || sign) return;
  const remedy = format === 's3ec' ? 'no object of --format s3ec is' : '--sign would have it signed again';
  warn(`${url} is signed, and the new object is not: ${remedy}`);
}

function writeRequest(request: ResealOptions, object: SealedObject, kept: KeptHeaders): WriteRequest {
  const {
    format = object.format,
    s3ecLegacy,
    frameSize,
    partSize,
    equalParts,
    sign,
    fresh,
    memo,
    signal,
    onEvent,
  } = request;
  const { contentType, tags, inherited } = kept;
  return {
    command: 'reseal',
    source: request.object,
    target: request.object,
    context: request.context ?? contextOf(object),
    metadata: without(kept.metadata, [ID_METADATA, MTIME_METADATA, ...HEADER_NAMES]),
    storageClass: request.storageClass ?? kept.storageClass,
    // What has an old key has no other encryption to keep, nor had it before a run whose last answer was lost.
    sse: request.oldCustomerKey ? encryptionAsked(request) : encryptionKept(request, kept.sse),
    customerKey: request.customerKey,
    overwrite: true,
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
  };
}

/** The user's part of it. */
function contextOf(object: SealedObject): Record<string, string> {
  if (object.format === 's3ec') return without(contextOfObject(object.header), RESERVED_NAMES);
  return without(object.header.encryptionContext, [NAME_MARKER[0], PUBLIC_KEY_NAME]);
}

function without(pairs: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(pairs).filter(([name]) => !names.includes(name)));
}
