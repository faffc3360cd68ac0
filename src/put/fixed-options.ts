/** The options that a job's ledger keeps, because what it has made so far was made by them: it goes on only by the same. */
import { isDeepStrictEqual } from 'node:util';
import { SealiftError } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { InheritedHeaders } from '../stores/store.ts';
import type { SealOptions } from './attempt.ts';

/** Those that decide the bytes or the object's headers. */
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

type Fixable = SealOptions & { inherited?: InheritedHeaders | undefined };

export type FixedOptions = Pick<Fixable, (typeof FIXED_OPTIONS)[number]> & { keys: string };

/** What was asked for, and under which wrapping keys, as the ledger gives it back: without what was left out. */
export function fixedOptions(request: Fixable, { id }: Keyring): FixedOptions {
  const named = FIXED_OPTIONS.map((name) => [name, request[name]]);
  const keys = request.seal === 'none' ? '' : id;
  return JSON.parse(JSON.stringify({ ...Object.fromEntries(named), keys }));
}

/** Throws `options-differ` where what is asked for now is not what the job was begun with. */
export function refuseOthers(asked: FixedOptions, begun: FixedOptions): void {
  refuseOtherSeal(asked, begun);
  refuseOtherCustomerKey(asked, begun);
  refuseOtherOptions(asked, begun);
}

/** What is not to be sealed has to be said each time: what was left out is no wish to go on without a seal. */
function refuseOtherSeal({ seal: asked }: FixedOptions, { seal: begun }: FixedOptions): void {
  if (asked === begun) return;
  const [how, hint] =
    begun === 'none'
      ? ['with --seal none', 'Give --seal none again']
      : ['without --seal none', 'Leave --seal none out'];
  throw new SealiftError('options-differ', `The unfinished job was begun ${how}`, {
    hint: `${hint} to go on with that job, or give --fresh to start again.`,
  });
}

/** The ledger has the MD5 of a key for SSE-C, not the key: it has to be given again. */
function refuseOtherCustomerKey({ sse: asked }: FixedOptions, { sse: begun }: FixedOptions): void {
  if (asked?.customerKeyMd5 === begun?.customerKeyMd5) return;
  const how = asked?.customerKeyMd5 && begun?.customerKeyMd5 ? 'with another key for SSE-C' : undefined;
  const without = begun?.customerKeyMd5 ? 'with a key for SSE-C' : 'without a key for SSE-C';
  throw new SealiftError('options-differ', `The unfinished job was begun ${how ?? without}`, {
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
    throw new SealiftError('options-differ', `The unfinished job was begun ${how}`, {
      hint: 'Leave the option as it was to go on with that job, or give --fresh to start again.',
    });
  }
}
