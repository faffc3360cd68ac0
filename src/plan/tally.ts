/**
 * What objects come to, added up one by one with the very code that a put cuts by: parts, requests, data keys. It says
 * of each kind of request how many there will be where nothing fails and none of the objects is there yet.
 */
import { type Cut, partOf } from '../formats/message.ts';
import type { CrewPlan, Tools } from '../job.ts';
import { DEFAULT_KEY_LIMITS } from '../keys/cache.ts';
import type { KeyLimits } from '../keys/cache-entry.ts';
import { laneNeedsOf } from '../migrate/small.ts';
import { goesWhole, type SealOptions } from '../put/attempt.ts';
import { formatFor, type PutFormat } from '../put/format.ts';
import { needsOf } from '../put/parts.ts';
import type { PlannedObject } from './sources.ts';

/** By the name that S3 has for it. */
export type Requests = Record<
  | 'HeadBucket'
  | 'HeadObject'
  | 'ListObjectsV2'
  | 'PutObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload',
  number
>;

/** What reading objects out of a bucket takes, where they are plain. */
export interface Reading {
  requests: Record<'ListObjectsV2' | 'HeadObject' | 'GetObjectTagging' | 'GetObject', number>;
  /** Of these GETs, how many there are for each storage class. */
  gets: Record<string, number>;
  bytes: number;
}

/** Keys that one answer has at most (API_ListObjectsV2.html). */
const PAGE_SIZE = 1000;

/** As S3 counts and bills them: those that write, listings among them, and those that only look. */
export function turnsOf({ HeadBucket, HeadObject, ...others }: Requests): { writes: number; reads: number } {
  return { writes: Object.values(others).reduce((sum, count) => sum + count, 0), reads: HeadBucket + HeadObject };
}

/** The largest object's, which decides about the memory. */
export interface LargestObject {
  path: string;
  plainBytes: number;
  parts: number;
  /** Plain bytes of its largest part. */
  partSize: number;
  /** It goes up in one request. */
  isWhole: boolean;
  /** Threads and lanes for it, or for many that are no larger. Undefined where one goes up whole, on the main thread. */
  crew: CrewPlan | undefined;
}

/**
 * What one object takes beside its parts: HEAD before and after it, and for an upload Create, a look and Complete. A
 * migration has found DEST empty by one listing, and the answer to what goes whole is its witness.
 */
const PUT_WHOLE_REQUESTS = { HeadObject: 2, PutObject: 1 };
const MIGRATE_WHOLE_REQUESTS = { PutObject: 1 };
const UPLOAD_REQUESTS = { HeadObject: 3, CreateMultipartUpload: 1, CompleteMultipartUpload: 1 };
/** The file beside the object is looked for, written and looked at. */
const INSTRUCTION_REQUESTS = { HeadObject: 2, PutObject: 1 };
/** An object that is a source: its headers; and of a plain one a look beforehand, or for a file of instructions beside it. */
const SOURCE_HEADS = 2;

export class Tally {
  readonly #options: SealOptions;
  readonly #tools: Tools;
  readonly #format: PutFormat;
  readonly requests: Requests;
  readonly dataKeys: DataKeyTally;
  objects = 0;
  /** Of these, those that go up in one request. */
  wholeObjects = 0;
  plainBytes = 0;
  /** But for what keys and a context make of the header. */
  sealedBytes = 0;
  parts = 0;
  /** Of these, those of the objects that go up in several. */
  #uploadParts = 0;
  /** HEADs that ask for the checksum of what was written. */
  confirmations = 0;
  /** GETs that read the objects, by how these are kept in their bucket. Empty of files. */
  readonly #gets: Record<string, number> = {};
  #listed = 0;
  largest: LargestObject | undefined;
  smallest: PlannedObject | undefined;

  /** Throws usage errors of the options. */
  constructor(options: SealOptions, tools: Tools) {
    this.#options = options;
    this.#tools = tools;
    this.#format = formatFor(options);
    this.dataKeys = new DataKeyTally({ cacheable: this.#format.keyNeeds?.cacheable !== false });
    this.requests = {
      HeadBucket: 0,
      HeadObject: 0,
      ListObjectsV2: 0,
      PutObject: 0,
      CreateMultipartUpload: 0,
      UploadPart: 0,
      CompleteMultipartUpload: 0,
    };
  }

  /** Throws as `put` would: `too-many-parts`, `memory-too-small` and their like. */
  add(object: PlannedObject): void {
    const { name, size, storageClass } = object;
    const isPut = name === '';
    const cut = this.#format.cutFile(size);
    const { sealedSize, partCount } = cut.layout;
    const isWhole = goesWhole(cut, this.#tools, undefined);
    this.objects++;
    this.plainBytes += size;
    this.sealedBytes += sealedSize;
    this.parts += partCount;
    if (this.#format.keyNeeds) this.dataKeys.add(size);
    if (isWhole) this.wholeObjects++;
    else this.#uploadParts += partCount;
    const wholeRequests = isPut ? PUT_WHOLE_REQUESTS : MIGRATE_WHOLE_REQUESTS;
    this.#count(isWhole ? wholeRequests : { ...UPLOAD_REQUESTS, UploadPart: partCount });
    if (isPut || !isWhole) this.confirmations++;
    if (!isPut) this.requests.ListObjectsV2 = 1;
    if (storageClass !== undefined) this.#read(object, { storageClass, partCount, isLookedAt: isPut || !isWhole });
    if (this.#options.instructionFile) {
      this.#count(INSTRUCTION_REQUESTS);
      this.confirmations++;
    }
    // Where the first object that is looked for is not there yet, the bucket might not be either.
    if (this.requests.HeadObject > 0) this.requests.HeadBucket = 1;
    if (!this.largest || size > this.largest.plainBytes) this.largest = this.#describe(object, cut, isWhole);
    if (!this.smallest || size < this.smallest.size) this.smallest = object;
  }

  /** Undefined where the objects are files. */
  get reading(): Reading | undefined {
    const { objects, plainBytes: bytes } = this;
    const gets = this.#gets;
    if (Object.keys(gets).length === 0) return undefined;
    const requests = {
      ListObjectsV2: Math.ceil(this.#listed / PAGE_SIZE),
      HeadObject: SOURCE_HEADS * objects,
      GetObjectTagging: objects,
      GetObject: Object.values(gets).reduce((sum, count) => sum + count, 0),
    };
    return { requests, gets, bytes };
  }

  /** Requests one after the other: all but those of parts, many of which are under way at once. */
  get turns(): number {
    const { HeadBucket: _, UploadPart, ...others } = this.requests;
    const sum = (requests: Record<string, number>) => Object.values(requests).reduce((all, count) => all + count, 0);
    return sum(others) + (this.reading ? sum(this.reading.requests) - this.#uploadParts : 0);
  }

  /** What is looked at first is asked for its first bytes, and for a file beside it that says how it is sealed. */
  #read(
    { name, size }: PlannedObject,
    { storageClass, partCount, isLookedAt }: { storageClass: string; partCount: number; isLookedAt: boolean },
  ): void {
    const bytes = size > 0 ? partCount : 0;
    const looks = isLookedAt ? (size > 0 ? 2 : 1) : 0;
    this.#gets[storageClass] = (this.#gets[storageClass] ?? 0) + bytes + looks;
    if (name !== '') this.#listed++;
  }

  #count(requests: Partial<Requests>): void {
    for (const [name, count] of Object.entries(requests)) this.requests[name as keyof Requests] += count;
  }

  #describe({ path, name }: PlannedObject, cut: Cut, isWhole: boolean): LargestObject {
    const { plainSize, partCount } = cut.layout;
    const partSize = Math.max(...[1, Math.min(2, partCount)].map((number) => partOf(cut, number).plainSize));
    const needs = isWhole ? name !== '' && laneNeedsOf(this.#format) : needsOf(cut, this.#options);
    const crew = needs ? this.#tools.plan(needs) : undefined;
    return { path, plainBytes: plainSize, parts: partCount, partSize, isWhole, crew };
  }
}

/** How many data keys the cache would ask for, object after object. */
export class DataKeyTally {
  readonly #limits: KeyLimits;
  #messages = Number.POSITIVE_INFINITY;
  #bytes = 0;
  #objects = 0;
  count = 0;

  constructor({ cacheable }: { cacheable: boolean }) {
    this.#limits = cacheable ? DEFAULT_KEY_LIMITS : { ...DEFAULT_KEY_LIMITS, maxMessages: 1 };
  }

  add(plainSize: number): void {
    const { maxMessages, maxBytes } = this.#limits;
    if (this.#messages >= maxMessages || this.#bytes + plainSize > maxBytes) {
      this.count++;
      this.#messages = this.#bytes = 0;
    }
    this.#objects++;
    this.#messages++;
    this.#bytes += plainSize;
  }

  /** With those whose time is up before so many seconds have passed. An object that has begun needs no other. */
  countWithin(seconds: number): number {
    return Math.min(this.#objects, this.count + Math.floor((seconds * 1000) / this.#limits.maxAgeMs));
  }
}
