/**
 * What the ledger remembers, as plain data. A job has objects (one for `put` and `get`, many for a migration later);
 * an object has attempts: one attempt is one message key and at most one upload id. A new upload is a new attempt.
 */

/** A file as it was when the job was planned; what every thread and every resume compares with. */
export interface SourceIdentity {
  path: string;
  size: number;
  /** Nanoseconds since the epoch, as decimal strings: they do not fit a double. */
  mtimeNs: string;
  ctimeNs: string;
  inode: string;
  device: string;
}

export interface JobRow {
  id: string;
  command: 'put' | 'get';
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

/** One part as it will be sent: recorded, on disk, before a byte of it leaves the process. */
export interface Intent {
  number: number;
  /** 32 bytes. Secret enough to print nowhere. */
  fingerprint: Uint8Array;
  sealedSize: number;
  crc32: number;
}

/** A part as the store took it. */
export interface Receipt {
  number: number;
  etag: string;
  sealedSize: number;
  crc32: number;
}
