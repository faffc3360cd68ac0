/** `sealift verify OBJECT`: open all of it, keep nothing. */
import { addAbortSignal } from 'node:stream';
import type { Command } from 'commander';
import { type CustomerKeyFlags, customerKeyOptions, customerKeysOf } from './encryption.ts';
import { openRules, UNSEALED } from './get.ts';
import { openEngine, openUseOf } from './keys.ts';
import {
  type EngineFlags,
  flagsOf,
  keyOptions,
  messageOptions,
  type OpenFlags,
  openKeyOptions,
  outputOptions,
  sealOption,
  storeOptions,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { objectAt } from './paths.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

const EXAMPLES = `
Examples:
  $ sealift verify s3://backups/2026/db.tar
  $ sealift verify s3://backups/2026/db.tar --require-bound --expect-context team=archive
  $ sealift verify file:///mnt/usb/db.tar --raw-key ~/backup.key && echo all of it is there

All of the object is fetched, opened and thrown away. Exit 0: a get gives back every byte that was sealed. Exit 6: it
does not, and the message says why. Names and context are checked as get does. Of an object put with --seal none, with that
flag, exit 0 means only that it came with the checksum that S3 keeps of it.`;

export function addVerify(program: Command, output: Output): void {
  const command = program
    .command('verify')
    .summary('open all of an object, and write nothing')
    .description('Proves that an object can be opened and that every byte of it is as it was sealed. Writes nothing.')
    .argument('<object>', 's3://bucket/key, file:///path, a bare path, or - for standard input')
    .addHelpText('after', EXAMPLES);
  const groups = [
    messageOptions,
    keyOptions,
    openKeyOptions,
    workOptions,
    storeOptions,
    customerKeyOptions,
    outputOptions,
  ];
  for (const add of groups) add(command);
  sealOption(command, UNSEALED);

  command.action(async (object: string) => {
    const flags = flagsOf<EngineFlags & OpenFlags & CustomerKeyFlags>(command);
    const { customerKey } = await customerKeysOf(flags);
    const { seal, versionId } = flags;
    const fromPipe = object === '-';
    const source = fromPipe ? process.stdin : objectAt(object);
    await using engine = await openEngine(flags, openUseOf(flags));
    const signal = stopOnSignals(output);
    if (fromPipe) addAbortSignal(signal, process.stdin);
    try {
      process.exitCode = await runJob({ output, signal, from: fromPipe ? 'standard input' : object }, (run) =>
        engine.verify({ source, customerKey, seal, versionId, ...openRules(flags), ...run }),
      );
    } finally {
      // What is left unread would keep the process here.
      if (fromPipe) process.stdin.destroy();
    }
  });
}
