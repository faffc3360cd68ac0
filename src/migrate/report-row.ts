/** One object in a report: what the ledger knows of it, in the words of whoever reads that. */
import { join } from 'node:path';
import type { ObjectRow } from '../ledger/types.ts';
import { isObjectUrl } from '../put/find-source.ts';
import { encodeCrc32 } from '../stores/s3-fields.ts';
import { urlIn } from './target.ts';

/** In the order of a CSV's columns. Null where there is nothing to tell. */
export interface ReportRow {
  name: string;
  state: ObjectRow['state'];
  /** Where it is or would be: a URL, or of what was restored a path. */
  object: string;
  plainBytes: number;
  sealedBytes: number | null;
  /** As S3 writes it: four bytes in base64. */
  crc32: string | null;
  /** The store has said so itself. */
  crc32Confirmed: boolean | null;
  format: string | null;
  etag: string | null;
  versionId: string | null;
  sealiftId: string | null;
  messageId: string | null;
  kmsKey: string | null;
  /** What CloudTrail knows the call by that made its data key, or the one it shares. */
  kmsRequestId: string | null;
  /** Times it was tried. */
  attempts: number;
  code: string | null;
  message: string | null;
  started: string | null;
  finished: string | null;
}

export function reportRow(row: ObjectRow, target: string): ReportRow {
  const { name, state, size, attempts, code = null, message = null, startedMs, finishedMs } = row;
  // What was not done, or not yet, may never have reached the store.
  const made = state === 'done' ? row.target : undefined;
  return {
    name,
    state,
    object: isObjectUrl(target) ? urlIn(target, name) : join(target, name),
    plainBytes: size,
    sealedBytes: made?.sealedSize ?? null,
    crc32: made?.crc32 === undefined ? null : encodeCrc32(made.crc32),
    crc32Confirmed: made ? (made.isConfirmed ?? false) : null,
    format: made?.format ?? null,
    etag: made?.etag ?? null,
    versionId: made?.versionId ?? null,
    sealiftId: made?.sealiftId ?? null,
    messageId: made?.messageId ?? null,
    kmsKey: made?.kmsKey ?? null,
    kmsRequestId: made?.kmsRequestId ?? null,
    attempts: state === 'done' || state === 'skipped' ? attempts + 1 : attempts,
    code,
    message,
    started: timeOf(startedMs),
    finished: timeOf(finishedMs),
  };
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
