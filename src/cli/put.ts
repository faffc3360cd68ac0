/** `sealift put SOURCE DEST`: seal a file into an object. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { PutRequest } from '../index.ts';
import { openEngine } from './keys.ts';
import {
  type EngineFlags,
  flagsOf,
  freshOption,
  keyOptions,
  memoOf,
  type ObjectFlags,
  objectOptions,
  outputOptions,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { objectFor } from './paths.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

type PutFlags = EngineFlags & ObjectFlags & { fresh?: boolean };

const EXAMPLES = `
Examples:
  $ sealift put db.tar s3://backups/2026/db.tar --kms-key alias/backups
  $ sealift put db.tar s3://backups/2026/ --raw-key ~/backup.key      # keeps the file's name
  $ sealift put db.tar s3://backups/db.tar --kms-key alias/backups --overwrite --storage-class GLACIER_IR
  $ sealift put db.tar file:///mnt/usb/db.tar --raw-key ~/backup.key  # onto a disk, without any AWS setting

Interrupted? The same command, or \`sealift resume\`, goes on where it stopped.`;

export function addPut(program: Command, output: Output): void {
  const command = program
    .command('put')
    .summary('seal a file into an object')
    .description('Seals a file into an object in S3 or in a directory, in parallel. Takes up its own unfinished job.')
    .argument('<source>', 'the file')
    .argument('<dest>', 's3://bucket/key or file:///path; one that ends in / takes the file name')
    .addHelpText('after', EXAMPLES);
  for (const add of [keyOptions, objectOptions, workOptions, storeOptions, stateOptions, freshOption, outputOptions]) {
    add(command);
  }
  command.action(async (source: string, dest: string) => {
    const flags = flagsOf<PutFlags>(command);
    if (source === '-') {
      throw new SealiftError('usage', 'Standard input cannot be put yet', {
        hint: 'Write it into a file first, and put the file.',
      });
    }
    const target = objectFor(source, dest);
    const request = { source: resolve(source), target, fresh: flags.fresh, memo: memoOf(flags) };
    await using engine = await openEngine(flags, 'seal');
    const signal = stopOnSignals(output);
    process.exitCode = await runJob({ output, signal, from: source, to: target }, (run) =>
      engine.put({ ...sealOptions(flags), ...request, ...run }),
    );
  });
}

/** What the flags say about the object. */
export function sealOptions(flags: ObjectFlags): Omit<PutRequest, 'source' | 'target'> {
  const { overwrite, frameSize, partSize, context, contentType, storageClass, metadata, tag: tags } = flags;
  return { overwrite, frameSize, partSize, context, contentType, storageClass, metadata, tags };
}
