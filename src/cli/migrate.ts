/** `sealift migrate SOURCE DEST`: all that is in a directory or a bucket, sealed into a store; or all of a store, restored. */
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { MigrateRequest } from '../index.ts';
import { type ChoiceFlags, choiceOptions, filterOf, namesOf } from './choice.ts';
import {
  type CustomerKeyFlags,
  customerKeysOf,
  type SseFlags,
  sourceKeyOptions,
  sseOf,
  sseOptions,
} from './encryption.ts';
import { type KeyUse, openEngine } from './keys.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  freshOption,
  keyOptions,
  manyOptions,
  memoOf,
  type ObjectFlags,
  type OldKeyFlags,
  type OpenFlags,
  oldKeyOptions,
  openKeyOptions,
  outputOptions,
  ruleOptions,
  stateOptions,
  storeOptions,
  type WatchFlags,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { tellDecisions } from './preview.ts';
import { readingOf } from './put.ts';
import { type ReportFlags, reportOf, reportOptions } from './report.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';
import { watchOptions } from './watchers.ts';

type MigrateFlags = EngineFlags &
  ChoiceFlags &
  OldKeyFlags &
  OpenFlags &
  ObjectFlags &
  SseFlags &
  CustomerKeyFlags &
  WatchFlags &
  ReportFlags & { fresh?: boolean; dryRun?: boolean; deleteSource?: boolean };

const EXAMPLES = `
Examples:
  $ sealift migrate /srv/photos s3://backups/photos/ --kms-key alias/backups --exclude '*.bak' --report photos.csv
  $ sealift migrate s3://old/photos/ s3://backups/photos/ --kms-key alias/backups
  $ sealift migrate s3://backups/photos/ /srv/restored
  $ sealift migrate s3://lists/shop/daily/2026-11-24T01-00Z/manifest.json s3://backups/shop/ --kms-key alias/backups
  $ find . -type f -newer last -print0 | sealift migrate . s3://backups/new/ --kms-key alias/backups --files-from0 -

SOURCE and DEST are folders: a file 2026/a.jpg of SOURCE becomes the object photos/2026/a.jpg. Small files go up many at a time, large ones by
parts, at once. Whatever ends it, the same command, or \`sealift resume\`, goes on where it stopped. An object that is there and the
same (by the size and the time that are kept with it) is skipped; another one is left alone and told as failed, unless --overwrite
is given.

A SOURCE that ends in /manifest.json is an S3 Inventory (CSV or Parquet), one that ends in .csv a manifest of S3 Batch Operations:
their objects are taken, by their whole keys.

Objects of a bucket are sealed as they are; those that are sealed already, in any format, are opened and sealed anew, with
--old-kms-key or --old-raw-key where they do not say their key. Their headers, metadata and tags go over. Where DEST is a folder of
this machine the sealed objects of SOURCE become files again, with their times and permissions, and nothing outside it.

A file that fails stops no other: the command ends with 3 then, and tells the codes; \`sealift resume JOB --failed\` tries it
again. What would fail all of them, as a KMS key that is disabled or a bucket that is gone, pauses the job instead. Links, sockets
and devices are no files, and are told as failed.

--dry-run tells for each object whether it would be sealed (or restored), replaced, skipped or refused, and why, and touches nothing. It
lists SOURCE, and looks at DEST where something is there; what only moving an object shows, such as that it cannot be read, it does
not know.

--delete-source deletes what was moved, when all are through, and only with --yes: each file or object after what was made of it has
been fetched and opened whole, and only if it is still what was sealed. What was skipped stays.

--report tells of every object, when all are through: JSON lines, CSV where the name ends in .csv, or a folder as S3 Batch
Operations leaves one. It takes the place of an older one. \`sealift jobs JOB --report\` writes one at any time.

--metrics serves counts to a Prometheus on this machine, at http://ADDRESS:PORT/metrics, until the job ends; port 0 takes any that is
free. --log-json writes objects' names, and so its file is for its owner alone.`;

export function addMigrate(program: Command, output: Output): void {
  const command = program
    .command('migrate')
    .summary('seal all of a directory or a bucket into a store, or restore it')
    .description(
      'Seals all that is in a directory or a bucket into a store, or restores it. Takes up its own unfinished job.',
    )
    .argument('<source>', 'a directory, s3://bucket/prefix/, or a list of objects: …/manifest.json, ….csv')
    .argument('<dest>', 's3://bucket/prefix/ or file:///path/; a directory, to restore into')
    .addHelpText('after', EXAMPLES);
  for (const add of [
    choiceOptions,
    keyOptions,
    oldKeyOptions,
    openKeyOptions,
    manyOptions,
    sseOptions,
    sourceKeyOptions,
    ruleOptions,
    reportOptions,
    workOptions,
    storeOptions,
    stateOptions,
    freshOption,
    dryRunOption,
    outputOptions,
    watchOptions,
  ]) {
    add(command);
  }
  command
    .optionsGroup('Source:')
    .addOption(flag('--delete-source', 'delete what was moved, after it has proven itself; needs --yes'))
    .addOption(flag('--yes', 'delete without a question'));
  command.action(async (source: string, target: string) => {
    const flags = flagsOf<MigrateFlags>(command);
    requireYes(flags);
    refuseReport(flags);
    const { customerKey } = await customerKeysOf(flags);
    const reading = await readingOf(source, flags);
    await using engine = await openEngine(flags, migrateUseOf(target));
    const signal = stopOnSignals(output);
    const names = namesOf(flags);
    const { fresh, dryRun } = flags;
    const request = { ...migrateOptions(flags), ...reading, customerKey, names, fresh, memo: memoOf(flags) };
    if (dryRun) {
      process.exitCode = await tellDecisions(output, engine.preview({ ...request, source, target, signal }));
      return;
    }
    process.exitCode = await runJob({ output, signal, from: source, to: target, watch: flags }, (run) =>
      engine.migrate({ ...request, source, target, ...run }),
    );
  });
}

/** Nobody is asked: a job may run for days with nobody there. */
function requireYes({ deleteSource, yes, dryRun }: MigrateFlags): void {
  if (!deleteSource || yes || dryRun) return;
  throw new SealiftError('usage', '--delete-source deletes files or objects, and asks nobody', {
    hint: 'Give --yes too.',
  });
}

function dryRunOption(command: Command): Command {
  return command.addOption(flag('--dry-run', 'tell what would be done with each object, and do nothing'));
}

function refuseReport({ dryRun, report }: MigrateFlags): void {
  if (!dryRun || report === undefined) return;
  throw new SealiftError('usage', '--report tells what was done, and with --dry-run nothing is', {
    hint: 'Leave one of them out. --dry-run --json tells each decision as a line of JSON.',
  });
}

/** What is restored into a folder is opened alone. */
export function migrateUseOf(target: string): KeyUse {
  return /^\w+:\/\//.test(target) ? 'seal' : 'open';
}

/** What the flags say about the objects. */
export function migrateOptions(
  flags: ObjectFlags & SseFlags & ChoiceFlags & ReportFlags & { deleteSource?: boolean },
): Omit<MigrateRequest, 'source' | 'target'> {
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
    report: reportOf(flags),
    deleteSource: flags.deleteSource,
  };
}
