/**
 * What the ledger remembers, as plain data. A job has objects (one for `put` and `get`, many for a migration later);
 * an object has attempts: one attempt is one message key and at most one upload id. A new upload is a new attempt.
 */
import type { Cut } from '../formats/message.ts';
import type { ObjectHeaders, WriteAnswer } from '../stores/store.ts';

/** A file as it was when the job was planned; what every thread and every resume compares with. */
export interface SourceIdentity {
  path: string;
  size: number;
  /** Nanoseconds since the epoch, as decimal strings: they do not fit a double. */
  mtimeNs: string;
  ctimeNs: string;
  inode: string;
  device: string;
  /** Its permissions, in octal. Nobody compares them. */
  mode: string;
}

/** An object as it was when its sealing was planned: the version that is read, and where it is resealed, that alone is replaced. */
export interface ObjectIdentity {
  url: string;
  /** Plain bytes. */
  size: number;
  etag: string;
  versionId?: string | undefined;
  /**
   * Of a sealed object, in hex. Two objects of one message id are one message: a store that gives one ETag to two is
   * found out.
   */
  messageId?: string | undefined;
  /** The modification time that its metadata keeps, as it stands there. */
  mtime?: string | undefined;
}

export interface JobRow {
  id: string;
  command: 'put' | 'get' | 'reseal' | 'migrate';
  /** What the user typed, resolved: an absolute path or a URL. */
  source: string;
  target: string;
  /** The options that decide bytes, as JSON: a resume must agree on them. */
  options: Readonly<Record<string, unknown>>;
  state: 'running' | 'done' | 'cancelled' | 'failed';
  /** Milliseconds since the epoch. */
  createdMs: number;
  finishedMs?: number | undefined;
}

/** A job before it has a ledger. Its id follows from command, source and target: see `jobIdOf`. */
export type NewJob = Pick<JobRow, 'command' | 'source' | 'target' | 'options'>;

/**
 * One message key and at most one upload id. Its layout is kept so that a resume cuts exactly as the first run did,
 * whatever the defaults are by then. A pipe's is the longest it may become, until its end is known.
 */
export type AttemptRow = AttemptFields & Cut;

interface AttemptFields {
  /** Counts from 1 within the job; the highest is the current one. */
  number: number;
  /** The file, or the object. A pipe has no identity. */
  source?: SourceIdentity | ObjectIdentity | undefined;
  /** The random `sealift-id` the object carries in its user metadata. */
  sealiftId: string;
  /** Sent by one PutObject: such an attempt has no upload id, one intent, and is never resumed under the same key. */
  single: boolean;
  /** Sent again byte for byte and never rebuilt: of an ESDK message header body and tag, else metadata as JSON. */
  header: Uint8Array;
  /** Where KMS made the data key: by which key, and by which call. */
  made?: { kmsKey: string; kmsRequestId?: string | undefined } | undefined;
  /** Of a signed message: its private key, sealed, in base64 (put/signing-key.ts). */
  signingKey?: string | undefined;
  /** What the target must (not) be for the write to happen. */
  condition: { ifNoneMatch: '*' } | { ifMatch: string } | Record<string, never>;
  headers: ObjectHeaders;
  /** What the instruction file beside the object is to say, where it has one (put/instructions.ts). */
  instructions?: string | undefined;
  /** The instruction file that this one takes the place of. */
  oldInstructions?: KeptFile | undefined;
  uploadId?: string | undefined;
  /** Given up, it is `aborted` where the store holds nothing of it, `lost` where its upload could not be aborted or a file not put back. */
  state: 'planned' | 'created' | 'completing' | 'done' | 'aborted' | 'lost';
  /** The store's answer to the finished write. */
  answer?: WriteAnswer | undefined;
}

/** A small object as it was, to be written again. */
export interface KeptFile {
  /** In base64. */
  body: string;
  headers: ObjectHeaders;
}

export type NewAttempt = Omit<AttemptFields, 'number' | 'uploadId' | 'state' | 'answer'> & Cut;

/** One object being fetched into one temporary file. */
export interface DownloadRow {
  /** Counts from 1 within the job; the highest is the current one. */
  number: number;
  objectUrl: string;
  etag: string;
  versionId?: string | undefined;
  objectSize: number;
  /** Written down before the file is made, so that whoever gives the job up finds it. */
  tempPath: string;
  /** Undefined until the file is there. */
  tempInode?: string | undefined;
  /** What the object says about itself, as read. */
  header: Uint8Array;
  /** Units of the format in a piece. */
  partUnitCount: number;
  /** Plain bytes wanted, first and last inclusive; all of them where absent. */
  range?: { first: number; last: number } | undefined;
  /** Plain bytes that will be written, and the pieces they come in, at least one. */
  plainSize: number;
  pieceCount: number;
}

export type NewDownload = Omit<DownloadRow, 'number' | 'tempInode'>;

/** A job as `jobs` shows it. */
export interface JobSummary extends JobRow {
  /** A process holds the job's lock now; its pid where it is known. */
  running: boolean;
  pid?: number | undefined;
  /** Sealed bytes of a put, plain bytes of a get; totals are 0 while they are not known: of a pipe until its end. */
  bytesDone: number;
  bytesTotal: number;
  partsDone: number;
  partsTotal: number;
  /** The store's answer to a put that is done. */
  answer?: AttemptRow['answer'];
  /** Of a migration: its objects by what has become of them. */
  objects?: ObjectCounts;
  /** How many of those have failed, by the code of each, most first. */
  failures?: Readonly<Record<string, number>>;
  /** Of a migration: more objects may be found. */
  listing?: boolean;
}

/** A ledger that cannot be read: listed all the same, so that it can be seen and removed. */
export interface DamagedJob {
  id: string;
  state: 'damaged';
  running: boolean;
  reason: string;
}

/** One part as it will be sent: recorded, on disk, before a byte of it leaves the process. */
export interface Intent {
  number: number;
  /** 32 bytes. Secret enough to print nowhere. */
  fingerprint: Uint8Array;
  sealedSize: number;
  crc32: number;
  /** Tags, in hex, of the frames that it shares with other parts, by frame number. */
  sharedTags: Readonly<Record<number, string>>;
  /** Of the last part, what the message ends with: a signature, or a tag. Counted in size and checksum. */
  footer?: Uint8Array | undefined;
  /** Of a part of one GCM message, what its tag is made from, sealed (put/vault.ts). */
  sealedHash?: Uint8Array | undefined;
}

/** A part as the store took it. */
export interface Receipt {
  number: number;
  etag: string;
  sealedSize: number;
  crc32: number;
}

/** A piece as it was verified, written to the temporary file and synced. */
export interface WrittenPiece {
  number: number;
  /** Of its plain bytes: a resume reads them back, because the file has lain open to others since. */
  crc32: number;
}

/** One object of a migration. */
export interface ObjectRow {
  /** In the order of the listing. */
  row: number;
  /** Behind the source's place and the target's prefix. No two objects of a job have one. */
  name: string;
  size: number;
  /** Moved in parts, as a job of its own. */
  isLarge: boolean;
  source: SourceFacts;
  /** `sending`: it may have reached the store, and only a look there tells. */
  state: 'pending' | 'sending' | 'done' | 'skipped' | 'failed';
  /** Times it has failed by a cause that may pass. */
  attempts: number;
  /** Why it failed last. */
  code?: string | undefined;
  message?: string | undefined;
  /** Of one that is or may have been sent. */
  target?: TargetFacts | undefined;
  startedMs?: number | undefined;
  finishedMs?: number | undefined;
}

/** What the listing said of it. */
export interface SourceFacts {
  /** It is no object, but a section that could not be listed, and failed in its stead. */
  isSection?: true | undefined;
  mtimeNs?: string | undefined;
  inode?: string | undefined;
  etag?: string | undefined;
  versionId?: string | undefined;
}

/** What was made of it. */
export interface TargetFacts {
  /** In its user metadata: tells this very writing of the object from every other. */
  sealiftId: string;
  /** In hex: names the message, so that an older version put back is noticed. What is not sealed has none. */
  messageId?: string | undefined;
  format: 'esdk' | 's3ec' | 'plain';
  /** Other messages that were sent before, and may be there: a process was killed, and nobody has looked since. */
  earlier?: readonly Pick<TargetFacts, 'sealiftId' | 'messageId'>[] | undefined;
  sealedSize: number;
  etag?: string | undefined;
  versionId?: string | undefined;
  crc32?: number | undefined;
  /** The store has confirmed the checksum. */
  isConfirmed?: boolean | undefined;
  /** What it was made of is gone, after the object had proven itself. */
  isSourceDeleted?: boolean | undefined;
  kmsKey?: string | undefined;
  kmsRequestId?: string | undefined;
}

/** As it was listed; one with a refusal has failed already. */
export type NewObject = Pick<ObjectRow, 'name' | 'size' | 'isLarge' | 'source'> & {
  refusal?: { code: string; message: string } | undefined;
};

/** How many objects are in a state, and their plain bytes. */
export type ObjectCounts = Readonly<Record<ObjectRow['state'], { count: number; bytes: number }>>;
