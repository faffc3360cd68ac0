/** The flags that say how S3 encrypts objects at rest, and what they mean. */
import type { KeyObject } from 'node:crypto';
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { ServerEncryption } from '../index.ts';
import { pairs, path, sse } from './flag-values.ts';
import { flag } from './options.ts';

export interface SseFlags {
  sse?: Pick<ServerEncryption, 'algorithm' | 'keyId'> | undefined;
  sseContext?: Record<string, string> | undefined;
  bucketKey?: boolean | undefined;
}

export interface CustomerKeyFlags {
  sseC?: string | undefined;
  oldSseC?: string | undefined;
  sourceSseC?: string | undefined;
}

const GROUP = 'Encryption at rest, by S3 (beside the seal):';

/** How S3 is to encrypt what is written. */
export function sseOptions(command: Command): Command {
  return command
    .optionsGroup(GROUP)
    .addOption(flag('--sse <mode>', 's3, kms[:KEY] or dsse[:KEY]; default: as the bucket is set to', sse))
    .addOption(flag('--sse-context <name=value>', 'of kms: a pair of its encryption context; may be repeated', pairs))
    .addOption(flag('--bucket-key', 'of kms: a key of the bucket instead of a KMS call an object'));
}

/** What S3 encrypts with, and forgets: wanted to write, and to read again. */
export function customerKeyOptions(command: Command): Command {
  return command
    .optionsGroup(GROUP)
    .addOption(flag('--sse-c <file>', 'under your own key, 32 raw bytes in FILE, which S3 forgets; HTTPS only', path));
}

/** As `customerKeyOptions`, of what is written anew. */
export function oldCustomerKeyOptions(command: Command): Command {
  return customerKeyOptions(command).addOption(
    flag('--old-sse-c <file>', 'the key of --sse-c that the object has now, where it is another', path),
  );
}

/** As `customerKeyOptions`, where the source may be an object too. */
export function sourceKeyOptions(command: Command): Command {
  return customerKeyOptions(command).addOption(
    flag('--source-sse-c <file>', 'the key of --sse-c that the source has, where that is an object', path),
  );
}

/** What is asked for. Throws `bad-option` for what says nothing by itself. */
export function sseOf({ sse, sseContext: context, bucketKey }: SseFlags): ServerEncryption | undefined {
  if (sse) return { ...sse, context, bucketKey };
  if (context === undefined && !bucketKey) return undefined;
  throw new SealiftError('bad-option', `${context ? '--sse-context' : '--bucket-key'} goes with --sse kms`, {
    hint: 'Give --sse kms, or --sse kms:KEY, too.',
  });
}

/** The keys, out of their files. Throws `bad-key-file`. */
export async function customerKeysOf({ sseC, oldSseC }: CustomerKeyFlags) {
  return { customerKey: await readKey(sseC), oldCustomerKey: await readKey(oldSseC) };
}

/** The key of a source that is an object. Throws `bad-key-file`. */
export function sourceKeyOf({ sourceSseC }: CustomerKeyFlags): Promise<KeyObject | undefined> {
  return readKey(sourceSseC);
}

async function readKey(file: string | undefined): Promise<KeyObject | undefined> {
  if (file === undefined) return undefined;
  const { readCustomerKey } = await import('../index.ts');
  return await readCustomerKey(file);
}
