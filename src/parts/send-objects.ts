/**
 * Small objects on their way up, some at a time: each is read, sealed whole, and sent in one request. The ledger has its
 * id before the task comes. It is never sealed again under its key: where nobody knows whether it has arrived, a look at
 * the target tells, and what has not is sealed anew. One that fails stops no other.
 */
import { isDenied, SealiftError } from '../errors.ts';
import { MAX_FOOTER_SIZE } from '../formats/esdk/signature.ts';
import { roomFor } from '../formats/message.ts';
import { checkEncrypted } from '../stores/encryption.ts';
import type { ObjectInfo, Store, WriteAnswer, WriteCondition } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { eachOf } from './each-of.ts';
import { ended } from './footer.ts';
import { sealInto } from './seal-once.ts';
import { SmallFiles } from './small-files.ts';
import type { Link, ObjectToSend, PartSource, SendReceipt, SendTask, SentObject } from './task.ts';
import { ID_METADATA, isOurs, otherChecksum, targetChanged, targetExists, type Written } from './written.ts';

interface Desk {
  store: Store;
  /** Where an object is that is sealed. */
  sourceStore: (source: PartSource) => Promise<Store>;
  /** Where they are files. */
  files?: SmallFiles | undefined;
  buffers: BufferPool;
  link: Link;
}

/** Sends all of them. Each is answered for itself; what rejects is an error of ours. */
export async function sendObjects({ objects }: SendTask, desk: Omit<Desk, 'files'>): Promise<SendReceipt> {
  const files = new SmallFiles();
  return { sent: await eachOf(objects, (object) => sendObject(object, { ...desk, files })) };
}

/** Looks, seals, sends, and hears the witnesses. */
export async function sendObject(object: ObjectToSend, desk: Desk): Promise<SentObject> {
  const { store, link } = desk;
  if (link.cut.aborted) throw SealiftError.interrupted(link.cut, store.url(object.objectKey));
  const there = object.look ? await lookAt(object, desk) : undefined;
  return (there && settledBy(there, object)) ?? (await sealAndSend(object, conditionFor(there, object, store), desk));
}

/** Who may write and not look needs no look, unless something is to be replaced: the condition holds whatever is there. */
async function lookAt({ objectKey, overwrite }: ObjectToSend, { store, link }: Desk): Promise<ObjectInfo | undefined> {
  try {
    return await store.head(objectKey, { signal: link.cut });
  } catch (error) {
    if (overwrite || !isDenied(error)) throw error;
    return undefined;
  }
}

/**
 * What is there may be what was to be sent: since before a crash, or since ever. What was made of a source that has changed
 * since is neither, also where we made it: whoever deletes sources would delete what is nowhere else.
 */
export function settledBy(
  there: ObjectInfo,
  { earlierIds, sameAs }: Pick<ObjectToSend, 'earlierIds' | 'sameAs'>,
): SentObject | undefined {
  const { metadata, size, etag, versionId, crc32 } = there;
  const facts = Object.entries(sameAs);
  if (!facts.every(([name, value]) => metadata[name] === value)) return undefined;
  const sealiftId = metadata[ID_METADATA];
  if (isEarlier(sealiftId, earlierIds)) return { outcome: 'done', sealiftId, size, etag, versionId, crc32 };
  return facts.length > 0 ? { outcome: 'skipped' } : undefined;
}

/** This job has made it. */
function isEarlier(sealiftId: string | undefined, earlierIds: readonly string[]): sealiftId is string {
  return sealiftId !== undefined && earlierIds.includes(sealiftId);
}

function conditionFor(there: ObjectInfo | undefined, object: ObjectToSend, store: Store): WriteCondition {
  if (!there) return { ifNoneMatch: '*' };
  if (!object.overwrite && !isEarlier(there.metadata[ID_METADATA], object.earlierIds)) {
    throw targetExists(store.url(object.objectKey));
  }
  return { ifMatch: there.etag };
}

async function sealAndSend(
  object: ObjectToSend,
  condition: WriteCondition,
  { store, sourceStore, files, buffers, link: { cut, watch } }: Desk,
): Promise<SentObject> {
  const { message, header, objectKey, headers, sealiftId } = object;
  watch.enter('disk');
  const plain = 'path' in object.source ? files?.read(object.source) : undefined;
  const source = plain ? { plain } : object.source;
  const buffer = buffers.take(roomFor(message, 1) + MAX_FOOTER_SIZE);
  try {
    const at = { store: await sourceStore(source), buffers, cut };
    const { sealed, intent } = ended(await sealInto(buffer, { message, source, header, number: 1 }, at, watch), object);
    const written = { sealiftId, size: sealed.length, crc32: intent.crc32 };
    watch.enter('network');
    let answer: WriteAnswer;
    try {
      answer = await store.putObject(objectKey, sealed, { ...headers, crc32: written.crc32, condition, signal: cut });
    } catch (error) {
      return await decideByHead(object, { written, condition, error }, { store, cut });
    }
    return await witnessed(object, written, answer, { store, cut });
  } finally {
    buffers.give(buffer);
  }
}

/** The answer's own checksum is the witness; where it has none HEAD is asked, and what that lacks is not confirmed. */
async function witnessed(
  { objectKey, headers }: ObjectToSend,
  written: Written,
  answer: WriteAnswer,
  { store, cut }: { store: Store; cut: AbortSignal },
): Promise<SentObject> {
  const url = store.url(objectKey);
  const { sealiftId, size } = written;
  const { etag, versionId } = answer;
  let { crc32, sse } = answer;
  if (crc32 === undefined) {
    const there = await store.head(objectKey, { versionId, signal: cut });
    if (!there || !isOurs(there, written)) throw otherChecksum(url);
    ({ crc32, sse } = there);
  }
  if (crc32 !== undefined && crc32 !== written.crc32) throw otherChecksum(url);
  checkEncrypted(url, { asked: headers.sse, told: sse });
  return { outcome: 'done', sealiftId, size, etag, versionId, crc32 };
}

/** The request failed, or its answer was lost: it may have had its effect, or met what somebody else has put there. */
async function decideByHead(
  object: ObjectToSend,
  { written, condition, error }: { written: Written; condition: WriteCondition; error: unknown },
  { store, cut }: { store: Store; cut: AbortSignal },
): Promise<SentObject> {
  const { code } = SealiftError.from(error);
  if (cut.aborted) throw error;
  const there = await store.head(object.objectKey, { signal: cut });
  if (there && isOurs(there, written)) {
    const { size, etag, versionId, crc32 } = there;
    return { outcome: 'done', sealiftId: written.sealiftId, size, etag, versionId, crc32 };
  }
  if (code !== 'target-exists' && code !== 'target-changed') throw error;
  const settled = there && settledBy(there, object);
  if (settled) return settled;
  const url = store.url(object.objectKey);
  throw 'ifMatch' in condition ? targetChanged(url) : targetExists(url);
}
