/**
 * A report as text, some hundred objects at a time. JSON lines have a summary as their last; in a CSV it would be a row
 * unlike all others. Spreadsheets take a cell that begins with `=`, `+`, `-` or `@` for a formula, and names of objects are
 * anybody's: such a cell gets an apostrophe before it, as they understand it.
 */
import { stringify } from 'csv-stringify/sync';
import type { ObjectRow } from '../ledger/types.ts';
import type { ReportSummary } from './report.ts';
import { type ReportRow, reportRow } from './report-row.ts';

/** Rows made text at once. */
const PAGE_COUNT = 500;

export function* jsonLines(rows: Iterable<ObjectRow>, target: string, summary: ReportSummary): Generator<string> {
  for (const page of pagesOf(rows)) {
    yield page.map((row) => `${JSON.stringify({ type: 'object', ...reportRow(row, target) })}\n`).join('');
  }
  yield `${JSON.stringify({ type: 'summary', ...summary })}\n`;
}

const COLUMNS: readonly (keyof ReportRow)[] = [
  'name',
  'state',
  'object',
  'plainBytes',
  'sealedBytes',
  'crc32',
  'crc32Confirmed',
  'format',
  'etag',
  'versionId',
  'sealiftId',
  'messageId',
  'kmsKey',
  'kmsRequestId',
  'attempts',
  'code',
  'message',
  'started',
  'finished',
];

export function* csv(rows: Iterable<ObjectRow>, target: string): Generator<string> {
  yield csvOf([COLUMNS]);
  for (const page of pagesOf(rows)) {
    const all = page.map((row) => reportRow(row, target));
    yield csvOf(all.map((row) => COLUMNS.map((column) => row[column])));
  }
}

/** As RFC 4180 has it, in UTF-8. */
export function csvOf(rows: readonly (readonly unknown[])[]): string {
  return stringify(rows as unknown[][], {
    record_delimiter: '\r\n',
    escape_formulas: true,
    cast: { boolean: (value) => String(value) },
  });
}

export function* pagesOf(rows: Iterable<ObjectRow>): Generator<ObjectRow[]> {
  let page: ObjectRow[] = [];
  for (const row of rows) {
    page.push(row);
    if (page.length < PAGE_COUNT) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
