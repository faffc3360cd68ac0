/** Which job a put belongs to: its own unfinished one, or a new one. */
import { SealiftError } from '../errors.ts';
import type { Place, Tools } from '../job.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { jobIdOf, Ledger } from '../ledger/ledger.ts';
import type { PutRequest } from '../put.ts';
import type { SealOptions } from './attempt.ts';

/** Options that decide the bytes or the object's headers: a job goes on only as it was begun. */
const FIXED_OPTIONS = ['frameSize', 'partSize', 'context', 'contentType', 'storageClass', 'metadata', 'tags'] as const;

/**
 * Opens the unfinished ledger of this source and target, or makes a new one; holds its lock until disposed of. Throws
 * `options-differ` where a flag given now disagrees with the unfinished job, and the ledger's own errors.
 */
export async function openJob(request: PutRequest, place: Place, tools: Tools): Promise<Ledger> {
  const { source } = request;
  const names = { command: 'put', source, target: place.url } as const;
  const id = jobIdOf(names);
  if (request.fresh) await forgetJob(tools, id);
  else if (isUnfinished(tools, id)) {
    const ledger = Ledger.open(tools.stateDir, id);
    try {
      refuseOtherOptions(request, ledger.job.options as unknown as JobOptions);
      return ledger;
    } catch (error) {
      ledger.close();
      throw error;
    }
  }
  const options: JobOptions = { fixed: fixedOptions(request), memo: request.memo ?? {} };
  return Ledger.create(tools.stateDir, { ...names, options: { ...options } });
}

/** What the ledger keeps of a put's options. */
interface JobOptions {
  fixed: Record<string, unknown>;
  memo: Readonly<Record<string, unknown>>;
}

function fixedOptions(request: SealOptions): Record<string, unknown> {
  return Object.fromEntries(
    FIXED_OPTIONS.map((name) => [name, request[name]]).filter(([, value]) => value !== undefined),
  );
}

function refuseOtherOptions(request: SealOptions, { fixed: begun }: JobOptions): void {
  for (const [name, value] of Object.entries(fixedOptions(request))) {
    if (JSON.stringify(value) === JSON.stringify(begun[name])) continue;
    const was = begun[name] === undefined ? 'left to its default' : JSON.stringify(begun[name]);
    throw new SealiftError(
      'options-differ',
      `The unfinished job of this file has another ${name}: it was ${was}, now it is ${JSON.stringify(value)}`,
      { hint: 'Leave the option out to go on with that job, or give --fresh to start again.' },
    );
  }
}
