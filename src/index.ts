/**
 * Sealift's front door for programs. README lists what goes through it; the examples at each are run by a test.
 */

export type { Change } from './doctor/apply.ts';
export type { UploadFinding } from './doctor/uploads.ts';
export type { Diagnosis, DoctorRequest, Finding } from './doctor.ts';
export type { Engine, EngineOptions, MigrateRequest, PutRequest, ResealRequest, RewrapRequest } from './engine/api.ts';
export {
  type KmsKeyring,
  type KmsKeyringOptions,
  kmsKeyring,
  type MultiKeyring,
  multiKeyring,
} from './engine/keys.ts';
export { createEngine } from './engine.ts';
export { CODES, type ErrorCode, type ErrorData, EXIT, SealiftError } from './errors.ts';
export type { EncryptedDataKey } from './formats/esdk/header.ts';
export { COMMITMENT_POLICIES, type CommitmentPolicy } from './formats/policy.ts';
export type { ByteRange } from './get/pieces.ts';
export type { PlainStream } from './get/stream-target.ts';
export type { OpenRules } from './get/unlock.ts';
export type { GetRequest, OpenRequest, PlainSink } from './get.ts';
export type { Inspection, InspectOptions } from './inspect.ts';
export type { JobEvent, JobResult, ObjectsProgress, RunOptions } from './job.ts';
export type { Cancelled } from './jobs.ts';
export type { CacheStats } from './keys/cache.ts';
export { readCustomerKey } from './keys/customer-key.ts';
export { type KeyFileOptions, readKeyFile, writeKeyFile } from './keys/key-file.ts';
export type {
  DataKey,
  KeyMaking,
  Keyring,
  KeyringRequest,
  OpenKeyRequest,
  SealingMaterials,
  WrappingKeyring,
} from './keys/keyring.ts';
export type { DiscoveryFilter } from './keys/kms-arn.ts';
export { type RawAesKey, rawAesKeyring } from './keys/raw-aes.ts';
export { type RawRsaKey, type RsaPadding, rawRsaKeyring } from './keys/raw-rsa.ts';
export type { JobChanges } from './ledger/control.ts';
export type { DamagedJob, JobSummary } from './ledger/types.ts';
export type { Listing, ListingState, ListOptions } from './list.ts';
export type { FilterRequest } from './migrate/filter.ts';
export type { Decision } from './migrate/preview.ts';
export type { ProofRequest } from './migrate/proof.ts';
export type { ReportOptions, ReportRequest, ReportSummary } from './migrate/report.ts';
export type { ReportFormat } from './migrate/report-format.ts';
export type { Sample } from './migrate/sample.ts';
export type { NameList } from './migrate/sources/names.ts';
export type { MigrateOptions } from './migrate.ts';
export type { Retry } from './network.ts';
export type { ProfileOptions, Stage, StageSeconds } from './parts/stopwatch.ts';
export type { AtRest } from './plan/at-rest.ts';
export { type Cost, PRICES, type PriceTable, readPrices } from './plan/prices.ts';
export type { LargestObject, Reading, Requests } from './plan/tally.ts';
export type { Estimate, Limit, Speeds } from './plan/time.ts';
export type { KmsPlan, KmsUse, Plan, PlanRequest } from './plan.ts';
export type { SealOptions } from './put/attempt.ts';
export type { SourceOptions } from './put/find-source.ts';
export type { PutOptions } from './put.ts';
export type { ResealOptions } from './reseal.ts';
export type { RewrapOptions } from './rewrap.ts';
export type { ServerEncryption } from './stores/encryption.ts';
export type { VerifyRequest } from './verify.ts';
