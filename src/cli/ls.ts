/** `sealift ls PREFIX`: which objects there are, and how large what was sealed is. */
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import type { Listing } from '../index.ts';
import { formatSize } from '../units.ts';
import { type CustomerKeyFlags, customerKeyOptions, customerKeysOf } from './encryption.ts';
import { openEngine } from './keys.ts';
import { type EngineFlags, flag, flagsOf, outputOptions, storeOptions } from './options.ts';
import { counted, type Output, visible } from './output.ts';
import { prefixAt } from './paths.ts';
import { stopOnSignals } from './signals.ts';

type LsFlags = EngineFlags & CustomerKeyFlags & { recursive?: boolean | undefined };
type ObjectListing = Extract<Listing, { type: 'object' }>;

const EXAMPLES = `
Examples:
  $ sealift ls s3://backups/2026/
  $ sealift ls s3://backups --recursive --json | jq -r 'select(.state == "foreign") | .object'
  $ sealift ls file:///mnt/usb/

Sizes are those of what was sealed, in bytes. No key is needed, and nothing is verified: the size follows from the first
bytes of an object, or its metadata, and from how long it is. That is one small request an object, two where it is
signed or not sealed.`;

/** What is said in place of a size, or beside it. */
const NOTES = {
  unsealed: 'put with --seal none',
  sealed: 'only opening it tells',
  foreign: 'not sealed',
  damaged: 'damaged',
  archived: 'archived',
  unreadable: 'cannot be read',
} as const;

export function addLs(program: Command, output: Output): void {
  const command = program
    .command('ls')
    .summary('list objects, with the sizes of what was sealed')
    .description('Lists the objects whose URLs begin like this, with the sizes of what was sealed. Needs no key.')
    .argument('<prefix>', 's3://bucket, s3://bucket/prefix, file:///directory/, or a bare path')
    .addHelpText('after', EXAMPLES)
    .addOption(flag('--recursive', 'also what lies behind further slashes'));
  for (const add of [storeOptions, customerKeyOptions, outputOptions]) add(command);
  command.action(async (text: string) => {
    const flags = flagsOf<LsFlags>(command);
    const { customerKey } = await customerKeysOf(flags);
    await using engine = await openEngine(flags, 'none');
    const sum = { objects: 0, prefixes: 0, plainBytes: 0, sealedBytes: 0, unreadable: 0 };
    for await (const listing of engine.list(prefixAt(text), {
      recursive: flags.recursive,
      customerKey,
      signal: stopOnSignals(output),
    })) {
      output.json({ ...listing });
      output.print(visible(lineOf(listing, flags)).replaceAll('\n', '\\n'));
      if (listing.type === 'prefix') sum.prefixes++;
      else add(sum, listing);
    }
    output.json({ type: 'result', command: 'ls', ...sum });
    const { objects, plainBytes, unreadable } = sum;
    output.say(`${counted(objects, 'object')}, ${formatSize(plainBytes)} in them`);
    if (unreadable > 0) {
      output.warn(`${counted(unreadable, 'object')} could not be read, for want of a permission or of --sse-c`);
      process.exitCode = EXIT.warnings;
    }
  });
}

function add(
  sum: { objects: number; plainBytes: number; sealedBytes: number; unreadable: number },
  { state, plainBytes, sealedBytes }: ObjectListing,
): void {
  sum.objects++;
  sum.plainBytes += plainBytes ?? 0;
  sum.sealedBytes += sealedBytes;
  if (state === 'unreadable') sum.unreadable++;
}

/** `2026-11-24 09:12:13       1048576  db.tar`, as `aws s3 ls` has it, in UTC: with `--recursive` whole keys. */
function lineOf(listing: Listing, { recursive }: LsFlags): string {
  const name = nameIn(listing.object, { recursive });
  if (listing.type === 'prefix') return `${'PRE'.padStart(33)}  ${name}`;
  const { lastModified, plainBytes, state } = listing;
  const time = lastModified?.slice(0, 19).replace('T', ' ') ?? '';
  const note = plainBytes === null || state === 'unsealed' ? `  (${NOTES[state]})` : '';
  return `${time.padEnd(19)}${String(plainBytes ?? '-').padStart(14)}  ${name}${note}`;
}

/** Of a key its last part, or with `recursive` all of it; a file's name as it is in its directory, not as in an URL. */
function nameIn(object: string, { recursive }: LsFlags): string {
  if (recursive) return object.replace(/^s3:\/\/[^/]*\//, '');
  const last = /[^/]*\/?$/.exec(object)![0];
  return object.startsWith('file:') ? decodeURIComponent(last) : last;
}
