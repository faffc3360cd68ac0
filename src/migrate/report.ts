/**
 * `--report`: what became of every object of a migration, from its ledger, at any time: when the job is over, or while it
 * runs, as it is at one moment. Rows are read, made text and written one page after the other, so a report of a million
 * objects takes no more memory than one of ten.
 */
import { join } from 'node:path';
import { SealiftError } from '../errors.ts';
import type { JobResult, Tools } from '../job.ts';
import { BulkView } from '../ledger/bulk-view.ts';
import type { JobRow, ObjectCounts } from '../ledger/types.ts';
import { parseObjectUrl, parsePrefixUrl } from '../stores/object-url.ts';
import type { BatchResult, Destination, TaskStatus } from './report-batch.ts';
import type { ReportFormat } from './report-format.ts';
import { makeFolder, type ReportPlace, reportPlace } from './report-place.ts';

/** Where a report goes, and how it is written. */
export interface ReportOptions {
  /** A path or `s3://bucket/key`; of `s3-batch-operations` a folder's. What is there is replaced. */
  to: string;
  /** Default: `csv` where the name ends so, else `jsonl`. */
  format?: ReportFormat | undefined;
}

/** Of which job a report is to tell. */
export interface ReportRequest extends ReportOptions {
  /** A migration's id. */
  job: string;
  signal?: AbortSignal | undefined;
}

/** What a report comes to. */
export interface ReportSummary {
  job: string;
  /** Where it is: of `s3-batch-operations` its manifest. */
  report: string;
  format: ReportFormat;
  source: string;
  target: string;
  /** At that moment, as the counts are. */
  state: JobRow['state'];
  /** The source is not listed to its end: there may be more objects than are counted. */
  listing: boolean;
  objects: Readonly<Record<keyof ObjectCounts, number>>;
  /** Of those: what is not where it was to go. */
  missing: number;
  /** Of those done: how many the store did not confirm the checksum of. */
  unconfirmed: number;
  plainBytes: number;
  sealedBytes: number;
  /** How many have failed, by the code of each, most first. */
  failures: Readonly<Record<string, number>>;
}

/** Throws `no-such-job`, `usage`, `bad-option`, `bad-url`, and what keeps the report from being written. */
export async function report(request: ReportRequest, tools: Tools): Promise<ReportSummary> {
  using view = BulkView.open(tools.stateDir, request.job);
  const { target } = view.job;
  const format = formatOf(request);
  const { signal } = request;
  if (format === 's3-batch-operations') {
    const destination = destinationOf(target);
    const manifest = inFolder(request.to, 'manifest.json');
    const summary = summaryOf(view, manifest, format);
    await writeBatch(view, { to: request.to, manifest, destination, signal }, tools);
    return summary;
  }
  const { csv, jsonLines } = await import('./report-text.ts');
  const summary = summaryOf(view, request.to, format);
  const place = await placeOf(request.to, { format, signal }, tools);
  const rows = view.objects();
  await place.write(format === 'csv' ? csv(rows, target) : jsonLines(rows, target, summary));
  return summary;
}

/** Runs a migration that is to have a report at its end. That it cannot have one is told before anything else, where it is known. */
export async function reported(
  asked: ReportOptions | undefined,
  { tools, target, warn }: { tools: Tools; target: string; warn: (message: string) => void },
  job: () => Promise<JobResult>,
): Promise<JobResult> {
  if (!asked) return await job();
  await checkReport(asked, target, tools);
  const result = await job();
  try {
    return { ...result, report: await report({ ...asked, job: result.job }, tools) };
  } catch (thrown) {
    const { code, message } = SealiftError.from(thrown);
    const warning = `The report was not written (${code}): ${message}. \`sealift jobs ${result.job} --report\` writes it`;
    warn(warning);
    return { ...result, warnings: [...result.warnings, warning] };
  }
}

async function checkReport(asked: ReportOptions, target: string, tools: Tools): Promise<void> {
  const format = formatOf(asked);
  if (format !== 's3-batch-operations') return (await placeOf(asked.to, { format }, tools)).check();
  destinationOf(target);
  const manifest = inFolder(asked.to, 'manifest.json');
  if (asked.to.startsWith('s3://')) await (await placeOf(manifest, { format }, tools)).check();
}

function formatOf({ to, format }: ReportOptions): ReportFormat {
  return format ?? (/\.csv$/i.test(to) ? 'csv' : 'jsonl');
}

const CONTENT_TYPES = {
  jsonl: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
  's3-batch-operations': 'application/json',
};

function placeOf(
  to: string,
  { format, signal }: { format: ReportFormat; signal?: AbortSignal | undefined },
  tools: Tools,
): Promise<ReportPlace> {
  return reportPlace(to, tools, { contentType: CONTENT_TYPES[format], signal });
}

function summaryOf(view: BulkView, where: string, format: ReportFormat): ReportSummary {
  const { id, source, target, state } = view.job;
  const counts = view.counts();
  const { done, skipped, failed, pending, sending } = counts;
  return {
    job: id,
    report: where,
    format,
    source,
    target,
    state,
    listing: view.isListing,
    objects: {
      done: done.count,
      skipped: skipped.count,
      failed: failed.count,
      pending: pending.count,
      sending: sending.count,
    },
    missing: failed.count + pending.count + sending.count,
    unconfirmed: view.unconfirmed(),
    plainBytes: done.bytes,
    sealedBytes: view.sealedBytes(),
    failures: view.failures(),
  };
}

/** The manifest comes last: who finds it finds the rest. */
async function writeBatch(
  view: BulkView,
  where: { to: string; manifest: string; destination: Destination; signal: AbortSignal | undefined },
  tools: Tools,
): Promise<void> {
  const { BatchRows, manifestOf } = await import('./report-batch.ts');
  const { to, manifest, destination, signal } = where;
  const inS3 = to.startsWith('s3://');
  if (!inS3) await makeFolder(join(to, 'results'));
  const results: BatchResult[] = [];
  const { done, skipped, failed } = view.counts();
  const counts: [TaskStatus, number][] = [
    ['succeeded', done.count + skipped.count],
    ['failed', failed.count],
  ];
  for (const [status, count] of counts) {
    if (count === 0) continue;
    const file = inFolder(to, `results/${status}.csv`);
    const rows = new BatchRows(status, destination);
    await (await placeOf(file, { format: 'csv', signal }, tools)).write(rows.text(view.objects()));
    const at = inS3 ? (parseObjectUrl(file) as { bucket: string; key: string }) : { bucket: '', key: file };
    results.push({ status, ...at, md5: rows.md5() });
  }
  const last = await placeOf(manifest, { format: 's3-batch-operations', signal }, tools);
  await last.write([manifestOf(results)]);
}

function inFolder(folder: string, name: string): string {
  return folder.startsWith('s3://') ? `${folder.replace(/\/?$/, '/')}${name}` : join(folder, name);
}

/** Throws `bad-option` where the objects are in no bucket. */
function destinationOf(target: string): Destination {
  const url = target.startsWith('s3://') ? parsePrefixUrl(target) : undefined;
  if (url && 'bucket' in url) return { bucket: url.bucket, prefix: url.key };
  throw new SealiftError('bad-option', `A report of S3 Batch Operations has no way to tell of objects in ${target}`, {
    hint: 'It names a bucket in every line. Take --report-format jsonl or csv.',
  });
}
