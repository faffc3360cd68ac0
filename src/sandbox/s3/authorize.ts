/**
 * Who may do what. The sandbox has one identity, a user of the account that owns every bucket, with all permissions; so
 * what a bucket's policy denies is all that is ever refused (userguide/how-s3-evaluates-access-control.html).
 */

import { parseTagging } from './attributes.ts';
import type { Call, S3 } from './call.ts';
import { S3Error } from './errors.ts';
import { denies, type Policy, type PolicyRequest } from './policy.ts';
import type { Facts } from './policy-conditions.ts';

/** userguide/using-with-s3-policy-actions.html: the action an operation needs, where it is not that of its own name. */
const ACTIONS: Readonly<Record<string, string>> = {
  HeadBucket: 'ListBucket',
  ListObjects: 'ListBucket',
  ListObjectsV2: 'ListBucket',
  ListObjectVersions: 'ListBucketVersions',
  ListMultipartUploads: 'ListBucketMultipartUploads',
  HeadObject: 'GetObject',
  CopyObject: 'PutObject',
  CreateMultipartUpload: 'PutObject',
  UploadPart: 'PutObject',
  UploadPartCopy: 'PutObject',
  CompleteMultipartUpload: 'PutObject',
  ListParts: 'ListMultipartUploadParts',
  DeleteObjects: 'DeleteObject',
  GetBucketEncryption: 'GetEncryptionConfiguration',
  PutBucketEncryption: 'PutEncryptionConfiguration',
  DeleteBucketEncryption: 'PutEncryptionConfiguration',
  GetBucketLifecycleConfiguration: 'GetLifecycleConfiguration',
  PutBucketLifecycleConfiguration: 'PutLifecycleConfiguration',
  DeleteBucketLifecycle: 'PutLifecycleConfiguration',
  DeleteBucketOwnershipControls: 'PutBucketOwnershipControls',
  GetPublicAccessBlock: 'GetBucketPublicAccessBlock',
  PutPublicAccessBlock: 'PutBucketPublicAccessBlock',
  DeletePublicAccessBlock: 'PutBucketPublicAccessBlock',
};

/** Actions that have another name where a version is asked for by its id. */
const OF_VERSIONS: Readonly<Record<string, string>> = {
  GetObject: 'GetObjectVersion',
  GetObjectAttributes: 'GetObjectVersionAttributes',
  GetObjectTagging: 'GetObjectVersionTagging',
  PutObjectTagging: 'PutObjectVersionTagging',
  DeleteObjectTagging: 'DeleteObjectVersionTagging',
  DeleteObject: 'DeleteObjectVersion',
};

/** Throws AccessDenied where the bucket's policy denies the call. `key` is that of the call, unless it has several. */
export function authorize(call: Call, s3: S3, key = call.key): void {
  const policy = s3.catalog.settings.get<Policy>(call.bucket, 'policy');
  if (policy === undefined) return;
  const { operation, bucket, query, headers } = call;
  const named = ACTIONS[operation] ?? operation;
  const action = query.has('versionId') ? (OF_VERSIONS[named] ?? named) : named;
  const actions = [action, ...(action === 'PutObject' && headers['x-amz-tagging'] ? ['PutObjectTagging'] : [])];
  const resource = `arn:aws:s3:::${bucket}${key === '' ? '' : `/${key}`}`;
  const principal = { arn: `arn:aws:iam::${s3.accountId}:user/sandbox`, accountId: s3.accountId };
  const facts = factsOf(call, principal);
  for (const name of actions) {
    const request: PolicyRequest = { action: `s3:${name}`, resource, principal, facts };
    // userguide/troubleshoot-403-errors.html has these words.
    if (denies(policy, request)) {
      throw new S3Error(
        'AccessDenied',
        `User: ${principal.arn} is not authorized to perform: s3:${name} on resource: "${resource}" with an explicit deny in a resource-based policy`,
      );
    }
  }
}

/** Headers of a call that are condition keys by their own name. */
const HEADERS = [
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-storage-class',
  'x-amz-acl',
  'if-match',
  'if-none-match',
];

/**
 * userguide/amazon-s3-policy-keys.html and IAM's global keys. A request is judged by its own headers alone: a part of an
 * upload has neither the encryption nor the tags its upload began with, and is denied where they are demanded of
 * s3:PutObject (boto/botocore#471, aws/aws-cli#4251, boto/boto3#2675 saw it on S3).
 */
function factsOf({ headers, query, secure, tlsVersion }: Call, principal: PolicyRequest['principal']): Facts {
  const facts = new Map<string, string[]>([
    ['aws:securetransport', [String(secure)]],
    ['aws:principalisawsservice', ['false']],
    ['aws:principalarn', [principal.arn]],
    ['aws:principalaccount', [principal.accountId]],
    ['aws:principaltype', ['User']],
  ]);
  if (tlsVersion !== undefined) facts.set('s3:tlsversion', [tlsVersion]);
  for (const name of HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') facts.set(`s3:${name}`, [value]);
  }
  const [prefix, versionId] = [query.get('prefix'), query.get('versionId')];
  if (prefix !== null) facts.set('s3:prefix', [prefix]);
  if (versionId !== null) facts.set('s3:versionid', [versionId]);
  const tags = parseTagging(String(headers['x-amz-tagging'] ?? ''));
  for (const { Key, Value } of tags) facts.set(`s3:requestobjecttag/${Key.toLowerCase()}`, [Value]);
  if (tags.length > 0)
    facts.set(
      's3:requestobjecttagkeys',
      tags.map(({ Key }) => Key),
    );
  return facts;
}
