/**
 * `sealift resume [JOB]`: go on with what was interrupted. A job's memo holds the flags it was begun with, so only keys
 * and memory may have to be named again, where they are to be others.
 */
import type { Command } from 'commander';
import { EXIT, SealiftError } from '../errors.ts';
import type { DamagedJob, JobSummary, ServerEncryption } from '../index.ts';
import { nothingDone } from '../job.ts';
import { encryptionAsked } from '../stores/encryption.ts';
import { type ChoiceFlags, namesOf } from './choice.ts';
import { type CustomerKeyFlags, customerKeyOptions, customerKeysOf } from './encryption.ts';
import { openOptions } from './get.ts';
import { isUnfinished, stateOf } from './jobs.ts';
import { type KeyUse, openEngine } from './keys.ts';
import { migrateOptions, migrateUseOf } from './migrate.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  keyOptions,
  type Memo,
  openKeyOptions,
  outputOptions,
  stateOptions,
  storeOptions,
  type WatchFlags,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { readingOf, sealOptions } from './put.ts';
import type { ReportFlags } from './report.ts';
import { type ResealFlags, resealOptions } from './reseal.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';
import { watchOptions } from './watchers.ts';

type ResumeFlags = EngineFlags & CustomerKeyFlags & ReportFlags & WatchFlags & { explain?: boolean; failed?: boolean };

/** Of several jobs' exit statuses the first of these is the command's. */
const WORST_FIRST = [
  EXIT.integrity,
  EXIT.failed,
  EXIT.usage,
  EXIT.unavailable,
  EXIT.interrupted,
  EXIT.warnings,
  EXIT.done,
];

const EXAMPLES = `
Examples:
  $ sealift resume                                  # all unfinished jobs, one after the other
  $ sealift resume put-k3n5qxw7ta --explain         # says for each part: kept, or to do, and why
  $ sealift resume --raw-key /mnt/usb/backup.key    # the key file is somewhere else now
  $ sealift resume migrate-k3n5qxw7ta --failed      # also what has failed, and of a migration that is over

Of several jobs one that fails does not stop the rest. The exit status is the worst: 6, 1, 2, 5, 4, 3, 0.`;

export function addResume(program: Command, output: Output): void {
  const command = program
    .command('resume')
    .summary('go on with interrupted jobs')
    .description('Goes on with one interrupted job, or with all of them, as they were begun.')
    .argument('[job]', 'its id, as `sealift jobs` shows it')
    .addHelpText('after', EXAMPLES)
    .addOption(flag('--explain', 'tell for each part whether it is kept, and why'))
    .addOption(flag('--failed', 'of a migration: try again what has failed'));
  for (const add of [
    keyOptions,
    openKeyOptions,
    workOptions,
    storeOptions,
    customerKeyOptions,
    stateOptions,
    outputOptions,
    watchOptions,
  ])
    add(command);

  command.action(async (id: string | undefined) => {
    const jobs = await jobsToResume(flagsOf<ResumeFlags>(command), id);
    if (jobs.length === 0) tellNothingToDo(output, id);
    const signal = stopOnSignals(output);
    const exits: number[] = [EXIT.done];
    for (const job of jobs) {
      if (signal.aborted) {
        exits.push(EXIT.interrupted);
        break;
      }
      try {
        exits.push(await resumeJob(command, output, signal, job));
      } catch (error) {
        exits.push(output.fail(error, { job: job.id }).exit);
      }
    }
    process.exitCode = WORST_FIRST.find((exit) => exits.includes(exit))!;
  });
}

/** Unfinished ones that nobody is at work on; a job named by its id is tried even so, to say who is. */
async function jobsToResume(flags: ResumeFlags, id: string | undefined): Promise<(JobSummary | DamagedJob)[]> {
  await using engine = await openEngine(flags, 'none');
  if (id !== undefined) return [engine.job(id)].filter((job) => isUnfinished(job) || (flags.failed && hasFailed(job)));
  return engine.jobs().filter((job) => isUnfinished(job) && !job.running);
}

/** A migration that is over, and of which some objects have failed, or may have been kept at its source. */
function hasFailed({ state, objects, options }: JobSummary): boolean {
  if (state !== 'done' || objects === undefined) return false;
  return objects.failed.count > 0 || (options.memo as Partial<Memo> | undefined)?.flags?.deleteSource === true;
}

async function resumeJob(
  command: Command,
  output: Output,
  signal: AbortSignal,
  job: JobSummary | DamagedJob,
): Promise<number> {
  if (job.state === 'damaged') {
    throw new SealiftError('ledger-corrupt', job.reason, {
      hint: 'Run the put or get that began it with --fresh, to start again under a new key, or cancel the job.',
    });
  }
  if (job.command === 'put' && job.source === '-') return await endPipe(flagsOf<ResumeFlags>(command), output, job);
  const begun = (job.options.memo as Partial<Memo> | undefined)?.flags;
  if (!begun) {
    throw new SealiftError('usage', `Job ${job.id} was not begun on the command line`, {
      hint: 'Run the program that began it once more.',
    });
  }
  const given = flagsOf<ResumeFlags & ResealFlags & ChoiceFlags>(command, begun);
  const flags = { ...given, sseC: await sseCFor(job, { begun: begun.sseC as string | undefined, given: given.sseC }) };
  const { source, target, command: does } = job;
  // Keys that are named for other jobs are none of an unsealed one's business.
  const use = flags.seal === 'none' ? 'none' : useOf(job);
  await using engine = await openEngine(flags, use);
  output.say(`${job.id} (${stateOf(job)}): ${does} ${source} ${target}`);
  const { customerKey } = await customerKeysOf(flags);
  const reading = await readingOf(source, flags);
  const reseal = does === 'reseal' ? await resealOptions(flags) : undefined;
  // Awaited here: the engine is closed as soon as this returns.
  const { explain } = flags;
  return await runJob({ output, signal, from: source, to: target, explain, watch: flags }, (run) => {
    if (does === 'migrate') {
      return engine.migrate({
        ...migrateOptions(flags),
        ...reading,
        customerKey,
        // Nobody has the pipe any more that a list came through. Where it was read to its end, nobody needs it.
        names: flags.filesFrom0 === '-' ? undefined : namesOf(flags),
        source,
        target,
        retryFailed: flags.failed,
        ...run,
      });
    }
    if (reseal) return engine.reseal({ ...reseal, object: target, ...run });
    if (does === 'put') return engine.put({ ...sealOptions(flags), ...reading, customerKey, source, target, ...run });
    return engine.get({ ...openOptions(flags), customerKey, source, target, ...run });
  });
}

function useOf({ command, target }: JobSummary): KeyUse {
  if (command === 'migrate') return migrateUseOf(target);
  return command === 'get' ? 'open' : 'seal';
}

/**
 * Of jobs that are resumed together some may have a key for SSE-C, and not all the same: one that is named now is for
 * those that were begun with one, but for those whose ledger has the MD5 of another.
 */
async function sseCFor(
  { options }: JobSummary,
  { begun, given }: { begun: string | undefined; given: string | undefined },
): Promise<string | undefined> {
  if (begun === undefined || given === begun) return begun;
  const wanted = (options.fixed as { sse?: ServerEncryption } | undefined)?.sse?.customerKeyMd5;
  const { customerKey } = await customerKeysOf({ sseC: given });
  return wanted === undefined || encryptionAsked({ customerKey })?.customerKeyMd5 === wanted ? given : begun;
}

/** A pipe cannot be read again: its upload is aborted, and the reader told why. */
async function endPipe(flags: ResumeFlags, output: Output, { id, target }: JobSummary): Promise<never> {
  await using engine = await openEngine(flags, 'none');
  const outcome = await engine.cancel(id, {
    onEvent: (event) => event.type === 'warning' && output.warn(event.message),
  });
  throw new SealiftError('pipe-interrupted', `The pipe into ${target} was interrupted, and cannot be read again`, {
    hint: `${outcome === 'left' ? 'Its job is over' : 'Its upload was aborted'}. Run the whole command again.`,
  });
}

/** A script that reads the last line finds a result here too. */
function tellNothingToDo(output: Output, id: string | undefined): void {
  output.say(id === undefined ? 'Nothing is unfinished.' : `Job ${id} is over already.`);
  output.json({ type: 'result', command: 'resume', job: id ?? null, object: null, ...nothingDone });
}
