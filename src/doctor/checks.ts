/**
 * What is looked at in a bucket: of each setting what is right and what is a gap, why that matters, and what the setting
 * has to be. Nothing is asked and nothing changed here; several checks of one setting are judged one after the other,
 * each over what the one before made of it.
 */
import type { BucketSettings } from '../stores/bucket-settings.ts';
import type { AnyCheck, Verdict } from './check.ts';
import { DENIALS } from './denials.ts';

/** Uploads that nobody goes on with are aborted after this. A job that is interrupted for longer starts over. */
const ABORT_AFTER_DAYS = 7;
const ABORT_RULE = 'sealift-abort-incomplete-uploads';

const DSSE = 'aws:kms:dsse';

function isKms(algorithm: string | undefined): boolean {
  return algorithm === 'aws:kms' || algorithm === DSSE;
}

export const CHECKS: readonly AnyCheck[] = [
  ...DENIALS,
  {
    name: 'encryption',
    setting: 'encryption',
    why: 'What a request does not say, the bucket does: this is how objects are encrypted at rest by default.',
    judge(rule, { requireSse }) {
      const { SSEAlgorithm: algorithm, KMSMasterKeyID: keyId } = rule?.ApplyServerSideEncryptionByDefault ?? {};
      const found = algorithm
        ? `By default ${algorithm}${keyId ? `, key ${keyId}` : ''}`
        : 'No default encryption is set';
      const wanted = requireSse?.algorithm ?? algorithm ?? 'AES256';
      const wantedKey = requireSse?.keyId ?? (isKms(wanted) && isKms(algorithm) ? keyId : undefined);
      if (algorithm === wanted && keyId === wantedKey) return { found };
      const { BucketKeyEnabled, ...others } = rule ?? {};
      const byDefault = {
        SSEAlgorithm: wanted as 'AES256',
        ...(wantedKey === undefined ? {} : { KMSMasterKeyID: wantedKey }),
      };
      const consequences = [
        wantedKey && 'Who writes needs kms:GenerateDataKey of that key, who reads kms:Decrypt.',
        keyId && keyId !== wantedKey && `New objects are no longer encrypted under the key ${keyId}.`,
        wanted === DSSE && BucketKeyEnabled && 'DSSE-KMS has no bucket key: S3 asks KMS for every object.',
      ].filter(Boolean);
      return {
        found,
        mended: { ...(wanted === DSSE ? others : rule), ApplyServerSideEncryptionByDefault: byDefault },
        ...(consequences.length === 0 ? {} : { consequence: consequences.join(' ') }),
      };
    },
  },
  {
    name: 'bucket-key',
    setting: 'encryption',
    why: 'Without a bucket key S3 asks KMS once for every object written or read: that costs, and spends the quota Sealift draws on.',
    judge(rule) {
      const algorithm = rule?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm;
      if (algorithm !== 'aws:kms')
        return { found: algorithm === DSSE ? 'DSSE-KMS has none' : 'KMS is not asked at all' };
      if (rule?.BucketKeyEnabled) return { found: 'The bucket has a key' };
      return {
        found: 'SSE-KMS without a bucket key',
        mended: { ...rule, BucketKeyEnabled: true },
        consequence:
          "KMS is told the bucket's ARN instead of the object's: a key policy with a condition on objects has to be changed.",
      };
    },
  },
  {
    name: 'sse-c',
    setting: 'encryption',
    why: 'Whoever can write can encrypt objects under a key that only they have (SSE-C), and hold them to ransom.',
    judge(rule, { allowSseC }) {
      const isBlocked = rule?.BlockedEncryptionTypes?.EncryptionType?.includes('SSE-C') ?? false;
      const found = `SSE-C is ${isBlocked ? 'blocked' : 'not blocked'}`;
      if (isBlocked !== allowSseC) return { found };
      return {
        found: allowSseC ? `${found}, and --allow-sse-c asks for it` : found,
        mended: { ...rule, BlockedEncryptionTypes: { EncryptionType: [allowSseC ? 'NONE' : 'SSE-C'] } },
        consequence: allowSseC
          ? 'Everybody who may write can then write with SSE-C.'
          : 'Programs that write with SSE-C are refused from then on; what is there can be read. With --allow-sse-c it stays allowed.',
      };
    },
  },
  {
    name: 'versioning',
    setting: 'versioning',
    why: 'Without versions a replaced or deleted object is gone, and an older one put back in its place is not noticed.',
    judge(versioning) {
      const found = `Versioning is ${versioning?.Status === undefined ? 'off' : versioning.Status.toLowerCase()}`;
      if (versioning?.Status === 'Enabled') return { found };
      return {
        found,
        mended: { Status: 'Enabled' },
        consequence:
          'It can be suspended, but never turned off again. Replaced and deleted objects go on costing until they are removed for good.',
      };
    },
  },
  {
    name: 'lifecycle',
    setting: 'lifecycle',
    why: 'Parts of an upload that nobody completes are billed for ever.',
    judge: judgeLifecycle,
  },
  {
    name: 'ownership',
    setting: 'ownership',
    why: 'With ACLs in force an object may belong to another account than the bucket, and be open to others, whatever the policy says.',
    judge(ownership) {
      if (ownership === 'BucketOwnerEnforced')
        return { found: "ACLs are disabled; the bucket's owner owns every object" };
      return {
        found: `ACLs are in force (${ownership ?? 'no ownership controls'})`,
        mended: 'BucketOwnerEnforced',
        consequence:
          "What ACLs grant ends; requests that set one are refused. S3 refuses the change while the bucket's own ACL grants others.",
      };
    },
  },
  {
    name: 'public-access',
    setting: 'publicAccess',
    why: 'One policy or ACL by mistake would open the bucket to everybody.',
    judge(block) {
      const all = {
        BlockPublicAcls: true,
        IgnorePublicAcls: true,
        BlockPublicPolicy: true,
        RestrictPublicBuckets: true,
      };
      const off = (Object.keys(all) as (keyof typeof all)[]).filter((name) => !block?.[name]);
      if (off.length === 0) return { found: 'Public access is blocked' };
      return {
        found: `Public access is not blocked here: ${off.join(', ')} ${off.length === 1 ? 'is' : 'are'} off`,
        mended: all,
        consequence: "Whoever reads the bucket without credentials, a website's visitors for example, cannot any more.",
      };
    },
  },
];

function judgeLifecycle(value: BucketSettings['lifecycle'] | undefined): Verdict<BucketSettings['lifecycle']> {
  const { rules = [] } = value ?? {};
  const aborting = rules.filter((rule) => rule.Status === 'Enabled' && rule.AbortIncompleteMultipartUpload);
  const whole = aborting.find(
    ({ Filter = {}, Prefix = '' }) =>
      Prefix === '' && Object.values(Filter).every((part) => part === '' || part === undefined),
  );
  if (whole) {
    const days = whole.AbortIncompleteMultipartUpload?.DaysAfterInitiation;
    return {
      found: `Uploads are aborted ${days} ${days === 1 ? 'day' : 'days'} after they began: a job must be resumed within that time`,
    };
  }
  // A list of rules that are told by Prefix, as before 2017, takes no other kind.
  const scope = rules.some(({ Filter }) => Filter === undefined) ? { Prefix: '' } : { Filter: { Prefix: '' } };
  const abort = { AbortIncompleteMultipartUpload: { DaysAfterInitiation: ABORT_AFTER_DAYS } };
  const ours = { ID: ABORT_RULE, Status: 'Enabled' as const, ...scope, ...abort };
  return {
    found:
      aborting.length > 0
        ? 'Only some of the uploads that nobody completes are aborted'
        : 'Uploads that nobody completes are kept for ever',
    mended: { ...value, rules: [...rules.filter(({ ID }) => ID !== ABORT_RULE), ours] },
    consequence: `An upload is aborted ${ABORT_AFTER_DAYS} days after it began, ours too: an interrupted job that is resumed later starts over.`,
  };
}
