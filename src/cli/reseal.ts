/** `sealift reseal OBJECT`: seal an object again, under a new data key. */
import type { Command } from 'commander';
import type { ResealRequest } from '../index.ts';
import {
  type CustomerKeyFlags,
  customerKeysOf,
  oldCustomerKeyOptions,
  type SseFlags,
  sseOf,
  sseOptions,
} from './encryption.ts';
import { openRules } from './get.ts';
import { openEngine, openerFor } from './keys.ts';
import {
  type EngineFlags,
  flagsOf,
  freshOption,
  keyOptions,
  memoOf,
  type ObjectFlags,
  type OldKeyFlags,
  type OpenFlags,
  oldKeyOptions,
  openKeyOptions,
  outputOptions,
  ruleOptions,
  sealOptions,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { objectAt } from './paths.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

export type ResealFlags = EngineFlags &
  OldKeyFlags &
  ObjectFlags &
  SseFlags &
  CustomerKeyFlags &
  OpenFlags & { fresh?: boolean };

const EXAMPLES = `
Examples:
  $ sealift reseal s3://backups/2026/db.tar --kms-key alias/backups-2027
  $ sealift reseal s3://backups/2026/db.tar --raw-key new.key --old-raw-key old.key
  $ sealift reseal file:///mnt/usb/db.tar --raw-key new.key --old-raw-key old.key
  $ sealift reseal s3://archive/2015.zip --kms-key alias/archive --old-kms-key alias/2015 \\
      --commitment-policy require-encrypt-allow-decrypt \\
      --enable-legacy-wrapping-algorithms --enable-legacy-unauthenticated-modes

All of the object is fetched, opened, sealed under a new data key, and sent: 1 GiB of it is 1 GiB each way. The old object
is there until the new one takes its place, and only if it is still the one that was read. Metadata, content headers, tags,
storage class, encryption at rest, locks and the encryption context go over. Interrupted? The same command goes on.

The object keeps its format unless --format names the other: a message stays a message, an object of the S3 Encryption
Client becomes one of version 3. A signed message is signed again only with --sign; without it a warning tells that the
signature is gone. A signed message, and an object of the S3 Encryption Client, prove themselves only as a whole, so they
are fetched twice: to be proven, before anything is sent, and to be sealed. What --format and --sign mean \`sealift put --help\` tells.

In a bucket with versions the old one stays, and opens with the old key, until it is deleted. And who has read the object
has read it: a new key takes nothing back.`;

export function addReseal(program: Command, output: Output): void {
  const command = program
    .command('reseal')
    .summary('seal an object again, under a new data key')
    .description('Seals an object again under a new data key, in its own place. Takes up its own unfinished job.')
    .argument('<object>', 's3://bucket/key, file:///path, or a bare path')
    .addHelpText('after', EXAMPLES);
  const groups = [
    keyOptions,
    oldKeyOptions,
    openKeyOptions,
    sealOptions,
    sseOptions,
    oldCustomerKeyOptions,
    ruleOptions,
    workOptions,
    storeOptions,
  ];
  for (const add of [...groups, stateOptions, freshOption, outputOptions]) add(command);

  command.action(async (object: string) => {
    const flags = flagsOf<ResealFlags>(command);
    const request = { ...(await resealOptions(flags)), object: objectAt(object), memo: memoOf(flags) };
    await using engine = await openEngine(flags, 'seal');
    const signal = stopOnSignals(output);
    process.exitCode = await runJob({ output, signal, from: object }, (run) =>
      engine.reseal({ ...request, fresh: flags.fresh, ...run }),
    );
  });
}

/** What the flags say about an object that is sealed again. */
export async function resealOptions(flags: ResealFlags): Promise<Omit<ResealRequest, 'object'>> {
  const { format, s3ecLegacy, context, storageClass, sign, partSize, equalParts, frameSize } = flags;
  const options = { format, s3ecLegacy, context, storageClass, sign, partSize, equalParts, frameSize };
  return {
    ...options,
    sse: sseOf(flags),
    ...(await customerKeysOf(flags)),
    ...openRules(flags),
    opener: await openerFor(flags),
  };
}
