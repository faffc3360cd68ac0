/**
 * `ls`: the objects under a prefix, with the sizes of what was sealed. No key is needed: the first bytes of an object tell
 * its format and the size of its frames, or its metadata does, and the rest is arithmetic over its sealed size. So it costs
 * one small GET an object; a second one where the object is signed, or where nothing but an instruction file can tell. Nothing of it is authenticated.
 */
import type { KeyObject } from 'node:crypto';
import { type ErrorCode, isDenied, SealiftError } from './errors.ts';
import { decodeHeader } from './formats/esdk/header.ts';
import { MAX_FOOTER_SIZE } from './formats/esdk/signature.ts';
import { isUnsealed } from './formats/plain/mark.ts';
import { layoutOfMessage } from './get/object.ts';
import { headerOr, plainSizeOf } from './get/s3ec-header.ts';
import { readWhole } from './stores/object-stream.ts';
import { type ObjectUrl, parsePrefixUrl } from './stores/object-url.ts';
import type { ListedObject, ListedPrefix, Store } from './stores/store.ts';
import { KiB } from './units.ts';

/** How a prefix is listed. */
export interface ListOptions {
  /** Also what lies behind further slashes. Not of a directory. */
  recursive?: boolean | undefined;
  /** With which S3 has encrypted objects (SSE-C): those that want one. */
  customerKey?: KeyObject | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * `sealed`; `unsealed`: put with `--seal none`; `foreign`: of neither format; `damaged`: begins or ends like none; `archived`: cannot be
 * read before it is restored; `unreadable`: the store refuses.
 */
export type ListingState = 'sealed' | 'unsealed' | 'foreign' | 'damaged' | 'archived' | 'unreadable';

/** An object, or the common beginning of several. */
export type Listing =
  | { type: 'prefix'; object: string }
  | {
      type: 'object';
      object: string;
      state: ListingState;
      /** Null where it is not known: `state` says why. */
      plainBytes: number | null;
      sealedBytes: number;
      lastModified: string | null;
      storageClass: string | null;
    };

/** Objects looked into at once: small requests, whose time is mostly the way there and back. */
const LOOK_COUNT = 16;
/** A header has some 400 bytes. Of one that is longer than this the size is not told. */
const FIRST_READ_SIZE = 16 * KiB;

const STATES: Partial<Record<ErrorCode, ListingState>> = {
  'not-sealed': 'foreign',
  'bad-header': 'damaged',
  truncated: 'damaged',
  'object-archived': 'archived',
  'store-error': 'unreadable',
  'bad-range': 'unreadable',
  'sse-c-missing-key': 'unreadable',
};

/** In the store's order, while pages and objects are still being fetched. Throws `bad-url`, `bad-option`, `bucket-not-found`. */
export async function* list(
  url: string,
  storeOf: (place: ObjectUrl) => Promise<Store>,
  { recursive, customerKey, signal }: ListOptions = {},
): AsyncGenerator<Listing, void> {
  const place = parsePrefixUrl(url);
  if (recursive && 'directory' in place) {
    throw new SealiftError('bad-option', 'A directory has no objects in the directories that it holds', {
      hint: 'Leave --recursive away, and list each of them.',
    });
  }
  const store = (await storeOf(place)).withCustomerKey(customerKey);
  const looks: Promise<Listing | undefined>[] = [];
  for await (const entry of store.list(place.key, { recursive, signal })) {
    if (looks.length === LOOK_COUNT) yield* present(await looks.shift());
    const look = 'prefix' in entry ? Promise.resolve(prefixOf(store, entry)) : lookInto(store, entry, signal);
    // Whoever waits for it hears of its failure; if nobody does any more, nobody needs to.
    look.catch(() => undefined);
    looks.push(look);
  }
  for (const look of looks) yield* present(await look);
}

function present(listing: Listing | undefined): Listing[] {
  return listing ? [listing] : [];
}

function prefixOf(store: Store, { prefix }: ListedPrefix): Listing {
  return { type: 'prefix', object: `${store.url(prefix.slice(0, -1))}/` };
}

/** Undefined for an object that is gone since it was listed. */
async function lookInto(
  store: Store,
  listed: ListedObject,
  signal: AbortSignal | undefined,
): Promise<Listing | undefined> {
  const { key, size, lastModified, storageClass } = listed;
  const tell = (state: ListingState, plainBytes: number | null, sealedBytes = size): Listing => ({
    type: 'object',
    object: store.url(key),
    state,
    plainBytes,
    sealedBytes,
    lastModified: lastModified?.toISOString() ?? null,
    storageClass: storageClass ?? null,
  });
  if (storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE') return tell('archived', null);
  if (size === 0) return tell('foreign', null);
  try {
    const { state = 'sealed', plainSize, sealedSize } = await sizesOf(store, key, signal);
    return tell(state, plainSize, sealedSize);
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code === 'sse-c-not-used') return await lookInto(store.withCustomerKey(undefined), listed, signal);
    if (code === 'object-not-found') return undefined;
    const state = isDenied(error) ? 'unreadable' : STATES[code];
    if (state === undefined) throw error;
    return tell(state, null);
  }
}

interface Sizes {
  /** Default: `sealed`. */
  state?: 'unsealed';
  plainSize: number | null;
  sealedSize: number;
}

async function sizesOf(store: Store, key: string, signal: AbortSignal | undefined): Promise<Sizes> {
  const start = await readSome(store, key, { first: 0, last: FIRST_READ_SIZE - 1 }, signal);
  const { objectSize: sealedSize, metadata } = start;
  if (isUnsealed(metadata)) return { state: 'unsealed', plainSize: sealedSize, sealedSize };
  const found = await headerOr({ store, key }, metadata, () => sizesOfMessage(store, key, start, signal), signal);
  if (!('header' in found)) return found;
  return { plainSize: plainSizeOf(found.header, sealedSize, metadata) ?? null, sealedSize };
}

async function sizesOfMessage(
  store: Store,
  key: string,
  { bytes, objectSize }: SomeBytes,
  signal: AbortSignal | undefined,
): Promise<Sizes> {
  const header = decodeHeader(bytes);
  if (!header && bytes.length === objectSize) {
    throw new SealiftError('truncated', `${store.url(key)} ends inside its header`, {
      hint: 'Fetch another copy of it.',
    });
  }
  if (!header) return { plainSize: null, sealedSize: objectSize };
  const last = { first: Math.max(0, objectSize - MAX_FOOTER_SIZE), last: objectSize - 1 };
  const tail = header.suite.signature ? (await readSome(store, key, last, signal)).bytes : undefined;
  const { plainSize } = layoutOfMessage({ url: store.url(key), header, size: objectSize, tail });
  return { plainSize, sealedSize: objectSize };
}

/** Of an object, and what came with them. */
interface SomeBytes {
  bytes: Buffer;
  objectSize: number;
  metadata: Readonly<Record<string, string>>;
}

async function readSome(
  store: Store,
  key: string,
  range: { first: number; last: number },
  signal: AbortSignal | undefined,
): Promise<SomeBytes> {
  const stream = await store.read(key, range, { signal });
  return { bytes: await readWhole(stream), objectSize: stream.objectSize, metadata: await stream.metadata() };
}
