/** From flags to keys, and to the engine that uses them. The library is loaded here, once the flags are known to be good. */
import { SealiftError } from '../errors.ts';
import type { Engine, Keyring, KmsKeyring } from '../index.ts';
import type { EngineFlags, KeyFlags } from './options.ts';

/** What a command does with keys. To open, none need be named: the object says which KMS key it wants. */
export type KeyUse = 'seal' | 'open' | 'none';

export async function openEngine(flags: EngineFlags, use: KeyUse): Promise<Engine> {
  const { keyReuse, maxMemory, threads, lanes, stateDir, pathStyle, allowHttp, expectedBucketOwner } = flags;
  const keyring = use === 'none' ? undefined : await keyringFor(flags, use);
  const { createEngine } = await import('../index.ts');
  return createEngine({
    keyring,
    keyReuse,
    maxMemory,
    threads,
    lanes,
    stateDir,
    pathStyle,
    allowHttp,
    expectedBucketOwner,
  });
}

async function keyringFor(flags: KeyFlags, use: KeyUse): Promise<Keyring | KmsKeyring> {
  const { kmsKey: keyIds = [], rawKey, kmsShare: share, kmsRate: ratePerSecond } = flags;
  if (rawKey !== undefined && keyIds.length > 0) {
    throw new SealiftError('bad-option', '--raw-key and --kms-key do not go together', { hint: 'Give one of them.' });
  }
  if (rawKey === undefined && keyIds.length === 0 && use === 'seal') {
    throw new SealiftError('no-key', 'No key was named', {
      hint: 'Give --kms-key with a KMS key, or --raw-key with a key file (`sealift keygen FILE` makes one).',
    });
  }
  const { kmsKeyring, readKeyFile } = await import('../index.ts');
  return rawKey === undefined ? kmsKeyring({ keyIds, share, ratePerSecond }) : readKeyFile(rawKey);
}
