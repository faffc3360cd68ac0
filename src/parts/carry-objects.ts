/**
 * Small objects on their way from one store into another: each is fetched whole, with all that is kept with it; opened in
 * memory, where it is sealed; sealed anew; and sent. The main thread is asked twice a task: for the keys of those that are
 * sealed, and, once it is known how large each is, for its new message, of which the ledger has heard by then.
 */
import { crc32 } from 'node:zlib';
import { type ErrorData, isDenied, SealiftError } from '../errors.ts';
import { INSTRUCTION_FILE_SUFFIX } from '../formats/s3ec/encode-header.ts';
import type { KeptHeaders, Store } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { eachOf, type FailedObject, failed } from './each-of.ts';
import {
  fetchWhole,
  type HeldObject,
  isLocked,
  type Keys,
  lockedOf,
  openHeld,
  type WantedObject,
} from './held-object.ts';
import type { KeyRequest, RestoreLink } from './restore-objects.ts';
import { sendObject, settledBy } from './send-objects.ts';
import type { Link, ObjectToSend, SentObject, StoreAccess } from './task.ts';
import { ID_METADATA } from './written.ts';

export interface CarryTask {
  kind: 'carry';
  from: StoreAccess;
  store: StoreAccess;
  objects: readonly ObjectToCarry[];
  profiled: boolean;
}

export interface ObjectToCarry extends WantedObject, Pick<ObjectToSend, 'earlierIds' | 'sameAs'> {
  targetKey: string;
  /** Look at the target before anything is fetched: the same may be there. */
  look: boolean;
}

/** What has become of one of them; `unknown`: nothing of it says how it is sealed, and a file beside it does. */
export type CarriedObject = SentObject | { outcome: 'unknown' };

export interface CarryReceipt {
  /** In the order of the task's objects. */
  carried: CarriedObject[];
}

/** What is asked of the main thread. */
export type Question = { unlock: readonly KeyRequest[] } | { prepare: readonly OpenedObject[] };

/** An object that is held in memory, plain. */
export interface OpenedObject {
  /** Of the task's objects. */
  index: number;
  plainSize: number;
  kept: KeptHeaders;
}

export interface CarryAnswers extends Pick<RestoreLink, 'unlock'> {
  /** What each is to be; or why it cannot be, or need not. Resolves once the ledger has it. */
  prepare(opened: readonly OpenedObject[]): Promise<(Omit<ObjectToSend, 'source'> | { error: ErrorData })[]>;
}

export type CarryLink = Link & CarryAnswers;

interface Desk {
  store: Store;
  from: Store;
  buffers: BufferPool;
  link: CarryLink;
}

interface FetchedObject {
  index: number;
  held: HeldObject;
  kept: KeptHeaders;
}

type Plain = OpenedObject & { bytes: Uint8Array<ArrayBuffer> };

/** Carries all of them. Each is answered for itself; what rejects is an error of ours, or of all. */
export async function carryObjects({ objects }: CarryTask, desk: Desk): Promise<CarryReceipt> {
  const numbered = objects.map((object, index) => ({ object, index }));
  const fetched = await eachOf(numbered, ({ object, index }) => fetchObject(object, index, desk));
  const opened = await openAll(fetched, objects, desk.link);
  const plain = opened.filter((each) => 'bytes' in each);
  const asked = plain.map(({ index, plainSize, kept }) => ({ index, plainSize, kept }));
  const prepared = asked.length === 0 ? [] : await desk.link.prepare(asked);
  const sendings = new Map(plain.map(({ index }, position) => [index, prepared[position]!]));
  const carried = await eachOf(opened, async (each) =>
    'bytes' in each ? await send(each, sendings.get(each.index)!, desk) : each,
  );
  return { carried };
}

async function fetchObject(
  object: ObjectToCarry,
  index: number,
  { store, from, link: { cut } }: Desk,
): Promise<FetchedObject | CarriedObject> {
  const there = object.look ? await store.head(object.targetKey, { signal: cut }) : undefined;
  const settled = there && settledBy(there, object);
  if (settled) return settled;
  const { objectKey, versionId } = object;
  const kept = await from.headers(objectKey, { versionId, signal: cut });
  if (object.etag !== undefined && bare(object.etag) !== bare(kept.etag)) throw changed(from.url(objectKey));
  const held = object.size === 0 ? nothing(kept) : await fetchWhole(from, { ...object, etag: kept.etag }, cut);
  if (kept.crc32 !== undefined && crc32(held.bytes) !== kept.crc32) throw otherChecksum(from.url(objectKey));
  const { format } = held.contents;
  // Of use to another object alone, which is sealed anew without it.
  if (format === 'instructions') return { outcome: 'skipped' };
  if (format !== 'unknown') return { index, held, kept };
  if (await hasInstructions(from, objectKey, cut)) return { outcome: 'unknown' };
  if (kept.metadata[ID_METADATA] !== undefined) throw damaged(from.url(objectKey));
  return { index, held, kept };
}

function nothing({ etag, metadata }: KeptHeaders): HeldObject {
  return { bytes: Buffer.alloc(0), etag, metadata, contents: { format: 'unknown' } };
}

/** Whether a file beside the object may say how it is sealed. Who may not look sees none. */
async function hasInstructions(store: Store, objectKey: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await store.head(`${objectKey}${INSTRUCTION_FILE_SUFFIX}`, { signal })) !== undefined;
  } catch (error) {
    if (isDenied(error) || SealiftError.from(error).code === 'bad-url') return false;
    throw error;
  }
}

/** All of them plain: those that are sealed are opened with the keys that the main thread finds. */
async function openAll(
  fetched: readonly (FetchedObject | CarriedObject)[],
  objects: readonly ObjectToCarry[],
  link: CarryLink,
): Promise<(Plain | CarriedObject)[]> {
  const requests: KeyRequest[] = [];
  const positions = new Map<number, number>();
  for (const each of fetched) {
    if (!('held' in each) || !isLocked(each.held)) continue;
    positions.set(each.index, requests.length);
    requests.push({ objectKey: objects[each.index]!.objectKey, locked: lockedOf(each.held) });
  }
  const keys = requests.length === 0 ? [] : await link.unlock(requests);
  return await eachOf(fetched, async (each) => {
    if (!('held' in each)) return each;
    const { held, index, kept } = each;
    if (!isLocked(held)) return plainOf(index, held.bytes, kept);
    const found: Keys | { error: ErrorData } = keys[positions.get(index)!]!;
    return 'error' in found ? failed(found.error) : plainOf(index, openHeld(held, found), kept);
  });
}

/** In memory of its own: whoever seals it gives that back. */
function plainOf(index: number, bytes: Buffer, kept: KeptHeaders): Plain {
  return { index, plainSize: bytes.length, kept, bytes: new Uint8Array(bytes) };
}

async function send(
  { bytes }: Plain,
  sending: Omit<ObjectToSend, 'source'> | { error: ErrorData },
  { store, buffers, link }: Desk,
): Promise<SentObject | FailedObject> {
  if ('error' in sending) return failed(sending.error);
  const desk = { store, sourceStore: async () => store, buffers, link };
  return await sendObject({ ...sending, source: { plain: bytes } }, desk);
}

/** Whether it stands in quotes depends on who tells it. */
function bare(etag: string): string {
  return etag.replaceAll('"', '');
}

function changed(url: string): SealiftError {
  return new SealiftError('object-changed', `${url} is not the object that was listed`, {
    hint: 'It was replaced meanwhile. Run the same command again.',
  });
}

function damaged(url: string): SealiftError {
  return new SealiftError('bad-header', `${url} was sealed by Sealift, but its first bytes are damaged`, {
    hint: 'Fetch another version or another copy of it.',
  });
}

function otherChecksum(url: string): SealiftError {
  return new SealiftError('checksum-mismatch', `What was read of ${url} has another CRC32 than it was stored with`, {
    hint: 'Nothing was made of it. If it happens again the store or the line damages data.',
  });
}
