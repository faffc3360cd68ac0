/** Which job a put belongs to: its own unfinished one, or a new one. */
import type { Place, Tools } from '../job.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { jobIdOf, Ledger } from '../ledger/ledger.ts';
import type { Progress } from '../progress.ts';
import type { WriteRequest } from '../put.ts';
import { type FixedOptions, fixedOptions, refuseOthers } from './fixed-options.ts';

/** What a pipe's job is called where a file's has its path. */
export const PIPE_NAME = '-';

/**
 * Opens the unfinished ledger of this source and target, or makes a new one; holds its lock until disposed of. What a
 * pipe left is never gone on with: it is dropped. Throws
 * `options-differ` where a flag given now disagrees with the unfinished job, and the ledger's own errors.
 */
export async function openJob(
  request: WriteRequest,
  { place, tools, progress }: { place: Place; tools: Tools; progress: Progress },
): Promise<OpenedJob> {
  const source = typeof request.source === 'string' ? request.source : PIPE_NAME;
  const fixed = fixedOptions(request, tools.keyring);
  const names = { command: request.command, source, target: place.url } as const;
  const id = jobIdOf(names);
  const isLeft = !request.fresh && isUnfinished(tools, id);
  if (isLeft && source !== PIPE_NAME) {
    const ledger = Ledger.open(tools.stateDir, id);
    try {
      const { fixed: begun } = ledger.job.options as unknown as JobOptions;
      refuseOthers(fixed, begun);
      return { ledger, request: { ...request, ...begun }, isNew: false };
    } catch (error) {
      ledger.close();
      throw error;
    }
  }
  // One that is over may still have an upload that could not be aborted.
  await forgetJob(tools, id, progress.warn);
  if (isLeft) progress.restart('The upload of an interrupted pipe was dropped');
  const options: JobOptions = { fixed, memo: request.memo ?? {} };
  return { ledger: Ledger.create(tools.stateDir, { ...names, options: { ...options } }), request, isNew: true };
}

export interface OpenedJob {
  ledger: Ledger;
  /** With the options the job was begun with, also where this call left them out: it may have to start over. */
  request: WriteRequest;
  /** Begun by this call. */
  isNew: boolean;
}

/** What the ledger keeps of a put's options. */
interface JobOptions {
  fixed: FixedOptions;
  memo: Readonly<Record<string, unknown>>;
}
