/** One job, from its first event to its result: what `put`, `get`, `verify` and `resume` have in common. */
import { CODES, type ErrorCode, EXIT } from '../errors.ts';
import type { JobEvent, JobResult, RunOptions, Stage, StageSeconds } from '../index.ts';
import { encryptionText } from '../stores/encryption.ts';
import { formatDuration, formatRate, formatSize, MiB } from '../units.ts';
import type { WatchFlags } from './options.ts';
import { columns, counted, type Output } from './output.ts';
import { ProgressReport } from './progress.ts';
import { reportText } from './report.ts';
import { Watchers } from './watchers.ts';

export interface JobReport {
  output: Output;
  signal: AbortSignal;
  /** `/data/db.tar`, `s3://bucket/db.tar`, in the words of the user. */
  from: string;
  /** Of a verify there is none. */
  to?: string;
  /** Tell for each part whether it is kept, and why. */
  explain?: boolean | undefined;
  /** Tell each object that fails. */
  tellsFailed?: boolean | undefined;
  /** Who else follows it. */
  watch?: WatchFlags | undefined;
}

/** Runs a job and reports it. Resolves to the exit status; rejects with the job's error. */
export async function runJob(report: JobReport, job: (options: RunOptions) => Promise<JobResult>): Promise<number> {
  const { output, signal, explain, tellsFailed, watch = {} } = report;
  await using watchers = await Watchers.open(watch, output);
  let result: JobResult;
  let reusedBytes: number;
  {
    using progress = new ProgressReport(output, { explain, tellsFailed });
    const onEvent = (event: JobEvent) => {
      progress.hear(event);
      watchers.hear(event);
    };
    try {
      result = await job({ signal, onEvent });
    } catch (thrown) {
      watchers.failed(thrown);
      throw thrown;
    }
    watchers.result(result);
    reusedBytes = progress.reusedBytes;
  }
  output.json({ type: 'result', ...result });
  output.say(resultText(report, result, reusedBytes));
  if (result.kmsRequestIds.length > 0) output.detail(`KMS request ids: ${result.kmsRequestIds.join(', ')}`);
  if (result.failed > 0) output.say(failuresText(result));
  if (result.report) output.say(reportText(result.report));
  if (result.stages) output.say(stagesText(result.stages));
  if (isDisproved(result)) return EXIT.integrity;
  return result.warnings.length > 0 || result.failed > 0 ? EXIT.warnings : EXIT.done;
}

/** Of a verify of many: something is gone, damaged or replaced. What could only not be looked at may be as it was. */
function isDisproved({ command, failures = {} }: JobResult): boolean {
  const codes = Object.keys(failures) as ErrorCode[];
  return command === 'verify' && codes.some((code) => CODES[code] === EXIT.integrity || GONE.has(code));
}

const GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'object-changed',
  'object-not-found',
  'bucket-not-found',
  'not-sealed',
]);

/** What is not sealed is not opened either, and its checksum is all that was compared. */
const DONE_UNSEALED = { put: 'Uploaded, not sealed:', get: 'Downloaded, not sealed:', verify: 'Compared, not sealed:' };

const DONE = {
  put: 'Sealed',
  get: 'Opened',
  verify: 'Verified',
  reseal: 'Resealed',
  rewrap: 'Rewrapped',
  migrate: 'Migrated',
} as const;

function resultText({ from, to }: JobReport, result: JobResult, reusedBytes: number): string {
  const { command, plainBytes, parts, partsReused, seconds, kmsCalls, signed, seal, sse, sample } = result;
  const kept = partsReused > 0 ? ` (${partsReused} kept from before)` : '';
  const many = result.object === null ? objectsText(result) : `${counted(parts, 'part')}${kept}`;
  const facts = [`${formatSize(plainBytes)} in ${many}`, timeText(seconds)];
  const movedBytes = plainBytes - reusedBytes;
  // The rate of a moment says nothing.
  if (movedBytes >= MiB) facts.push(formatRate(movedBytes / seconds));
  if (!seal) facts.push(counted(kmsCalls, 'KMS call'));
  if (sample) facts.push(`${sample.objects} of ${counted(sample.of, 'object')} by seed ${sample.seed}`);
  if (signed) facts.push('signed');
  // What every object of S3 has needs no words.
  if (sse && (sse.algorithm !== 'AES256' || sse.customerKeyMd5)) facts.push(`at rest ${encryptionText(sse)}`);
  const done = (seal && DONE_UNSEALED[command as keyof typeof DONE_UNSEALED]) ?? DONE[command];
  return `${done} ${from}${to === undefined ? '' : ` into ${to}`}\n${facts.join(', ')}`;
}

/** `20 objects (3 more failed, 2 skipped)`. */
function objectsText({ objects, failed, skipped }: JobResult): string {
  const others = [failed > 0 ? `${failed} failed` : '', skipped > 0 ? `${skipped} skipped` : ''].filter(Boolean);
  return counted(objects, 'object') + (others.length > 0 ? ` (${others.join(', ')})` : '');
}

/** What failed, by code, and how to go on. */
export function failuresText({ command, job, failures = {} }: Pick<JobResult, 'command' | 'job' | 'failures'>): string {
  const rows = Object.entries(failures).map(([code, count]) => `${String(count).padStart(9)}  ${code}`);
  const onward = command === 'migrate' ? `\n\`sealift resume ${job} --failed\` tries them again.` : '';
  return `Failed:\n${rows.join('\n')}${onward}`;
}

const STAGE_WORDS: Record<Stage, string> = {
  disk: 'reading the source, writing the target',
  cipher: 'sealing, opening',
  checksum: 'CRC, fingerprint',
  ledger: 'waiting for the ledger',
  network: 'waiting for the store',
  kms: 'waiting for a data key',
};

/** Longest first. Those of parts in flight at once add up, so shares say more than seconds. */
function stagesText(stages: StageSeconds): string {
  const all = Object.values(stages).reduce((sum, seconds) => sum + seconds, 0);
  const longestFirst = (Object.entries(stages) as [Stage, number][]).sort(([, one], [, other]) => other - one);
  const rows = longestFirst.map(([stage, seconds]) => {
    const percent = Math.round((100 * seconds) / (all || 1));
    return [
      stage,
      `${String(percent).padStart(3)} %  ${seconds.toFixed(2).padStart(8)} s  ${STAGE_WORDS[stage]}`,
    ] as const;
  });
  return `Where the time of all parts went:\n${columns(rows)}`;
}

function timeText(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds);
}
