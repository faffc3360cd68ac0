/**
 * What S3, the SDK and the network say went wrong, as SealiftError: one code, one message, and what to do next.
 *
 * A write that rejects may have taken effect all the same: requests are tried again, and the answer to an earlier attempt
 * may have been lost. `target-exists`, `target-changed`, `upload-lost`, `store-throttled` and `store-unavailable` are
 * what that looks like. Only `head` knows.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';
import { bareError, isCertificateCode, isNetworkCode, isOldTls } from '../network.ts';
import type { WriteCondition } from './store.ts';

/** S3's calls, each with the permission it needs. */
const PERMISSIONS = {
  HeadBucket: 's3:ListBucket',
  HeadObject: 's3:GetObject, and s3:ListBucket: without that one S3 answers 403 for an object that does not exist',
  GetObject: 's3:GetObject, or s3:GetObjectVersion for a version',
  GetObjectTagging: 's3:GetObjectTagging, or s3:GetObjectVersionTagging for a version',
  CopyObject: 's3:GetObject and s3:PutObject, and s3:PutObjectTagging with tags',
  UploadPartCopy: 's3:GetObject and s3:PutObject',
  DeleteObject: 's3:DeleteObjectVersion',
  PutObject: 's3:PutObject, and s3:PutObjectTagging with tags',
  CreateMultipartUpload: 's3:PutObject, and s3:PutObjectTagging with tags',
  UploadPart: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  ListParts: 's3:ListMultipartUploadParts',
  ListMultipartUploads: 's3:ListBucketMultipartUploads',
  ListObjectsV2: 's3:ListBucket',
  GetBucketPolicy: 's3:GetBucketPolicy',
  PutBucketPolicy: 's3:PutBucketPolicy',
  GetBucketEncryption: 's3:GetEncryptionConfiguration',
  PutBucketEncryption: 's3:PutEncryptionConfiguration',
  GetBucketVersioning: 's3:GetBucketVersioning',
  PutBucketVersioning: 's3:PutBucketVersioning',
  GetBucketLifecycleConfiguration: 's3:GetLifecycleConfiguration',
  PutBucketLifecycleConfiguration: 's3:PutLifecycleConfiguration',
  GetBucketOwnershipControls: 's3:GetBucketOwnershipControls',
  PutBucketOwnershipControls: 's3:PutBucketOwnershipControls',
  GetPublicAccessBlock: 's3:GetBucketPublicAccessBlock',
  PutPublicAccessBlock: 's3:PutBucketPublicAccessBlock',
} as const;

export type S3Call = keyof typeof PERMISSIONS;

/** Calls on an upload: what is not found there is the upload, also where a server names the key instead. */
const OF_AN_UPLOAD = new Set<S3Call>([
  'UploadPart',
  'UploadPartCopy',
  'ListParts',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
]);

/** The call that failed, as far as its error is told by it. */
export interface CallContext {
  call: S3Call;
  /** What it was made on: an object, or the bucket. */
  url: string;
  region: string;
  condition?: WriteCondition | undefined;
  /** The version asked for, where one was. */
  versionId?: string | undefined;
}

type Verdict = readonly [code: ErrorCode, hint: string];

/** What an SDK or a Node error may carry beside its message. */
interface Failure extends Error {
  /** Node's code of a network or TLS error. */
  code?: unknown;
  $metadata?: { httpStatusCode?: number; requestId?: string };
  $response?: { headers?: Record<string, string>; body?: unknown };
  /** The region that S3 expected, in AuthorizationHeaderMalformed. */
  Region?: string;
  /** Where the object is, in InvalidObjectState. */
  StorageClass?: string;
}

const START_OVER = 'Run the same command again: it starts the object over, under a new key.';
const TRY_LATER =
  'Sealift tried several times. Run the same command again later: a job that `sealift jobs` lists goes on where it stopped.';

const SSE_KEY =
  "It is the key that S3 is to encrypt with at rest: look at --sse, or at the bucket's default encryption.";

/** Errors that mean the same whatever the call, by S3's name. */
const BY_NAME: Readonly<Record<string, Verdict>> = {
  NoSuchBucket: ['bucket-not-found', 'Check the bucket name, or create the bucket first.'],
  NoSuchVersion: ['object-not-found', 'That version is not there any more. Run the same command again.'],
  NoSuchUpload: ['upload-lost', START_OVER],
  InvalidRange: ['bad-range', 'The object is shorter than the first byte asked for.'],
  ExpiredToken: ['credentials-expired', 'Renew your AWS credentials and run the same command again.'],
  RequestExpired: ['credentials-expired', 'Renew your AWS credentials and run the same command again.'],
  InvalidAccessKeyId: ['access-denied', 'Check AWS_ACCESS_KEY_ID or AWS_PROFILE: this store does not know the key.'],
  InvalidToken: ['access-denied', 'Check AWS_SESSION_TOKEN: it does not belong to this access key.'],
  SignatureDoesNotMatch: ['access-denied', 'Check AWS_SECRET_ACCESS_KEY: it does not belong to this access key.'],
  RequestTimeTooSkewed: ['access-denied', "Set this machine's clock: it differs from the store's by too much."],
  'KMS.NotFoundException': ['kms-key-not-found', SSE_KEY],
  'KMS.DisabledException': ['kms-key-disabled', SSE_KEY],
  'KMS.KMSInvalidStateException': ['kms-key-disabled', SSE_KEY],
  BadDigest: [
    'checksum-mismatch',
    'The bytes were damaged on the way, or this machine is faulty. Run the same command again.',
  ],
  XAmzContentSHA256Mismatch: ['checksum-mismatch', 'The bytes were damaged on the way. Run the same command again.'],
  MetadataTooLarge: ['metadata-too-large', 'S3 keeps 2 KiB of metadata an object: give fewer or shorter --metadata.'],
  EntityTooLarge: ['store-error', 'The store takes no part or object of this size: give a smaller --part-size.'],
  EntityTooSmall: ['store-error', 'S3 wants parts of at least 5 MiB: give a larger --part-size.'],
  InvalidPart: [
    'store-error',
    'The parts in the store are not those that were sent, or it wants them all equal. Run it again with --fresh, or with --fresh --equal-parts.',
  ],
  NotImplemented: [
    'store-error',
    'The server does not do all of S3 that an upload has to rely on; its message says what. README tells of servers.',
  ],
};

/** Any error of a call to S3. One that is ours already passes as it is. */
export function s3Error(thrown: unknown, context: CallContext): SealiftError {
  if (thrown instanceof SealiftError) return thrown;
  const failure: Failure = thrown instanceof Error ? thrown : bareError(thrown);
  const verdict = judge(failure, context);
  if (verdict === undefined) return SealiftError.from(bareError(thrown));
  const [code, hint] = verdict;
  const message = `${context.call} ${context.url}: ${reasonOf(failure)}`;
  return new SealiftError(code, message, {
    hint,
    cause: bareError(thrown),
    requestId: failure.$metadata?.requestId,
  });
}

/** An error of the credential chain. */
export function credentialsError(thrown: unknown): SealiftError {
  const cause = bareError(thrown);
  const { message } = cause;
  if (/expired/i.test(message)) {
    const hint = 'Renew them, for example with: aws sso login.';
    return new SealiftError('credentials-expired', `The AWS credentials have expired: ${message}`, { hint, cause });
  }
  const hint =
    'Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. To see what is found: aws configure list.';
  return new SealiftError('credentials-missing', `No AWS credentials were found: ${message}`, { hint, cause });
}

/** Whether the store asked for fewer requests. */
export function isThrottling(error: Error): boolean {
  const status = (error as Failure).$metadata?.httpStatusCode;
  // An error inside a 200 is given status 503 by the SDK, and is InternalError.
  return error.name === 'SlowDown' || status === 429 || (status === 503 && error.name !== 'InternalError');
}

/** Undefined where neither S3 nor the network is to blame. */
function judge(failure: Failure, context: CallContext): Verdict | undefined {
  const status = failure.$metadata?.httpStatusCode;
  return (
    judgeRegion(failure, status, context) ??
    judgeCondition(failure, status, context) ??
    judgeArchive(failure, context) ??
    judgeCustomerKey(failure, context) ??
    BY_NAME[failure.name] ??
    (status === undefined ? judgeNetwork(failure) : judgeStatus(failure, status, context))
  );
}

/** Errors that name the bucket's region; HEAD's have no body, and so no name of their own. */
const ELSEWHERE = ['AuthorizationHeaderMalformed', 'IllegalLocationConstraintException', 'Unknown'];

function judgeRegion(failure: Failure, status: number | undefined, { region }: CallContext): Verdict | undefined {
  const right = failure.$response?.headers?.['x-amz-bucket-region'] ?? failure.Region;
  const redirected = status === 301 || status === 307;
  const misplaced = status === 400 && ELSEWHERE.includes(failure.name) && right !== undefined && right !== region;
  if (!redirected && !misplaced) return undefined;
  const hint = right ? `The bucket is in ${right}: set AWS_REGION=${right}.` : "Set AWS_REGION to the bucket's region.";
  return ['wrong-region', hint];
}

/** What was found under the name is not what the call said it must be. */
function judgeCondition(
  failure: Failure,
  status: number | undefined,
  { call, condition }: CallContext,
): Verdict | undefined {
  const writing = condition !== undefined;
  if (writing && failure.name === 'ConditionalRequestConflict') {
    return call === 'CompleteMultipartUpload'
      ? ['upload-lost', START_OVER]
      : ['store-unavailable', `Another program is writing this name. ${TRY_LATER}`];
  }
  // With If-Match S3 answers 404 where the object is gone.
  const gone = writing && 'ifMatch' in condition && failure.name === 'NoSuchKey';
  if (status !== 412 && failure.name !== 'PreconditionFailed' && !gone) return undefined;
  if (!writing) return ['object-changed', 'The object was replaced meanwhile. Run the same command again.'];
  return 'ifMatch' in condition
    ? ['target-changed', 'The object was changed by someone else since the start. Look at it before you go on.']
    : ['target-exists', 'Choose another name, or replace the object with --overwrite.'];
}

/** What is archived has to be asked for, and comes hours later. */
function judgeArchive({ name, StorageClass }: Failure, { url, versionId }: CallContext): Verdict | undefined {
  if (name !== 'InvalidObjectState') return undefined;
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]*)\/(.*)$/s.exec(url) ?? [];
  // An object that S3 has archived by itself comes back for good.
  const request = StorageClass === 'INTELLIGENT_TIERING' ? "'{}'" : 'Days=7';
  const version = versionId === undefined ? '' : ` --version-id ${shellWord(versionId)}`;
  const command = `aws s3api restore-object --bucket ${bucket} --key ${shellWord(key)}${version} --restore-request ${request}`;
  const where = StorageClass === undefined ? 'an archive' : `the storage class ${StorageClass}`;
  return [
    'object-archived',
    `It is in ${where}. Restore it, which may take hours, and then run the same command again: \`${command}\`.`,
  ];
}

const GIVE_KEY = 'Give the file of its key: --sse-c FILE.';

/** What S3 says about keys of the customer's (SSE-C). Its names for it are those of other errors, too. */
function judgeCustomerKey({ name, message }: Failure, { url }: CallContext): Verdict | undefined {
  if (
    name === 'AccessDenied' &&
    /blocked upload requests that specify Server Side Encryption with Customer/.test(message)
  ) {
    const [bucket] = /^s3:\/\/[^/]*/.exec(url) ?? [];
    return [
      'sse-c-blocked',
      `Buckets made since April 2026 block SSE-C. \`sealift doctor ${bucket} --allow-sse-c --fix\` allows it and keeps the bucket's default encryption: it shows all that it would change, and asks first. Or use --sse kms.`,
    ];
  }
  if (/was stored using a form of Server Side Encryption/.test(message)) return ['sse-c-missing-key', GIVE_KEY];
  if (/encryption parameters are not applicable/.test(message)) {
    return ['sse-c-not-used', "The object is not encrypted with a key of the customer's: leave --sse-c away."];
  }
  return undefined;
}

/** What S3 itself tells as a missing permission. */
export function wrongCustomerKey(url: string): SealiftError {
  return new SealiftError('sse-c-wrong-key', `${url} is encrypted at rest with another key than was given (SSE-C)`, {
    hint: `${GIVE_KEY} S3 does not keep it: without it the object is lost.`,
  });
}

/** A text as one word of a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function judgeStatus(failure: Failure, status: number, { call, url }: CallContext): Verdict {
  if (isThrottling(failure)) return ['store-throttled', TRY_LATER];
  // An answer of success that cannot be read is no success, and may have been one.
  if (status >= 500 || status < 300 || failure.name === 'RequestTimeout') return ['store-unavailable', TRY_LATER];
  if (status === 404 && call === 'HeadBucket') return BY_NAME.NoSuchBucket!;
  if (status === 404 && OF_AN_UPLOAD.has(call)) return BY_NAME.NoSuchUpload!;
  if (status === 404) return ['object-not-found', 'Check the bucket and the key: they are case-sensitive.'];
  if (status === 403) return judgeRefusal(failure, call, url);
  return ['store-error', 'The store refused the request; its message says why.'];
}

/** S3 names the kind of the policy that has an explicit deny, and not what it demands. A bucket's own can be looked at. */
function judgeRefusal({ message }: Failure, call: S3Call, url: string): Verdict {
  if (!message.includes('explicit deny')) return ['access-denied', `${call} needs ${PERMISSIONS[call]}.`];
  if (!message.includes('resource-based policy')) {
    return [
      'policy-denied',
      'A policy of the account or the organization denies it, whatever else is allowed: ask whoever keeps it.',
    ];
  }
  const [bucket] = /^s3:\/\/[^/]*/.exec(url) ?? [];
  return [
    'policy-denied',
    `The bucket's policy denies it: it may demand https://, --sse kms:KEY with one key, or a --tag. \`sealift doctor ${bucket}\` shows what.`,
  ];
}

/** What came of a request that was answered nothing: anything but the network's trouble is our own. */
function judgeNetwork(failure: Failure): Verdict | undefined {
  const { code, name } = failure;
  if (isCertificateCode(code)) {
    return [
      'store-error',
      "The endpoint's certificate is not trusted here. If it is yours, set AWS_CA_BUNDLE to its PEM file.",
    ];
  }
  if (isOldTls(failure)) {
    return [
      'store-error',
      'The endpoint speaks no TLS 1.2, and Sealift nothing older: whoever runs it has to renew it.',
    ];
  }
  if (!isNetworkCode(code) && name !== 'TimeoutError') return undefined;
  const unreachable = code === 'ENOTFOUND' || code === 'ECONNREFUSED';
  return ['store-unavailable', unreachable ? `Check the region and the endpoint. ${TRY_LATER}` : TRY_LATER];
}

/** S3's own words where it gave any: the answer to a HEAD has no body to say more than its status. */
function reasonOf({ name, message, code, $metadata }: Failure): string {
  const silent = message === '' || message === 'UnknownError';
  if (name === 'Unknown' || (silent && !code)) return `HTTP ${$metadata?.httpStatusCode}`;
  return silent ? String(code) : `${name}: ${message.replace(/\.$/, '')}`;
}
