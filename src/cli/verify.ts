/** `sealift verify OBJECT`: open all of it, keep nothing. And of a migration's objects: as many as one wants. */
import { addAbortSignal } from 'node:stream';
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { ProofRequest, Sample } from '../index.ts';
import { type CustomerKeyFlags, customerKeyOptions, customerKeysOf } from './encryption.ts';
import { sample } from './flag-values.ts';
import { openRules, UNSEALED } from './get.ts';
import { openEngine, openUseOf } from './keys.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  keyOptions,
  messageOptions,
  type OpenFlags,
  openKeyOptions,
  outputOptions,
  sealOption,
  stateOptions,
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
  $ sealift verify migrate-k3n5qxw7ta --sample 1%
  $ sealift verify file:///mnt/usb/db.tar --raw-key ~/backup.key && echo all of it is there

All of the object is fetched, opened and thrown away. Exit 0: a get gives back every byte that was sealed. Exit 6: it
does not, and the message says why. Names and context are checked as get does. Of an object put with --seal none, with that
flag, exit 0 means only that it came with the checksum that S3 keeps of it.

Of a migration, named by its job, every object that it wrote is opened, or with --sample some: \`1%\` of them, or a number. Each has
to be the very one that the ledger knows, by its message id, size and ETag: one that was replaced, also by an older version of
it, is told like one that is damaged or gone, and the command ends with 6. The same --seed chooses the same objects again.`;

type VerifyFlags = EngineFlags & OpenFlags & CustomerKeyFlags & { sample?: Sample; seed?: string };

/** No object's URL; a file that is called so can be given as ./NAME. */
const MIGRATION = /^migrate-[a-z2-7]{10}$/;

export function addVerify(program: Command, output: Output): void {
  const command = program
    .command('verify')
    .summary('open all of an object, and write nothing')
    .description('Proves that an object can be opened and that every byte of it is as it was sealed. Writes nothing.')
    .argument('<object>', 's3://bucket/key, file:///path, a bare path, - for standard input, or a migration by its job')
    .addHelpText('after', EXAMPLES);
  command
    .optionsGroup('Migration:')
    .addOption(flag('--sample <part>', 'how many of its objects: all (default), a share as 1%, or a number', sample))
    .addOption(flag('--seed <text>', 'which of them: the same seed chooses the same ones'));
  const groups = [
    messageOptions,
    keyOptions,
    openKeyOptions,
    workOptions,
    storeOptions,
    stateOptions,
    customerKeyOptions,
    outputOptions,
  ];
  for (const add of groups) add(command);
  sealOption(command, UNSEALED);

  command.action(async (object: string) => {
    const flags = flagsOf<VerifyFlags>(command);
    const { customerKey } = await customerKeysOf(flags);
    if (MIGRATION.test(object)) return await proveJob(object, { ...flags, customerKey }, output);
    refuseSample(flags);
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

async function proveJob(
  job: string,
  flags: VerifyFlags & Pick<ProofRequest, 'customerKey'>,
  output: Output,
): Promise<void> {
  if (flags.seal !== undefined || flags.versionId !== undefined) {
    throw new SealiftError('bad-option', '--seal and --version-id are for one object, and not for those of a job', {
      hint: 'Its ledger knows which of its objects are sealed, and which versions they are.',
    });
  }
  const { sample, seed, customerKey } = flags;
  await using engine = await openEngine(flags, 'open');
  const signal = stopOnSignals(output);
  process.exitCode = await runJob({ output, signal, from: job, tellsFailed: true }, (run) =>
    engine.prove({ job, sample, seed, customerKey, ...openRules(flags), ...run }),
  );
}

function refuseSample({ sample, seed }: VerifyFlags): void {
  if (sample === undefined && seed === undefined) return;
  throw new SealiftError('bad-option', '--sample and --seed choose among the objects of a migration', {
    hint: 'Name its job, as `sealift jobs` shows it, in place of an object.',
  });
}
