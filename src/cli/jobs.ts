/** `sealift jobs [JOB]`: what is unfinished, and what was done. */
import type { Command } from 'commander';
import type { DamagedJob, JobSummary } from '../index.ts';
import { formatDuration, formatSize } from '../units.ts';
import { openEngine } from './keys.ts';
import { type EngineFlags, flagsOf, outputOptions, stateOptions } from './options.ts';
import { columns, type Output, visible } from './output.ts';

const EXAMPLES = `
Examples:
  $ sealift jobs
  $ sealift jobs put-k3n5qxw7ta
  $ sealift jobs --json | jq -r 'select(.state == "interrupted") | .job'`;

type Job = JobSummary | DamagedJob;

export function addJobs(program: Command, output: Output): void {
  const command = program
    .command('jobs')
    .summary('list jobs, unfinished ones first')
    .description('Lists the jobs of the state folder, unfinished ones first, or shows one in detail.')
    .argument('[job]', 'the id of one job')
    .addHelpText('after', EXAMPLES);
  for (const add of [stateOptions, outputOptions]) add(command);
  command.action(async (id: string | undefined) => {
    await using engine = await openEngine(flagsOf<EngineFlags>(command), 'none');
    const jobs = id === undefined ? unfinishedFirst(engine.jobs()) : [engine.job(id)];
    for (const job of jobs) output.json(jobLine(job));
    if (jobs.length === 0) output.say('There are no jobs.');
    else output.print(jobs.map(id === undefined ? briefly : inDetail).join('\n'));
  });
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
    created: timeText(job.createdMs),
    finished: job.finishedMs === undefined ? null : timeText(job.finishedMs),
    pid,
    ...(job.answer ? { etag: job.answer.etag, versionId: job.answer.versionId ?? null } : {}),
  };
}

function briefly(job: Job): string {
  if (job.state === 'damaged') return visible(`${job.id}  damaged\n    ${job.reason}`);
  const age = formatDuration((Date.now() - job.createdMs) / 1000);
  const lines = [
    `${job.id}  ${stateOf(job)}, ${doneText(job)}, begun ${age} ago`,
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
    ['parts', job.partsTotal === 0 ? String(job.partsDone) : `${job.partsDone} of ${job.partsTotal}`],
    ['begun', timeText(job.createdMs)],
  ];
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

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
