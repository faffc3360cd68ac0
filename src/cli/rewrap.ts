/** `sealift rewrap OBJECT`: wrap an object's data key under another key, and leave its bytes where they are. */
import type { Command } from 'commander';
import {
  type CustomerKeyFlags,
  customerKeysOf,
  oldCustomerKeyOptions,
  type SseFlags,
  sseOf,
  sseOptions,
} from './encryption.ts';
import { openEngine, openerFor } from './keys.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  keyOptions,
  type OldKeyFlags,
  oldKeyOptions,
  openKeyOptions,
  outputOptions,
  storeOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

type RewrapFlags = EngineFlags & OldKeyFlags & SseFlags & CustomerKeyFlags & { deleteOldVersion?: boolean };

const EXAMPLES = `
Examples:
  $ sealift rewrap s3://backups/2026/db.tar --kms-key alias/backups-2027
  $ sealift rewrap s3://backups/2026/db.tar --kms-key alias/backups-2027 --delete-old-version

Only the data key is wrapped anew. S3 copies the object onto itself with other metadata, or its instruction file is
written again; no byte of the object comes here, whatever its size. It happens only if the object is still what was read.

Re-wrapping is not revocation: who has the old key, and the metadata as it was, still has the data key. To take a key's
power from it, \`sealift reseal\` the object under another, and delete the old versions.

This works for objects of the S3 Encryption Client (\`put --format s3ec\`) in S3. A message of the AWS Encryption SDK
cannot be rewrapped by anybody: its header would get a second tag under the same key and IV, and two such tags give its
authentication key away. \`sealift reseal\` seals it again.`;

export function addRewrap(program: Command, output: Output): void {
  const command = program
    .command('rewrap')
    .summary("wrap an object's data key under another key")
    .description("Wraps the data key of an S3 Encryption Client's object under another key. Its bytes stay in S3.")
    .argument('<object>', 's3://bucket/key')
    .addHelpText('after', EXAMPLES);
  for (const add of [keyOptions, oldKeyOptions, openKeyOptions]) add(command);
  command
    .optionsGroup('Object:')
    .addOption(flag('--delete-old-version', 'in a bucket with versions, delete the one with the old key'));
  for (const add of [sseOptions, oldCustomerKeyOptions, storeOptions, outputOptions]) add(command);

  command.action(async (object: string) => {
    const flags = flagsOf<RewrapFlags>(command);
    const { deleteOldVersion } = flags;
    const at = { sse: sseOf(flags), ...(await customerKeysOf(flags)) };
    const opener = await openerFor(flags);
    await using engine = await openEngine(flags, 'seal');
    const signal = stopOnSignals(output);
    process.exitCode = await runJob({ output, signal, from: object }, (run) =>
      engine.rewrap({ object, opener, deleteOldVersion, ...at, ...run }),
    );
  });
}
