/**
 * What goes down to a thread and what comes up again. Tasks are small: offsets, keys as KeyObjects, where to read and
 * where to send. The bytes of a part never cross, but where they come from a pipe: their ArrayBuffer is moved. Those
 * that the main thread looks at, to hash them or to write them to a pipe, lie in memory that both share.
 */
import type { KeyObject } from 'node:crypto';
import type { ErrorData } from '../errors.ts';
import type { Message } from '../formats/message.ts';
import type { Units } from '../formats/units.ts';
import type { Intent, ObjectIdentity, Receipt, SourceIdentity } from '../ledger/types.ts';
import type { SharedBandwidth } from '../limits/bandwidth.ts';
import type { Credentials } from '../stores/aws-settings.ts';
import type { StoreSettings } from '../stores/open.ts';
import type { ObjectHeaders } from '../stores/store.ts';
import type { CarryReceipt, CarryTask } from './carry-objects.ts';
import type { RestoreReceipt, RestoreTask } from './restore-objects.ts';
import type { StageSeconds, Stopwatch } from './stopwatch.ts';

/** What a thread is given when it starts. */
export interface ThreadData {
  /** What the bytes of all threads together keep to. */
  limit: SharedBandwidth | undefined;
}

/** What goes up before a part is sent. */
export interface Announced {
  intent: Intent;
  /** Of a part of one GCM message: what its tag is made from. Secret. */
  hash?: Uint8Array | undefined;
  /**
   * Where the task asked for it, the part's sealed bytes in memory that threads share. They belong to whoever hears of them until
   * the answer: who sealed them does not touch them meanwhile.
   */
  sealed?: Uint8Array | undefined;
  /** Of an object's plain bytes, where its store keeps a checksum: the CRC32 of those that the part alone has. */
  plainCrc32?: number | undefined;
}

/** How a thread reaches the store. The main thread resolves credentials and puts fresh ones into every task. */
export interface StoreAccess {
  settings: StoreSettings;
  /** Undefined where the store asks for none. */
  credentials: Credentials | undefined;
  /** With which the server encrypts the object that is read or written (SSE-C). */
  customerKey: KeyObject | undefined;
}

/**
 * Where a part's plain bytes come from: a file, a pipe's part that was read already and is moved to the thread, or an
 * object of a store.
 */
export type PartSource = SourceIdentity | PipedPart | ObjectPart;

/** Of an object, wherever it is: perhaps in the very place that the new one will take. */
export interface ObjectPart extends ObjectContents {
  object: ObjectIdentity;
  store: StoreAccess;
  objectKey: string;
  /** Of an object that proves itself only as a whole: SHA-256 of the part's plain bytes, as they were proven. */
  digest?: Uint8Array | undefined;
}

/** What is in an object that is read to be sealed. */
export interface ObjectContents {
  /** How it is opened; undefined where its bytes are plain. */
  message?: Message | undefined;
  /** Of plain bytes: the CRC32 of all of them, where the store keeps one to compare with. */
  crc32?: number | undefined;
}

export interface PipedPart {
  /** All of the part. Whoever seals it releases it. */
  plain: Uint8Array<ArrayBuffer>;
}

export interface SealTask {
  kind: 'seal';
  store: StoreAccess;
  message: Message;
  source: PartSource;
  /** As the ledger has it; an ESDK message begins with it. */
  header: Uint8Array;
  number: number;
  objectKey: string;
  uploadId: string;
  /** Hold the sealed part in memory; else seal it twice. */
  held: boolean;
  /** Seal, compare with the ledger, send nothing: for a kept part whose source has become doubtful, or that is hashed again. */
  compareOnly: boolean;
  /** Tell in the receipt where the time went. */
  profiled: boolean;
  /** Show the sealed bytes with the intent: they are to be signed, or they are the last and will get a footer. */
  show: boolean;
}

export interface OpenTask extends Units {
  kind: 'open';
  store: StoreAccess;
  message: Message;
  objectKey: string;
  etag: string;
  versionId?: string | undefined;
  /** Plain bytes wanted, inclusive; bytes of the units outside are dropped. `last` < `first` wants none. */
  range: { first: number; last: number };
  /** As of a SealTask. */
  profiled: boolean;
  /** Where the opened bytes go: into a file at their place in the range, to whoever is shown them, or nowhere. */
  target: { path: string } | { shown: true } | { nowhere: true };
}

/** What is opened, by whoever has its store. */
export type PartToOpen = Omit<OpenTask, 'kind' | 'store' | 'profiled'>;

/** Small objects, each sealed whole and sent in one request: so many that their tasks and receipts go together. */
export interface SendTask {
  kind: 'send';
  store: StoreAccess;
  objects: readonly ObjectToSend[];
  profiled: boolean;
}

export interface ObjectToSend {
  objectKey: string;
  message: Message;
  header: Uint8Array;
  source: PartSource;
  headers: ObjectHeaders;
  /** As its metadata has it. */
  sealiftId: string;
  signingKey?: KeyObject | undefined;
  /** Replace what is there. */
  overwrite: boolean;
  /** Look at the target first: something may be there, perhaps what was sent before a crash under one of these ids. */
  look: boolean;
  earlierIds: readonly string[];
  /** Metadata by which what is there is known to be of the same source. */
  sameAs: Readonly<Record<string, string>>;
}

/** What has become of one of them. */
export type SentObject =
  | {
      outcome: 'done';
      sealiftId: string;
      size: number;
      etag: string;
      versionId?: string | undefined;
      crc32?: number | undefined;
    }
  /** The same is there already. */
  | { outcome: 'skipped' }
  | { outcome: 'failed'; error: ErrorData };

export type PartTask = SealTask | OpenTask | SendTask | RestoreTask | CarryTask;

export interface SendReceipt {
  /** In the order of the task's objects. */
  sent: SentObject[];
}

/** What crosses where opened bytes are looked at on another thread. */
export interface Shown {
  /** In memory that threads share. */
  plain: Uint8Array;
  hash: Uint8Array | undefined;
}

/** What the opening of a part needs of whoever wants it. */
export interface OpenLink {
  /**
   * Resolves once nobody looks at the bytes any more; their memory is used again then. `hash` is the receipt's: whoever
   * looks at what proves itself only as a whole can tell by it what was proven before.
   */
  show(plain: Uint8Array, hash: Uint8Array | undefined): Promise<void>;
  /** Whoever is shown them is on another thread. */
  readonly isElsewhere: boolean;
  /** Aborts when they are not waited for any longer. */
  readonly cut: AbortSignal | undefined;
  readonly watch: Stopwatch;
}

/** What the thread needs back from the main thread before it may send. */
export interface Link {
  /**
   * Resolves once the intent is on disk, to what is there: the last part has grown by the footer where the message ends with one.
   * Rejects where the ledger refuses it; nothing may be sent then.
   */
  announce(part: Announced): Promise<Intent>;
  /** Aborts when the main thread will wait no longer. */
  readonly cut: AbortSignal;
  readonly watch: Stopwatch;
}

export interface OpenReceipt {
  plainSize: number;
  /** Of the bytes that were written, where they went into a file. */
  crc32?: number | undefined;
  /** Of an object that only as a whole proves itself: what its tag is made from. Secret. */
  hash?: Uint8Array | undefined;
}

/** Where a part's time went, if the task has asked. */
export interface Timed {
  stages?: StageSeconds | undefined;
}

/** Errors cross as data: structured clone drops an error's class and fields. */
export type TaskAnswer<T> = { value: T } | { error: ErrorData };

export type AnyReceipt = Receipt | OpenReceipt | SendReceipt | RestoreReceipt | CarryReceipt;

export type { Receipt };
