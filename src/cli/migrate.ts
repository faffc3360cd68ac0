/** `sealift migrate SOURCE DEST`: every file under a directory, sealed into a store. */
import type { Command } from 'commander';
import type { MigrateRequest } from '../index.ts';
import { type ChoiceFlags, choiceOptions, filterOf, namesOf } from './choice.ts';
import {
  type CustomerKeyFlags,
  customerKeyOptions,
  customerKeysOf,
  type SseFlags,
  sseOf,
  sseOptions,
} from './encryption.ts';
import { openEngine } from './keys.ts';
import {
  type EngineFlags,
  flagsOf,
  freshOption,
  keyOptions,
  manyOptions,
  memoOf,
  type ObjectFlags,
  outputOptions,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

type MigrateFlags = EngineFlags & ChoiceFlags & ObjectFlags & SseFlags & CustomerKeyFlags & { fresh?: boolean };

const EXAMPLES = `
Examples:
  $ sealift migrate /srv/photos s3://backups/photos/ --kms-key alias/backups
  $ sealift migrate . file:///mnt/usb/photos/ --raw-key ~/backup.key
  $ sealift jobs migrate-k3n5qxw7ta                     # how far it is, also from another terminal
  $ sealift resume migrate-k3n5qxw7ta --failed          # once more what has failed
  $ sealift migrate /srv s3://backups/srv/ --kms-key alias/backups --exclude 'tmp/**' --exclude '*.bak' --max-size 10G
  $ find . -type f -newer last -print0 | sealift migrate . s3://backups/new/ --kms-key alias/backups --files-from0 -

DEST is a folder: a file 2026/a.jpg of SOURCE becomes the object photos/2026/a.jpg. Small files go up many at a time, large ones by
parts, at once. Whatever ends it, the same command, or \`sealift resume\`, goes on where it stopped. An object that is there and the
same (by the size and the time that are kept with it) is skipped; another one is left alone and told as failed, unless --overwrite
is given.

A file that fails stops no other: the command ends with 3 then, and tells the codes. What would fail all of them, as a KMS key
that is disabled or a bucket that is gone, pauses the job instead. Links, sockets and devices are no files, and are told as failed.`;

export function addMigrate(program: Command, output: Output): void {
  const command = program
    .command('migrate')
    .summary('seal every file of a directory into a store')
    .description('Seals every file under a directory into S3 or another directory. Takes up its own unfinished job.')
    .argument('<source>', 'a directory')
    .argument('<dest>', 's3://bucket/prefix/ or file:///path/')
    .addHelpText('after', EXAMPLES);
  for (const add of [
    choiceOptions,
    keyOptions,
    manyOptions,
    sseOptions,
    customerKeyOptions,
    workOptions,
    storeOptions,
    stateOptions,
    freshOption,
    outputOptions,
  ]) {
    add(command);
  }
  command.action(async (source: string, target: string) => {
    const flags = flagsOf<MigrateFlags>(command);
    const { customerKey } = await customerKeysOf(flags);
    await using engine = await openEngine(flags, 'seal');
    const signal = stopOnSignals(output);
    const names = namesOf(flags);
    const request = { ...migrateOptions(flags), customerKey, names, fresh: flags.fresh, memo: memoOf(flags) };
    process.exitCode = await runJob({ output, signal, from: source, to: target }, (run) =>
      engine.migrate({ ...request, source, target, ...run }),
    );
  });
}

/** What the flags say about the objects. */
export function migrateOptions(flags: ObjectFlags & SseFlags & ChoiceFlags): Omit<MigrateRequest, 'source' | 'target'> {
  const { format, s3ecLegacy, frameSize, partSize, equalParts, context, sign } = flags;
  const sealing = { format, s3ecLegacy, frameSize, partSize, equalParts, context, sign };
  const { overwrite, contentType, storageClass, metadata, tag: tags } = flags;
  return {
    ...sealing,
    overwrite,
    contentType,
    storageClass,
    metadata,
    tags,
    sse: sseOf(flags),
    filter: filterOf(flags),
  };
}
