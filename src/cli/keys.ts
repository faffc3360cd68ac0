/** From flags to keys, and to the engine that uses them. The library is loaded here, once the flags are known to be good. */
import { SealiftError } from '../errors.ts';
import type { Engine, Keyring, KmsKeyring, KmsKeyringOptions, MultiKeyring, WrappingKeyring } from '../index.ts';
import type { EngineFlags, KeyFlags, OldKeyFlags, SealFlag } from './options.ts';

/** What a command does with keys. To open, none need be named: the object says which KMS key it wants. */
export type KeyUse = 'seal' | 'open' | 'none';

/** What says how keys are used, by the names of the flags. */
const KEY_FLAGS = {
  kmsKey: '--kms-key',
  rawKey: '--raw-key',
  kmsGrantToken: '--kms-grant-token',
  kmsShare: '--kms-share',
  kmsRate: '--kms-rate',
  limiter: '--limiter',
  keyReuse: '--key-reuse',
} as const satisfies Partial<Record<keyof KeyFlags, string>>;

/** To seal, unless the flags say not to. Throws `bad-option` where they name keys all the same. */
export function sealUseOf(flags: EngineFlags & SealFlag): KeyUse {
  if (flags.seal !== 'none') return 'seal';
  const names = Object.keys(KEY_FLAGS) as (keyof typeof KEY_FLAGS)[];
  const named = names.find((name) => flags[name] !== undefined);
  if (named === undefined) return 'none';
  const flag = KEY_FLAGS[named];
  throw new SealiftError('bad-option', `With --seal none nothing is sealed, and ${flag} would be of no use`, {
    hint: `Leave --seal none out to have the object sealed, or ${flag} to have it not (look for a SEALIFT_ variable too).`,
  });
}

/** To open, unless the flags say that nothing is sealed. */
export function openUseOf({ seal }: SealFlag): KeyUse {
  return seal === 'none' ? 'none' : 'open';
}

/** `own` stands for keys where no flag names any. */
export async function openEngine(flags: EngineFlags, use: KeyUse, own?: Keyring): Promise<Engine> {
  const { keyReuse, limiter, maxMemory, threads, lanes, bwlimit } = flags;
  const { stateDir, pathStyle, allowHttp, expectedBucketOwner } = flags;
  const keyring = own ?? (use === 'none' ? undefined : await keyringFor(flags, use));
  const { createEngine } = await import('../index.ts');
  return createEngine({
    keyring,
    keyReuse,
    limiter,
    maxMemory,
    threads,
    lanes,
    bwlimit,
    stateDir,
    pathStyle,
    allowHttp,
    expectedBucketOwner,
  });
}

/** The KMS keys as one keyring, then each raw key. Of several the first makes data keys. */
async function keyringFor(flags: KeyFlags, use: KeyUse): Promise<Keyring | KmsKeyring | MultiKeyring> {
  const { kmsKey: keyIds = [], rawKey: files = [] } = flags;
  if (files.length === 0 && keyIds.length === 0 && use === 'seal') {
    throw new SealiftError('no-key', 'No key was named', {
      hint: 'Give --kms-key with a KMS key, or --raw-key with a key file (`sealift keygen FILE` makes one).',
    });
  }
  const { kmsKeyring, multiKeyring } = await import('../index.ts');
  const keyrings: (WrappingKeyring | KmsKeyring)[] = [];
  if (keyIds.length > 0 || files.length === 0) keyrings.push(kmsKeyring({ keyIds, ...kmsOptions(flags) }));
  keyrings.push(...(await readKeys(files, flags)));
  return keyrings.length === 1 ? keyrings[0]! : multiKeyring(keyrings);
}

async function readKeys(files: readonly string[], { allowPkcs1 }: KeyFlags): Promise<WrappingKeyring[]> {
  const { readKeyFile } = await import('../index.ts');
  const keyrings: WrappingKeyring[] = [];
  for (const file of files) keyrings.push(await readKeyFile(file, { allowPkcs1 }));
  return keyrings;
}

/** The keys that an object has now: those named as old, else those named, of KMS any that it names itself. */
export async function openerFor(flags: KeyFlags & OldKeyFlags): Promise<Keyring | KmsKeyring | MultiKeyring> {
  const { oldKmsKey, oldRawKey } = flags;
  const isNamed = oldKmsKey !== undefined || oldRawKey !== undefined;
  const kmsKey = isNamed ? oldKmsKey : undefined;
  const rawKey = isNamed ? oldRawKey : flags.rawKey;
  if (isNamed || flags.kmsKey === undefined) return await keyringFor({ ...flags, kmsKey, rawKey }, 'open');
  const { kmsKeyring, multiKeyring } = await import('../index.ts');
  const any = kmsKeyring({ keyIds: [], ...kmsOptions(flags) });
  return rawKey === undefined ? any : multiKeyring([any, ...(await readKeys(rawKey, flags))]);
}

function kmsOptions(flags: KeyFlags): Omit<KmsKeyringOptions, 'keyIds'> {
  const { kmsShare: share, kmsRate: ratePerSecond, kmsGrantToken: grantTokens } = flags;
  const { kmsDiscoveryAccount: accountIds, kmsDiscoveryPartition: partition } = flags;
  const discovery = accountIds || partition ? { accountIds, partition } : undefined;
  return { share, ratePerSecond, grantTokens, discovery };
}
