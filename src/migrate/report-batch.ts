/**
 * A report as S3 Batch Operations writes one when a job is over, for whatever reads those already: a manifest, and a file of
 * what has succeeded and one of what has failed. Of AWS's own examples the rows disagree with the schema that the manifest
 * tells; ours are as the schema says. Keys are URL-encoded, so that a line is an object whatever it is called. What is yet to
 * be done is in neither file.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
 */
import { createHash } from 'node:crypto';
import type { ObjectRow } from '../ledger/types.ts';
import { csvOf, pagesOf } from './report-text.ts';

export const BATCH_SCHEMA = 'Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage';

/** Where the objects are. */
export interface Destination {
  bucket: string;
  /** What their keys begin with. */
  prefix: string;
}

export type TaskStatus = 'succeeded' | 'failed';

/** A file of the report, once it is written. */
export interface BatchResult {
  status: TaskStatus;
  /** Where the report is. '' on a disk. */
  bucket: string;
  key: string;
  md5: string;
}

export function manifestOf(results: readonly BatchResult[]): string {
  const manifest = {
    Format: 'Report_CSV_20180820',
    ReportCreationDate: new Date().toISOString(),
    Results: results.map(({ status, bucket, key, md5 }) => ({
      TaskExecutionStatus: status,
      Bucket: bucket,
      MD5Checksum: md5,
      Key: key,
    })),
    ReportSchema: BATCH_SCHEMA,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Rows of one file. Its MD5 is known at the end. */
export class BatchRows {
  readonly #hash = createHash('md5');
  readonly #status: TaskStatus;
  readonly #destination: Destination;

  constructor(status: TaskStatus, destination: Destination) {
    this.#status = status;
    this.#destination = destination;
  }

  *text(rows: Iterable<ObjectRow>): Generator<string> {
    for (const page of pagesOf(this.#settled(rows))) {
      const text = csvOf(page.map((row) => this.#columnsOf(row)));
      this.#hash.update(text);
      yield text;
    }
  }

  md5(): string {
    return this.#hash.digest('hex');
  }

  *#settled(rows: Iterable<ObjectRow>): Generator<ObjectRow> {
    const states = this.#status === 'succeeded' ? ['done', 'skipped'] : ['failed'];
    for (const row of rows) if (states.includes(row.state)) yield row;
  }

  /** In the order of the schema. */
  #columnsOf({ name, state, target, code = '', message = '' }: ObjectRow): string[] {
    const { bucket, prefix } = this.#destination;
    const versionId = state === 'done' ? (target?.versionId ?? '') : '';
    const outcome = {
      done: ['', '200', 'Successful'],
      skipped: ['', '200', 'Skipped: it was there and the same'],
      failed: [code, '', message],
    }[state as 'done' | 'skipped' | 'failed'];
    return [bucket, encodeKey(prefix + name), versionId, this.#status, ...outcome];
  }
}

/** A hyphen at the beginning is written so that no spreadsheet takes it for a formula. */
function encodeKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/').replace(/^-/, '%2D');
}
