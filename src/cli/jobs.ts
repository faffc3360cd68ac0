/** `sealift jobs [JOB]`: what is unfinished, and what was done. */
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { DamagedJob, Engine, JobChanges, JobSummary, ReportOptions } from '../index.ts';
import { formatDuration, formatRate, formatSize } from '../units.ts';
import { byteRate, pairs } from './flag-values.ts';
import { openEngine } from './keys.ts';
import { type EngineFlags, flag, flagsOf, outputOptions, stateOptions, storeOptions } from './options.ts';
import { columns, type Output, visible } from './output.ts';
import { type ReportFlags, reportOf, reportOptions, reportText } from './report.ts';
import { stopOnSignals } from './signals.ts';
import { watchJob } from './watch-job.ts';

const EXAMPLES = `
Examples:
  $ sealift jobs
  $ sealift jobs migrate-k3n5qxw7ta --watch                # from another terminal, until it has ended
  $ sealift jobs migrate-k3n5qxw7ta --set bwlimit=20MiB/s  # from now on
  $ sealift jobs migrate-k3n5qxw7ta --report photos.csv    # what became of every object so far`;

type Job = JobSummary | DamagedJob;
type Objects = NonNullable<JobSummary['objects']>;

export function addJobs(program: Command, output: Output): void {
  const command = program
    .command('jobs')
    .summary('list jobs, unfinished ones first')
    .description('Lists the jobs of the state folder, unfinished ones first, or shows one in detail.')
    .argument('[job]', 'the id of one job')
    .addHelpText('after', EXAMPLES)
    .addOption(flag('--set <name=value>', 'change a running migration: bwlimit=10MiB/s', pairs))
    .addOption(flag('--watch', 'show the job until nobody is at work on it any more'));
  for (const add of [reportOptions, storeOptions, stateOptions, outputOptions]) add(command);
  command.action(async (id: string | undefined) => {
    const flags = flagsOf<EngineFlags & ReportFlags & { watch?: boolean; set?: Record<string, string> }>(command);
    const asked = reportOf(flags);
    if (flags.watch) requireOne(id, flags);
    const changes = flags.set && changesOf(id, flags.set);
    await using engine = await openEngine(flags, 'none');
    if (asked) return await writeReport(engine, id, asked, output);
    if (changes) {
      await engine.change(id!, changes);
      output.say(`Job ${id} moves ${formatRate(changes.bwlimit)} at most from now on.`);
    }
    if (flags.watch) return await watch(engine, id!, output);
    const jobs = id === undefined ? unfinishedFirst(engine.jobs()) : [engine.job(id)];
    for (const job of jobs) output.json(jobLine(job));
    if (jobs.length === 0) output.say('There are no jobs.');
    else output.print(jobs.map(id === undefined ? briefly : inDetail).join('\n'));
  });
}

function requireOne(job: string | undefined, { report }: ReportFlags): void {
  if (job !== undefined && report === undefined) return;
  throw new SealiftError('usage', '--watch shows one job as it goes on, and does nothing else', {
    hint: 'Name the job, and leave --report out. `sealift jobs` lists the jobs there are.',
  });
}

/** Read before anything is changed. */
function changesOf(job: string | undefined, { bwlimit, ...others }: Record<string, string>): JobChanges {
  if (job !== undefined && bwlimit !== undefined && Object.keys(others).length === 0) {
    return { bwlimit: byteRate(bwlimit, '--set bwlimit') };
  }
  throw new SealiftError('usage', '--set changes the bandwidth of one running migration, and nothing else', {
    hint: 'Write it as `sealift jobs JOB --set bwlimit=10MiB/s`.',
  });
}

async function watch(engine: Engine, id: string, output: Output): Promise<void> {
  const tell = (job: JobSummary) => output.json(jobLine(job));
  output.print(inDetail(await watchJob({ read: () => engine.job(id), tell, output })));
}

async function writeReport(
  engine: Engine,
  job: string | undefined,
  asked: ReportOptions,
  output: Output,
): Promise<void> {
  if (job === undefined) {
    throw new SealiftError('usage', '--report tells of the objects of one job, and none is named', {
      hint: 'Run `sealift jobs` to see the jobs there are.',
    });
  }
  const summary = await engine.report({ ...asked, job, signal: stopOnSignals(output) });
  output.json({ type: 'report', ...summary });
  output.say(reportText(summary));
}

/** A job that ought to run and is not running was interrupted. */
export function stateOf({ state, running }: Job): string {
  return state === 'running' && !running ? 'interrupted' : state;
}

export function isUnfinished(job: Job): boolean {
  return job.state === 'running' || job.state === 'damaged';
}

function unfinishedFirst(jobs: readonly Job[]): Job[] {
  return [...jobs.filter(isUnfinished), ...jobs.filter((job) => !isUnfinished(job))];
}

function jobLine(job: Job): Record<string, unknown> {
  if (job.state === 'damaged') return { type: 'job', job: job.id, state: job.state, reason: job.reason };
  const { id, command, source, target, bytesDone, bytesTotal, partsDone, partsTotal, pid = null } = job;
  return {
    type: 'job',
    job: id,
    command,
    state: stateOf(job),
    source,
    target,
    bytesDone,
    bytesTotal,
    partsDone,
    partsTotal,
    ...(job.objects ? { objects: countsOf(job.objects), failures: job.failures, listing: job.listing } : {}),
    created: timeText(job.createdMs),
    finished: job.finishedMs === undefined ? null : timeText(job.finishedMs),
    pid,
    ...(job.answer ? { etag: job.answer.etag, versionId: job.answer.versionId ?? null } : {}),
  };
}

function briefly(job: Job): string {
  if (job.state === 'damaged') return visible(`${job.id}  damaged\n    ${job.reason}`);
  const age = formatDuration((Date.now() - job.createdMs) / 1000);
  const many = job.objects ? `, ${objectsText(job.objects)}` : '';
  const lines = [
    `${job.id}  ${stateOf(job)}, ${doneText(job)}${many}, begun ${age} ago`,
    `    ${job.command} ${job.source} -> ${job.target}`,
  ];
  return visible(lines.join('\n'));
}

function inDetail(job: Job): string {
  if (job.state === 'damaged') return briefly(job);
  const rows: [string, string][] = [
    ['job', job.id],
    ['state', stateOf(job)],
    ['command', job.command],
    ['from', job.source],
    ['to', job.target],
    ['done', doneText(job)],
    job.objects
      ? ['objects', objectsText(job.objects)]
      : ['parts', job.partsTotal === 0 ? String(job.partsDone) : `${job.partsDone} of ${job.partsTotal}`],
    ['begun', timeText(job.createdMs)],
  ];
  for (const [code, count] of Object.entries(job.failures ?? {})) rows.push(['failed', `${count} by ${code}`]);
  if (job.finishedMs !== undefined) rows.push(['ended', timeText(job.finishedMs)]);
  if (job.answer) rows.push(['ETag', job.answer.etag]);
  if (job.answer?.versionId !== undefined) rows.push(['version', job.answer.versionId]);
  if (job.pid !== undefined) rows.push(['process', String(job.pid)]);
  return columns(rows);
}

function doneText({ bytesDone, bytesTotal }: JobSummary): string {
  if (bytesTotal > 0) return `${formatSize(bytesDone)} of ${formatSize(bytesTotal)}`;
  return bytesDone > 0 ? `${formatSize(bytesDone)} so far` : 'nothing yet';
}

/** `{"pending":3,"sending":1,"done":20,"skipped":0,"failed":2}`. */
function countsOf(objects: Objects): Record<string, number> {
  return Object.fromEntries(Object.entries(objects).map(([state, { count }]) => [state, count]));
}

/** `20 done, 2 failed, 4 to do`, of what is listed so far. */
function objectsText({ done, failed, skipped, pending, sending }: Objects): string {
  const facts: [number, string][] = [
    [skipped.count, 'skipped'],
    [failed.count, 'failed'],
    [pending.count + sending.count, 'to do'],
  ];
  const others = facts.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  return `${done.count} done${others.join('')}`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
