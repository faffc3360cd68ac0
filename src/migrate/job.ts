/** Which job a migration belongs to: its own unfinished one, or a new one. */
import { isDeepStrictEqual } from 'node:util';
import { SealiftError } from '../errors.ts';
import type { Tools } from '../job.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { BulkLedger } from '../ledger/bulk.ts';
import { jobIdOf } from '../ledger/ledger.ts';
import type { MigrateOptions, MigrateRun } from '../migrate.ts';
import type { Progress } from '../progress.ts';
import { type FixedOptions, fixedOptions, refuseOthers } from '../put/fixed-options.ts';
import { Filter, type FilterRequest } from './filter.ts';
import type { MigrateSource } from './source.ts';
import { leftOutText, stateFolderIn } from './state-folder.ts';
import type { MigrateTarget } from './target.ts';

/** What the ledger keeps of a migration's options. */
interface JobOptions {
  fixed: FixedOptions;
  /** Something was at the target when the job began. */
  looksFirst: boolean;
  filter: FilterRequest;
  /** What is moved stands in a list of names. */
  isListed: boolean;
  memo: Readonly<Record<string, unknown>>;
}

interface Opened extends Pick<MigrateRun, 'ledger' | 'request' | 'filter' | 'looksFirst'> {
  /** Begun by this call. */
  isNew: boolean;
}

/**
 * Opens the unfinished ledger of this source and target, or makes a new one; holds its lock until disposed of. Throws
 * `options-differ` where a flag given now disagrees with the unfinished job, and the ledger's own errors.
 */
export async function openMigrateJob(
  request: MigrateOptions,
  {
    source,
    target,
    tools,
    progress,
  }: { source: MigrateSource; target: MigrateTarget; tools: Tools; progress: Progress },
): Promise<Opened> {
  const fixed = fixedOptions(request, tools.keyring);
  const names = { command: 'migrate', source: source.url, target: target.url } as const;
  const id = jobIdOf(names);
  const leftOut = stateFolderIn(source, tools);
  if (request.retryFailed || (!request.fresh && isUnfinished(tools, id))) {
    return goOn(request, fixed, { id, tools, leftOut });
  }
  await forgetJob(tools, id, progress.warn);
  const looksFirst = !(await target.isEmpty());
  const isListed = request.names !== undefined;
  const options: JobOptions = { fixed, looksFirst, filter: given(request), isListed, memo: request.memo ?? {} };
  const ledger = BulkLedger.create(tools.stateDir, { ...names, options: { ...options } }, source.firstSection);
  if (leftOut !== undefined && new Filter(request.filter).enters(leftOut)) progress.warn(leftOutText(leftOut));
  return { ledger, request, filter: filterOf(ledger, leftOut), looksFirst, isNew: true };
}

interface Unfinished {
  id: string;
  tools: Tools;
  /** A folder of the source. */
  leftOut: string | undefined;
}

function goOn(request: MigrateOptions, fixed: FixedOptions, { id, tools, leftOut }: Unfinished): Opened {
  const ledger = BulkLedger.open(tools.stateDir, id);
  try {
    const options = ledger.job.options as unknown as JobOptions;
    const { fixed: begun, looksFirst } = options;
    refuseOthers(fixed, begun);
    refuseOtherChoice(request, options);
    requireList(request, options, ledger);
    if (request.retryFailed) ledger.retryFailed();
    return { ledger, request: { ...request, ...begun }, filter: filterOf(ledger, leftOut), looksFirst, isNew: false };
  } catch (error) {
    ledger.close();
    throw error;
  }
}

/** What was asked for, without what was left out. */
function given({ filter = {} }: MigrateOptions): FilterRequest {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** Ages are those when the job began, so that it takes the same objects whenever it goes on. */
function filterOf({ job }: BulkLedger, leftOut: string | undefined): Filter {
  return new Filter((job.options as unknown as JobOptions).filter, job.createdMs, leftOut);
}

/** A list that was not read to its end is needed again. */
function requireList({ names }: MigrateOptions, { isListed }: JobOptions, ledger: BulkLedger): void {
  if (!isListed || names !== undefined || ledger.nextSection() === undefined) return;
  throw new SealiftError('options-differ', 'The job goes by a list of names, which was not read to its end', {
    hint: 'Run the command that began it once more, with the same list: what is known of it is passed over.',
  });
}

/** What is left out is as it was when the job began. */
function refuseOtherChoice(request: MigrateOptions, { filter, isListed }: JobOptions): void {
  const asked = given(request);
  const isOther = Object.keys(asked).length > 0 && !isDeepStrictEqual(asked, filter);
  if (!isOther && (isListed || request.names === undefined)) return;
  throw new SealiftError('options-differ', 'The unfinished job was begun with another choice of what is moved', {
    hint: 'Leave the choice as it was, or out, to go on with that job, or give --fresh to start again.',
  });
}
