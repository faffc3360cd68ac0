/** What the sandbox saw: one record a request, when it has ended or was cut. */
import { closeSync, openSync, writeSync } from 'node:fs';

/** `kms` and `servicequotas` share a protocol, AWS JSON 1.1. */
export type ServiceName = 's3' | 'kms' | 'servicequotas';

export interface RequestRecord {
  /** Milliseconds since 1970, with fractions: when the head of the request was read. */
  time: number;
  /** When the first byte of the body came; null where there was none. */
  firstByteTime: number | null;
  service: ServiceName;
  /** As the answer has it. */
  requestId: string;
  /** As the SDKs name it. */
  operation: string;
  bucket: string | null;
  key: string | null;
  partNumber: number | null;
  uploadId: string | null;
  /** Bytes of bodies, as they went over the wire. */
  bytesIn: number;
  bytesOut: number;
  /** Calls to KMS that S3 itself would have made for it, of the same quota as everybody's (s3/kms-use.ts). */
  kmsCalls: number;
  /** 0 where the connection was cut before an answer. */
  status: number;
  errorCode: string | null;
  /** The kind of fault that struck. */
  fault: string | null;
  ms: number;
}

/** Appends records to a file as JSON lines, each at once: whoever reads along, or kills us, misses none. */
export class RequestLog {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'a');
  }

  write(record: RequestRecord): void {
    writeSync(this.#fd, `${JSON.stringify(record)}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
