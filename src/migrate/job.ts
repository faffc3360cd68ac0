/** Which job a migration belongs to: its own unfinished one, or a new one. */
import type { Tools } from '../job.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { BulkLedger } from '../ledger/bulk.ts';
import { jobIdOf } from '../ledger/ledger.ts';
import type { MigrateRequest, MigrateRun } from '../migrate.ts';
import type { Progress } from '../progress.ts';
import { type FixedOptions, fixedOptions, refuseOthers } from '../put/fixed-options.ts';
import type { MigrateSource } from './source.ts';
import type { Target } from './target.ts';

/** What the ledger keeps of a migration's options. */
interface JobOptions {
  fixed: FixedOptions;
  /** Something was at the target when the job began. */
  looksFirst: boolean;
  memo: Readonly<Record<string, unknown>>;
}

interface Opened extends Pick<MigrateRun, 'ledger' | 'request' | 'looksFirst'> {
  /** Begun by this call. */
  isNew: boolean;
}

/**
 * Opens the unfinished ledger of this source and target, or makes a new one; holds its lock until disposed of. Throws
 * `options-differ` where a flag given now disagrees with the unfinished job, and the ledger's own errors.
 */
export async function openMigrateJob(
  request: MigrateRequest,
  { source, target, tools, progress }: { source: MigrateSource; target: Target; tools: Tools; progress: Progress },
): Promise<Opened> {
  const fixed = fixedOptions(request, tools.keyring);
  const names = { command: 'migrate', source: source.url, target: target.url } as const;
  const id = jobIdOf(names);
  if (request.retryFailed || (!request.fresh && isUnfinished(tools, id))) return goOn(request, fixed, { id, tools });
  await forgetJob(tools, id, progress.warn);
  const looksFirst = !(await target.isEmpty());
  const options: JobOptions = { fixed, looksFirst, memo: request.memo ?? {} };
  const ledger = BulkLedger.create(tools.stateDir, { ...names, options: { ...options } }, source.firstSection);
  return { ledger, request, looksFirst, isNew: true };
}

function goOn(request: MigrateRequest, fixed: FixedOptions, { id, tools }: { id: string; tools: Tools }): Opened {
  const ledger = BulkLedger.open(tools.stateDir, id);
  try {
    const { fixed: begun, looksFirst } = ledger.job.options as unknown as JobOptions;
    refuseOthers(fixed, begun);
    if (request.retryFailed) ledger.retryFailed();
    return { ledger, request: { ...request, ...begun }, looksFirst, isNew: false };
  } catch (error) {
    ledger.close();
    throw error;
  }
}
