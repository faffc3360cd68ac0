/** Which job a put belongs to: its own unfinished one, or a new one. */
import { isDeepStrictEqual } from 'node:util';
import { SealiftError } from '../errors.ts';
import type { Place, Progress, Tools } from '../job.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { jobIdOf, Ledger } from '../ledger/ledger.ts';
import type { WriteRequest } from '../put.ts';

/** What a pipe's job is called where a file's has its path. */
export const PIPE_NAME = '-';

/** Options that decide the bytes or the object's headers: a job goes on only as it was begun. */
const FIXED_OPTIONS = [
  'seal',
  'frameSize',
  'partSize',
  'equalParts',
  'context',
  'contentType',
  'storageClass',
  'metadata',
  'tags',
  'sse',
  'sign',
  'format',
  's3ecLegacy',
  'instructionFile',
  'inherited',
] as const;

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
  const fixed = fixedOptions(request, tools);
  const names = { command: request.command, source, target: place.url } as const;
  const id = jobIdOf(names);
  const isLeft = !request.fresh && isUnfinished(tools, id);
  if (isLeft && source !== PIPE_NAME) {
    const ledger = Ledger.open(tools.stateDir, id);
    try {
      const { fixed: begun } = ledger.job.options as unknown as JobOptions;
      refuseOtherSeal(fixed, begun);
      refuseOtherCustomerKey(fixed, begun);
      refuseOtherOptions(fixed, begun);
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

type FixedOptions = Pick<WriteRequest, (typeof FIXED_OPTIONS)[number]> & { keys: string };

/** What was asked for, and under which wrapping keys, as the ledger gives it back: without what was left out. */
function fixedOptions(request: WriteRequest, { keyring }: Tools): FixedOptions {
  const named = FIXED_OPTIONS.map((name) => [name, request[name]]);
  const keys = request.seal === 'none' ? '' : keyring.id;
  return JSON.parse(JSON.stringify({ ...Object.fromEntries(named), keys }));
}

/** What is not to be sealed has to be said each time: what was left out is no wish to go on without a seal. */
function refuseOtherSeal({ seal: asked }: FixedOptions, { seal: begun }: FixedOptions): void {
  if (asked === begun) return;
  const [how, hint] =
    begun === 'none'
      ? ['with --seal none', 'Give --seal none again']
      : ['without --seal none', 'Leave --seal none out'];
  throw new SealiftError('options-differ', `The unfinished job of this file was begun ${how}`, {
    hint: `${hint} to go on with that job, or give --fresh to start again.`,
  });
}

/** The ledger has the MD5 of a key for SSE-C, not the key: it has to be given again. */
function refuseOtherCustomerKey({ sse: asked }: FixedOptions, { sse: begun }: FixedOptions): void {
  if (asked?.customerKeyMd5 === begun?.customerKeyMd5) return;
  const how = asked?.customerKeyMd5 && begun?.customerKeyMd5 ? 'with another key for SSE-C' : undefined;
  const without = begun?.customerKeyMd5 ? 'with a key for SSE-C' : 'without a key for SSE-C';
  throw new SealiftError('options-differ', `The unfinished job of this file was begun ${how ?? without}`, {
    hint: 'Give the same --sse-c file as before to go on with that job, or --fresh to start again.',
  });
}

function refuseOtherOptions(asked: FixedOptions, begun: FixedOptions): void {
  const before = new Map<string, unknown>(Object.entries(begun));
  for (const [name, value] of Object.entries(asked)) {
    const was = before.get(name);
    // In whatever order names were given.
    if (isDeepStrictEqual(was, value)) continue;
    const values = `${JSON.stringify(was) ?? 'left out'}, not ${JSON.stringify(value)}`;
    const how = name === 'keys' ? 'under another key' : `with ${name} ${values}`;
    throw new SealiftError('options-differ', `The unfinished job of this file was begun ${how}`, {
      hint: 'Leave the option as it was to go on with that job, or give --fresh to start again.',
    });
  }
}
