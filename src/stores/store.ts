/**
 * A store keeps sealed objects. One small interface: S3, a directory; a limit, a retry or a failure is a
 * wrapper around it. Every method may be retried inside (transport errors, throttling), each request has a stall
 * deadline, and every rejection is a SealiftError. Bytes handed in stay the caller's: the store never changes or
 * keeps them past the returned promise, and a retry sends the same bytes again.
 */
import type { KeyObject } from 'node:crypto';
import type { ServerEncryption } from './encryption.ts';

/** Headers kept with an object. `metadata` is S3's user metadata without its prefix, names in lower case. */
export interface ObjectHeaders {
  metadata: Readonly<Record<string, string>>;
  contentType?: string | undefined;
  storageClass?: string | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
  /** How the server is to encrypt it at rest. Where it is not asked, the bucket's default decides. */
  sse?: ServerEncryption | undefined;
  /** Of an object that takes another's place. */
  inherited?: InheritedHeaders | undefined;
}

/** What nobody chooses for a new object, and one that takes another's place has from that: plain data, as the ledger keeps it. */
export interface InheritedHeaders {
  cacheControl?: string | undefined;
  contentDisposition?: string | undefined;
  contentEncoding?: string | undefined;
  contentLanguage?: string | undefined;
  /** As an HTTP date. */
  expires?: string | undefined;
  /** Where a website's visitors are sent. */
  redirect?: string | undefined;
  retention?: { mode: string; until: string } | undefined;
  legalHold?: true | undefined;
}

/** All headers of an object that is there, and which one it is. */
export interface KeptHeaders extends ObjectHeaders {
  etag: string;
  lastModified?: Date | undefined;
  /** As of an `ObjectInfo`. */
  crc32?: number | undefined;
}

export interface ObjectInfo {
  size: number;
  etag: string;
  versionId?: string | undefined;
  /** User metadata, names in lower case. */
  metadata: Readonly<Record<string, string>>;
  /** CRC32 of the whole object as a number, where the store confirms one of type FULL_OBJECT. */
  crc32?: number | undefined;
  contentType?: string | undefined;
  storageClass?: string | undefined;
  lastModified?: Date | undefined;
  /** As the store tells it. */
  sse?: ServerEncryption | undefined;
}

/** What an object must (not) be for a write to happen: a new name, or the very object seen before. */
export type WriteCondition = { ifNoneMatch: '*' } | { ifMatch: string } | Record<string, never>;

export interface StoredPart {
  number: number;
  size: number;
  etag: string;
  crc32?: number | undefined;
}

/** A receipt of the store for a finished write. */
export interface WriteAnswer {
  etag: string;
  versionId?: string | undefined;
  /** As the store confirms it. */
  crc32?: number | undefined;
  /** As the store tells it. */
  sse?: ServerEncryption | undefined;
}

/** A body that is made while it is sent: too large to hold, or held back. */
export interface PartBody {
  /** Bytes that `slices` yields in all. */
  readonly byteLength: number;
  /**
   * The bytes in order, from the start at every call: a retry calls again. A slice is the reader's until it asks for
   * the next. What this throws ends the send.
   */
  slices(): AsyncIterable<Uint8Array>;
}

export interface PartToSend {
  uploadId: string;
  /** From 1. */
  number: number;
  /** Where the part begins in the object: a store that keeps the object in one file writes it there. */
  offset: number;
  body: Uint8Array | PartBody;
  crc32: number;
}

/** An upload to be made an object of. `size` and `crc32` are the whole object's. */
export interface CompletedUpload {
  uploadId: string;
  parts: readonly { number: number; etag: string; crc32: number }[];
  size: number;
  crc32: number;
  condition: WriteCondition;
}

/** An object as a listing has it. */
export interface ListedObject {
  key: string;
  size: number;
  lastModified?: Date | undefined;
  /** Undefined for S3's standard class. */
  storageClass?: string | undefined;
  /** Where the listing tells it. */
  etag?: string | undefined;
}

/** All keys that begin with this and go on behind a slash, which it ends with. */
export interface ListedPrefix {
  prefix: string;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** What is asked of a read. */
export interface ReadOptions extends CallOptions {
  ifMatch?: string | undefined;
  versionId?: string | undefined;
}

/** What is listed. */
export interface ListingOptions extends CallOptions {
  /** Also what lies behind further slashes. A directory knows no others. */
  recursive?: boolean | undefined;
  /** Only keys behind this one, in the order of keys. */
  startAfter?: string | undefined;
}

/** Bytes of an object on their way (object-stream.ts reads them). Until they are read, or it is disposed of, it holds a connection. */
export interface ObjectStream extends Disposable {
  /** Bytes that it has. */
  readonly size: number;
  /** The whole object's size. */
  readonly objectSize: number;
  readonly etag: string;
  readonly versionId?: string | undefined;
  /** User metadata, names in lower case. Few ask for it, and not every store has it at hand. */
  metadata(): Promise<Readonly<Record<string, string>>>;
  /**
   * Reads what comes next into `bytes`, and resolves to how many there were: all that fit as a rule, fewer where the
   * stream breaks off, which the next call tells, and 0 at its end. `bytes` are the stream's until then.
   */
  readInto(bytes: Uint8Array): Promise<number>;
}

/** One version of an object, and no other. */
export interface ObjectVersion {
  etag: string;
  versionId?: string | undefined;
}

/** What is copied. */
export interface CopySource extends ObjectVersion {
  /** With which the server has encrypted it. */
  customerKey?: KeyObject | undefined;
}

/** A copy of an object onto its own name, with these headers and no others. */
export interface ObjectCopy {
  source: CopySource;
  headers: ObjectHeaders;
  condition: WriteCondition;
}

/** Bytes `first` to `last` of an object, as a part of an upload under its own name. */
export interface PartCopy {
  source: CopySource;
  uploadId: string;
  number: number;
  first: number;
  last: number;
}

/** What a store does that copies its objects by itself. */
export interface Copies {
  /** Throws `object-changed` where the source is another version, `target-changed` where the condition fails. */
  copyObject(key: string, copy: ObjectCopy, options?: CallOptions): Promise<WriteAnswer>;

  /** Throws `object-changed`, `upload-lost`. */
  copyPart(key: string, part: PartCopy, options?: CallOptions): Promise<StoredPart>;

  /**
   * Deletes one version for good: one that is gone already is success. Where the bucket keeps none, the object: throws
   * `target-changed` where it is not this very one.
   */
  deleteVersion(key: string, version: ObjectVersion, options?: CallOptions): Promise<void>;
}

/** What a part's life needs of a store. */
export type PartStore = Pick<Store, 'sendPart' | 'read'> & {
  withCustomerKey(key: KeyObject | undefined): PartStore;
};

export interface Store {
  /** Undefined where the store cannot copy. */
  readonly copies?: Copies | undefined;

  /**
   * The same store and connections, for objects that the server encrypts with this key of the caller's (SSE-C), or with
   * none. Throws `sse-c-needs-https`, and `bad-option` where there is no server.
   */
  withCustomerKey(key: KeyObject | undefined): Store;

  /** `s3://bucket/key` or `file:///path`, for messages and results. */
  url(key: string): string;

  /** Undefined where no such object exists; `bucket-not-found` where there is no bucket or directory. */
  head(key: string, options?: CallOptions & { versionId?: string | undefined }): Promise<ObjectInfo | undefined>;

  /**
   * All that is kept with an object, for one that is to take its place. Throws `object-not-found`, and `cannot-carry` for
   * what that could not be given.
   */
  headers(key: string, options?: CallOptions & { versionId?: string | undefined }): Promise<KeptHeaders>;

  /**
   * Writes a small object in one request. Throws `target-exists` when the condition fails; `upload-lost` is never
   * thrown. When the answer was lost the caller asks `head`.
   */
  putObject(
    key: string,
    body: Uint8Array | PartBody,
    options: CallOptions & ObjectHeaders & { crc32: number; condition: WriteCondition },
  ): Promise<WriteAnswer>;

  /**
   * Starts a multipart upload with a FULL_OBJECT CRC32. Resolves to the upload id. `onAskedAgain` is called before where
   * the request was made more than once: there may be a second upload, of which nobody heard. Throws
   * `encryption-mismatch` where the store will not encrypt as it was asked to: the upload is gone again then.
   */
  createUpload(
    key: string,
    options: CallOptions & ObjectHeaders & { onAskedAgain?: (() => void) | undefined },
  ): Promise<string>;

  /** Sends one part. Throws `upload-lost` where the upload is gone. */
  sendPart(key: string, part: PartToSend, options?: CallOptions): Promise<{ etag: string }>;

  /** All parts the store holds, by number. Throws `upload-lost` where the upload is gone. */
  listParts(key: string, uploadId: string, options?: CallOptions): AsyncIterable<StoredPart>;

  /** Uploads in progress under exactly this key. */
  listUploads(key: string, options?: CallOptions): AsyncIterable<{ uploadId: string; initiated: Date }>;

  /**
   * Completes an upload; parts, size and checksum are checked by the store. Throws `target-exists` when the condition
   * fails, `upload-lost` where the upload is gone or must be started again (409).
   */
  completeUpload(key: string, upload: CompletedUpload, options?: CallOptions): Promise<WriteAnswer>;

  /** Frees an upload's parts. An upload that is gone already is success. */
  abortUpload(key: string, uploadId: string, options?: CallOptions): Promise<void>;

  /**
   * Opens a stream over bytes `first` to `last` (inclusive; both may be past the end as S3 allows) of one version of
   * an object. Throws `object-changed` when `ifMatch` fails, `object-not-found`. The stream rejects on a stall or a
   * short body; it is not resumed inside: the caller reads again from where it stopped.
   */
  read(key: string, range: { first: number; last: number }, options?: ReadOptions): Promise<ObjectStream>;

  /**
   * Objects whose keys begin with `prefix`, in the order of their keys, fetched page by page as they are asked for. Keys
   * with a slash behind `prefix` are told as their common beginning, unless `recursive`.
   */
  list(prefix: string, options?: ListingOptions): AsyncIterable<ListedObject | ListedPrefix>;

  /** Lets sockets go. */
  close(): void;
}
