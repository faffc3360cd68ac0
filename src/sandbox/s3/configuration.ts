/**
 * What a bucket is configured to do: default encryption, lifecycle, Object Ownership, public access block. They are kept
 * and told as S3 does. Encryption has its effect (sse.ts), as has the block of public policies (policies.ts); no rule of
 * a lifecycle is ever carried out, and there are no access control lists to be disabled.
 */
import type { Answer, Call, S3 } from './call.ts';
import { S3Error } from './errors.ts';
import { receiveXml } from './receive.ts';
import { NAMESPACE, writeXml, type XmlTree } from './xml.ts';

type Tree = Record<string, unknown>;

/** A bucket's default encryption, and what it does not take. */
export interface BucketEncryption {
  readonly algorithm: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  readonly keyId?: string | undefined;
  readonly bucketKey: boolean;
  readonly blocksCustomerKeys: boolean;
}

const PUBLIC_ACCESS = ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'] as const;
type PublicAccess = Record<(typeof PUBLIC_ACCESS)[number], boolean>;

/**
 * A new bucket: SSE-S3, ACLs disabled and public access blocked since 2023 (userguide/creating-buckets-s3.html), SSE-C
 * blocked since April 2026 (userguide/default-s3-c-encryption-setting-faq.html).
 */
export function configureNewBucket(bucket: string, { catalog: { settings } }: S3): void {
  const encryption: BucketEncryption = { algorithm: 'AES256', bucketKey: false, blocksCustomerKeys: true };
  settings.set(bucket, 'encryption', encryption);
  settings.set(bucket, 'ownershipControls', { ownership: 'BucketOwnerEnforced' });
  settings.set(bucket, 'publicAccessBlock', Object.fromEntries(PUBLIC_ACCESS.map((name) => [name, true])));
}

// Default encryption.

const NO_ENCRYPTION: BucketEncryption = { algorithm: 'AES256', bucketKey: false, blocksCustomerKeys: false };

/** One that was made before there was this setting has what S3 gave all buckets in 2023. */
export function encryptionOf(bucket: string, { catalog }: S3): BucketEncryption {
  return catalog.settings.get(bucket, 'encryption') ?? NO_ENCRYPTION;
}

export function getBucketEncryption(call: Call, s3: S3): Answer {
  const { algorithm, keyId, bucketKey, blocksCustomerKeys } = encryptionOf(call.bucket, s3);
  const Rule = {
    ApplyServerSideEncryptionByDefault: { SSEAlgorithm: algorithm, KMSMasterKeyID: keyId },
    BucketKeyEnabled: bucketKey,
    BlockedEncryptionTypes: blocksCustomerKeys ? { EncryptionType: 'SSE-C' } : undefined,
  };
  return { body: writeXml('ServerSideEncryptionConfiguration', { Rule }, NAMESPACE) };
}

/**
 * API_PutBucketEncryption.html: one rule. userguide/blocking-unblocking-s3-c-encryption-gpb.html blocks and unblocks with
 * a rule that says nothing else, so what a rule does not say stays as it is.
 */
export async function putBucketEncryption(call: Call, s3: S3): Promise<Answer> {
  const tree = await receiveXml(call, 'ServerSideEncryptionConfiguration', { digest: 'required' });
  const [rule, ...more] = rulesOf(tree);
  if (rule === undefined || more.length > 0) throw new S3Error('MalformedXML');
  const before = encryptionOf(call.bucket, s3);
  const bucketKey = rule.BucketKeyEnabled === undefined ? before.bucketKey : rule.BucketKeyEnabled === 'true';
  const blocksCustomerKeys = readBlocked(rule.BlockedEncryptionTypes) ?? before.blocksCustomerKeys;
  const encryption = { ...(readDefault(rule) ?? before), bucketKey, blocksCustomerKeys };
  s3.catalog.settings.set(call.bucket, 'encryption', encryption);
  return {};
}

function readDefault(rule: Tree): Pick<BucketEncryption, 'algorithm' | 'keyId'> | undefined {
  const wanted = rule.ApplyServerSideEncryptionByDefault as Tree | undefined;
  if (wanted === undefined) return undefined;
  const algorithm = oneOf(wanted.SSEAlgorithm, ['AES256', 'aws:kms', 'aws:kms:dsse']);
  const keyId = wanted.KMSMasterKeyID as string | undefined;
  // API_ServerSideEncryptionByDefault.html: "This parameter is allowed if and only if SSEAlgorithm is set to aws:kms or
  // aws:kms:dsse."
  if (keyId !== undefined && algorithm === 'AES256') {
    throw new S3Error(
      'InvalidArgument',
      'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms',
    );
  }
  return { algorithm, keyId };
}

/** API_BlockedEncryptionTypes.html: NONE or SSE-C. */
function readBlocked(types: unknown): boolean | undefined {
  if (types === undefined) return undefined;
  return oneOf((types as Tree).EncryptionType, ['NONE', 'SSE-C']) === 'SSE-C';
}

/** API_DeleteBucketEncryption.html: "resets the default encryption for the bucket as [SSE-S3]". */
export function deleteBucketEncryption(call: Call, s3: S3): Answer {
  const { blocksCustomerKeys } = encryptionOf(call.bucket, s3);
  s3.catalog.settings.set(call.bucket, 'encryption', { ...NO_ENCRYPTION, blocksCustomerKeys });
  return { status: 204 };
}

// Lifecycle.

/** userguide/lifecycle-transition-general-considerations.html: what holds where nothing is said. */
const LEAST_SIZE = 'all_storage_classes_128K';
const LEAST_SIZE_HEADER = 'x-amz-transition-default-minimum-object-size';

export function getBucketLifecycle(call: Call, s3: S3): Answer {
  const kept = s3.catalog.settings.get<{ rules: XmlTree[]; leastSize: string }>(call.bucket, 'lifecycle');
  if (kept === undefined) throw new S3Error('NoSuchLifecycleConfiguration');
  return {
    headers: { [LEAST_SIZE_HEADER]: kept.leastSize },
    body: writeXml('LifecycleConfiguration', { Rule: kept.rules }, NAMESPACE),
  };
}

/** The whole configuration takes the place of the one before (API_PutBucketLifecycleConfiguration.html). */
export async function putBucketLifecycle(call: Call, s3: S3): Promise<Answer> {
  const rules = rulesOf(await receiveXml(call, 'LifecycleConfiguration', { digest: 'required' }));
  // userguide/intro-lifecycle-rules.html: "An S3 Lifecycle configuration can have up to 1,000 rules", with unique ids.
  if (rules.length === 0 || rules.length > 1000) throw new S3Error('MalformedXML');
  const ids = rules.map(({ ID }) => ID).filter((id) => id !== undefined);
  if (new Set(ids).size < ids.length)
    throw new S3Error('InvalidArgument', 'Rule ID must be unique. Found same ID for more than one rule');
  for (const rule of rules) checkLifecycleRule(rule);
  // API_LifecycleRule.html: Prefix is of the first version of these rules, Filter of the second; a list has one kind.
  if (new Set(rules.map((rule) => 'Filter' in rule)).size > 1) {
    throw new S3Error('InvalidRequest', 'Filter element can only be used in Lifecycle V2.');
  }
  const leastSize = call.headers[LEAST_SIZE_HEADER] ?? LEAST_SIZE;
  s3.catalog.settings.set(call.bucket, 'lifecycle', { rules: rules.map(named), leastSize });
  return { headers: { [LEAST_SIZE_HEADER]: String(leastSize) } };
}

const LIFECYCLE_ACTIONS = [
  'Expiration',
  'Transition',
  'NoncurrentVersionExpiration',
  'NoncurrentVersionTransition',
  'AbortIncompleteMultipartUpload',
];

function checkLifecycleRule(rule: Tree): void {
  oneOf(rule.Status, ['Enabled', 'Disabled']);
  if (!('Filter' in rule) && !('Prefix' in rule)) throw new S3Error('MalformedXML');
  if (!LIFECYCLE_ACTIONS.some((action) => action in rule)) {
    throw new S3Error('InvalidRequest', 'At least one action needs to be specified in a rule');
  }
  const abort = rule.AbortIncompleteMultipartUpload as Tree | undefined;
  if (abort === undefined) return;
  if (!(Number(abort.DaysAfterInitiation) > 0)) {
    throw new S3Error(
      'InvalidArgument',
      "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
    );
  }
  // userguide/mpu-abort-incomplete-mpu-lifecycle-config.html: "You can't use object tags to specify rules" of this kind.
  if (JSON.stringify(rule.Filter ?? '').includes('"Tag"')) {
    throw new S3Error('InvalidRequest', 'AbortIncompleteMultipartUpload cannot be specified with Tags');
  }
}

/** S3 gives a rule without a name one. */
function named(rule: Tree, index: number): Tree {
  return rule.ID === undefined ? { ID: `sandbox-rule-${index + 1}`, ...rule } : rule;
}

// Object Ownership and public access.

export function getOwnershipControls(call: Call, s3: S3): Answer {
  const kept = s3.catalog.settings.get<{ ownership: string }>(call.bucket, 'ownershipControls');
  if (kept === undefined) throw new S3Error('OwnershipControlsNotFoundError');
  return { body: writeXml('OwnershipControls', { Rule: { ObjectOwnership: kept.ownership } }, NAMESPACE) };
}

export async function putOwnershipControls(call: Call, s3: S3): Promise<Answer> {
  const [rule] = rulesOf(await receiveXml(call, 'OwnershipControls', { digest: 'required' }));
  const kinds = ['BucketOwnerPreferred', 'ObjectWriter', 'BucketOwnerEnforced'] as const;
  s3.catalog.settings.set(call.bucket, 'ownershipControls', { ownership: oneOf(rule?.ObjectOwnership, kinds) });
  return {};
}

export function getPublicAccessBlock(call: Call, s3: S3): Answer {
  const kept = s3.catalog.settings.get<PublicAccess>(call.bucket, 'publicAccessBlock');
  if (kept === undefined) throw new S3Error('NoSuchPublicAccessBlockConfiguration');
  return { body: writeXml('PublicAccessBlockConfiguration', kept, NAMESPACE) };
}

/** API_PublicAccessBlockConfiguration.html: what is not named is off. */
export async function putPublicAccessBlock(call: Call, s3: S3): Promise<Answer> {
  const tree = await receiveXml(call, 'PublicAccessBlockConfiguration', { digest: 'required' });
  const block = Object.fromEntries(PUBLIC_ACCESS.map((name) => [name, tree[name] === 'true']));
  s3.catalog.settings.set(call.bucket, 'publicAccessBlock', block);
  return {};
}

export function blocksPublicPolicy(bucket: string, { catalog }: S3): boolean {
  return catalog.settings.get<PublicAccess>(bucket, 'publicAccessBlock')?.BlockPublicPolicy ?? false;
}

// All of them.

/** An operation that takes a setting away, present or not. */
export function deleteSetting(name: string) {
  return (call: Call, s3: S3): Answer => {
    s3.catalog.settings.remove(call.bucket, name);
    return { status: 204 };
  };
}

function rulesOf(tree: Tree): Tree[] {
  return (tree.Rule ?? []) as Tree[];
}

function oneOf<const Value extends string>(value: unknown, values: readonly Value[]): Value {
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) throw new S3Error('MalformedXML');
  return found;
}
