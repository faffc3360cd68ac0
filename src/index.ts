/**
 * Sealift's front door for programs.
 *
 * ```ts
 * import { createEngine, kmsKeyring } from 'sealift';
 *
 * await using engine = createEngine({ keyring: kmsKeyring({ keyIds: ['alias/backups'] }) });
 * await engine.put({ source: '/data/db.tar', target: 's3://my-bucket/db.tar' });
 * ```
 */

export {
  type KmsKeyring,
  type KmsKeyringOptions,
  kmsKeyring,
  type MultiKeyring,
  multiKeyring,
} from './engine/keys.ts';
export type { Engine, EngineOptions } from './engine.ts';
export { createEngine } from './engine.ts';
export { CODES, type ErrorCode, type ErrorData, EXIT, SealiftError } from './errors.ts';
export { COMMITMENT_POLICIES, type CommitmentPolicy } from './formats/policy.ts';
export type { PlainStream } from './get/stream-target.ts';
export type { OpenRules } from './get/unlock.ts';
export type { GetRequest, OpenRequest, PlainSink } from './get.ts';
export type { Inspection, InspectOptions } from './inspect.ts';
export type { JobEvent, JobResult, RunOptions } from './job.ts';
export type { Cancelled } from './jobs.ts';
export type { CacheStats } from './keys/cache.ts';
export { readKeyFile, writeKeyFile } from './keys/key-file.ts';
export type { Keyring, WrappingKeyring } from './keys/keyring.ts';
export { rawAesKeyring } from './keys/raw-aes.ts';
export { type RsaPadding, rawRsaKeyring } from './keys/raw-rsa.ts';
export type { DamagedJob, JobSummary } from './ledger/ledger.ts';
export type { PutRequest } from './put.ts';
