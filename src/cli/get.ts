/** `sealift get OBJECT TARGET`: download, verify, open. */
import { addAbortSignal } from 'node:stream';
import type { Command } from 'commander';
import { EXIT, SealiftError } from '../errors.ts';
import type { GetRequest, OpenRules, PlainSink } from '../index.ts';
import { type CustomerKeyFlags, customerKeyOptions, customerKeysOf } from './encryption.ts';
import { range } from './flag-values.ts';
import { openEngine, openUseOf } from './keys.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  freshOption,
  keyOptions,
  memoOf,
  messageOptions,
  type OpenFlags,
  openKeyOptions,
  outputOptions,
  type ProfileFlags,
  profileOption,
  sealOption,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { fileFor, objectAt } from './paths.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

type GetFlags = EngineFlags & OpenFlags & CustomerKeyFlags & ProfileFlags & { fresh?: boolean };

const EXAMPLES = `
Examples:
  $ sealift get s3://backups/2026/db.tar /restore/                    # a folder: keeps the object's name
  $ sealift get s3://backups/2026/db.tar - --raw-key ~/backup.key | tar x
  $ sealift get s3://backups/2026/db.tar head --range 0-1048575
  $ sealift get ./report.esdk - --raw-key old.key --commitment-policy require-encrypt-allow-decrypt
  $ aws s3 cp s3://backups/2026/db.tar - | sealift get - db.tar --allow-relocated

An object of an S3 Encryption Client is found out by itself. It proves itself only as a whole: to a pipe it is fetched
twice, and a --range of it needs --release-unverified.

An object that was put with --seal none comes only with --seal none. Nothing authenticates it: as a whole it is compared with
the checksum that S3 keeps, a range with nothing.

Nothing is written under TARGET's name before all of it is verified. Without a key flag, the KMS key that the object
names is asked.`;

/** What `--seal none` comes to for who reads. */
export const UNSEALED = 'of an object put with --seal none: its bytes, which nothing authenticates';

export function addGet(program: Command, output: Output): void {
  const command = program
    .command('get')
    .summary('download, verify and open an object')
    .description('Opens a sealed object into a file, in parallel, or in order to standard output.')
    .argument('<object>', 's3://bucket/key, file:///path, a bare path, or - for standard input')
    .argument('<target>', 'the file, a folder, or - for standard output')
    .addHelpText('after', EXAMPLES)
    .optionsGroup('Target:')
    .addOption(flag('--overwrite', 'replace a file that exists; of a link, the link itself'))
    .addOption(flag('--range <first-last>', 'these plain bytes only, counted from 0, both included', range))
    .addOption(flag('--release-unverified', 'of S3 Encryption Clients: a range, or a pipe before all is verified'));
  const groups = [messageOptions, keyOptions, openKeyOptions, workOptions, storeOptions, stateOptions, freshOption];
  for (const add of [...groups, profileOption, customerKeyOptions, outputOptions]) add(command);
  sealOption(command, UNSEALED);

  command.action(async (object: string, target: string) => {
    const flags = flagsOf<GetFlags>(command);
    const fromPipe = object === '-';
    const source = fromPipe ? process.stdin : objectAt(object);
    const toPipe = target === '-';
    if (toPipe && output.flags.json) {
      throw new SealiftError('usage', '--json and the opened bytes cannot share standard output', {
        hint: 'Leave --json away, or name a file.',
      });
    }
    const path = toPipe ? target : fileFor(fromPipe ? '' : objectAt(object), target);
    const { customerKey } = await customerKeysOf(flags);
    const { fresh, profileStages } = flags;
    const request = { source, ...openOptions(flags), customerKey, fresh, profileStages, memo: memoOf(flags) };
    await using engine = await openEngine(flags, openUseOf(flags));
    const signal = stopOnSignals(output);
    const pipe = new Pipe();
    if (fromPipe) addAbortSignal(signal, process.stdin);
    const report = {
      output,
      signal,
      from: fromPipe ? 'standard input' : object,
      to: toPipe ? 'standard output' : target,
    };
    try {
      process.exitCode = await runJob(report, (run) =>
        engine.get({ ...request, target: toPipe ? pipe.write : path, ...run }),
      );
    } catch (error) {
      // Bytes that the reader does not take would keep the process here.
      if (toPipe && signal.aborted) process.exit(output.fail(error).exit);
      // Whoever read the other end has had enough, and knows.
      if (!pipe.isBroken) throw error;
      process.exitCode = EXIT.failed;
    } finally {
      // What is left unread would keep the process here.
      if (fromPipe) process.stdin.destroy();
    }
  });
}

/** What the flags demand of a message. */
export function openRules(flags: OpenFlags): OpenRules {
  const { allowRelocated, requireBound, requireSignature, commitmentPolicy } = flags;
  const { expectContext, requiredContext, maxEncryptedDataKeys } = flags;
  const demands = { requireBound, requireSignature, expectContext, requiredContext, maxEncryptedDataKeys };
  const { enableLegacyWrappingAlgorithms, enableLegacyUnauthenticatedModes } = flags;
  const allowances = { enableLegacyWrappingAlgorithms, enableLegacyUnauthenticatedModes };
  return { allowRelocated, commitmentPolicy, ...allowances, ...demands };
}

/** What the flags say about what is opened. */
export function openOptions(flags: OpenFlags): Omit<GetRequest, 'source' | 'target'> {
  const { seal, overwrite, range, releaseUnverified, versionId } = flags;
  return { seal, overwrite, range, releaseUnverified, versionId, ...openRules(flags) };
}

/** Standard output as a sink: the next bytes are asked for when these are gone. */
class Pipe {
  isBroken = false;

  readonly write: PlainSink = (bytes) =>
    new Promise((resolve, reject) => {
      process.stdout.write(bytes, (error) => {
        if (!error) return resolve();
        const { code, message } = error as NodeJS.ErrnoException;
        this.isBroken = code === 'EPIPE';
        reject(
          new SealiftError(code === 'ENOSPC' ? 'disk-full' : 'target-unwritable', `Standard output: ${message}`, {
            hint: 'What was written so far is not all of the object. Run the command again.',
            cause: error,
          }),
        );
      });
    });
}
