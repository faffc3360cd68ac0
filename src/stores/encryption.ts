/**
 * How a server encrypts an object at rest: what it is asked for, what it says it has done, and whether the two agree.
 * It encrypts what it is given, which is sealed already; this is the one place that knows its ways.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { ServerSideEncryption } from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';

/** Plain data, which the ledger keeps with a job. */
export interface ServerEncryption {
  /** As S3 names it: `AES256` (SSE-S3), `aws:kms`, `aws:kms:dsse`. */
  algorithm: string;
  /** Of KMS: id, ARN or alias; an answer has the ARN. Without it the key is the account's own, `aws/s3`. */
  keyId?: string | undefined;
  /** Of KMS: an encryption context beside S3's own, visible in CloudTrail. No answer tells it. */
  context?: Readonly<Record<string, string>> | undefined;
  /** Of `aws:kms`: S3 asks KMS for a key of the bucket now and then, instead of for one an object. */
  bucketKey?: boolean | undefined;
  /** The MD5 of the customer's key, in base64, where it is that key that encrypts (SSE-C). Not secret. */
  customerKeyMd5?: string | undefined;
}

/** What an object is to be encrypted with: what is asked, or a customer's key, which goes with no other way. */
export function encryptionAsked({
  sse,
  customerKey,
}: {
  sse?: ServerEncryption | undefined;
  customerKey?: KeyObject | undefined;
}): ServerEncryption | undefined {
  if (customerKey === undefined) return sse;
  if (sse !== undefined) {
    throw new SealiftError('bad-option', 'S3 encrypts with a key of its own or with yours, not with both', {
      hint: 'Leave --sse away, or --sse-c.',
    });
  }
  return { algorithm: CUSTOMER_ALGORITHM, customerKeyMd5: md5Of(customerKey) };
}

/** As `encryptionAsked`, of an object that takes the place of one that has `kept`. A customer's key nobody else has. */
export function encryptionKept(
  asked: Parameters<typeof encryptionAsked>[0],
  kept: ServerEncryption | undefined,
): ServerEncryption | undefined {
  return encryptionAsked(asked) ?? (kept?.customerKeyMd5 === undefined ? kept : undefined);
}

const CUSTOMER_ALGORITHM = 'AES256';

function md5Of(key: KeyObject): string {
  return createHash('md5').update(key.export()).digest('base64');
}

const KMS_ALGORITHMS = ['aws:kms', 'aws:kms:dsse'];

/** Throws `bad-option` for what does not go together. What another program asked for once is taken as it is. */
export function checkEncryption({ algorithm, keyId, context, bucketKey }: ServerEncryption): void {
  const isKms = KMS_ALGORITHMS.includes(algorithm);
  if (!isKms && (keyId !== undefined || context !== undefined || bucketKey)) {
    throw new SealiftError(
      'bad-option',
      `A key, a context or a bucket key goes with encryption by KMS, not ${algorithm}`,
      {
        hint: 'Give --sse kms, or --sse dsse, which has no bucket key.',
      },
    );
  }
  // userguide/UsingDSSEncryption.html: "S3 Bucket Keys aren't supported for DSSE-KMS."
  if (algorithm === 'aws:kms:dsse' && bucketKey) {
    throw new SealiftError('bad-option', 'S3 has no bucket keys for DSSE-KMS', {
      hint: 'Leave --bucket-key away, or give --sse kms.',
    });
  }
}

/** The headers that ask for it: of PutObject, CopyObject and CreateMultipartUpload, and of no other call. */
export function encryptionFields(asked: ServerEncryption | undefined) {
  if (asked === undefined) return {};
  const { algorithm, keyId, context, bucketKey, customerKeyMd5 } = asked;
  // The key itself asks for that, with every call.
  if (customerKeyMd5 !== undefined) return {};
  return {
    ServerSideEncryption: algorithm as ServerSideEncryption,
    SSEKMSKeyId: keyId,
    SSEKMSEncryptionContext: context && Buffer.from(JSON.stringify(context)).toString('base64'),
    BucketKeyEnabled: bucketKey,
  };
}

/** The customer's key, with every call about an object's bytes or headers. */
export function customerKeyFields(key: KeyObject | undefined) {
  if (key === undefined) return {};
  return {
    SSECustomerAlgorithm: CUSTOMER_ALGORITHM,
    // As bytes: of text the SDK has to guess what it is.
    SSECustomerKey: key.export() as unknown as string,
    SSECustomerKeyMD5: md5Of(key),
  };
}

/** The same as headers, of a request made without the SDK. */
export function customerKeyHeaders(key: KeyObject | undefined): Record<string, string> {
  if (key === undefined) return {};
  const prefix = 'x-amz-server-side-encryption-customer';
  return {
    [`${prefix}-algorithm`]: CUSTOMER_ALGORITHM,
    [`${prefix}-key`]: key.export().toString('base64'),
    [`${prefix}-key-md5`]: md5Of(key),
  };
}

/** Throws `sse-c-needs-https`, whatever is allowed, where there is a customer's key and it would be sent in the clear. */
export function requireHttps(key: KeyObject | undefined, endpoint: string): void {
  if (key === undefined || URL.parse(endpoint)?.protocol === 'https:') return;
  throw new SealiftError('sse-c-needs-https', `A key for SSE-C would be sent without encryption, to ${endpoint}`, {
    hint: 'Use its https:// address. S3 refuses SSE-C over HTTP, and so does Sealift, on this machine too.',
  });
}

/** As `customerKeyFields`, for the object that a copy is made of. */
export function copySourceKeyFields(key: KeyObject | undefined) {
  const { SSECustomerAlgorithm, SSECustomerKey, SSECustomerKeyMD5 } = customerKeyFields(key);
  return {
    CopySourceSSECustomerAlgorithm: SSECustomerAlgorithm,
    CopySourceSSECustomerKey: SSECustomerKey,
    CopySourceSSECustomerKeyMD5: SSECustomerKeyMD5,
  };
}

/** What an answer says about it; undefined where it says nothing. */
export function encryptionOf(answer: {
  ServerSideEncryption?: string | undefined;
  SSEKMSKeyId?: string | undefined;
  BucketKeyEnabled?: boolean | undefined;
  SSECustomerAlgorithm?: string | undefined;
  SSECustomerKeyMD5?: string | undefined;
}): ServerEncryption | undefined {
  const { SSECustomerAlgorithm, SSECustomerKeyMD5: customerKeyMd5 } = answer;
  if (SSECustomerAlgorithm !== undefined) return { algorithm: SSECustomerAlgorithm, customerKeyMd5 };
  const { ServerSideEncryption: algorithm, SSEKMSKeyId: keyId, BucketKeyEnabled: bucketKey } = answer;
  return algorithm === undefined ? undefined : { algorithm, keyId, bucketKey };
}

/**
 * Throws `encryption-mismatch` where what the server told is not what it was asked for. A key that was named by an
 * alias is told by its ARN, so the two are not compared.
 */
export function checkEncrypted(
  url: string,
  { asked, told }: { asked: ServerEncryption | undefined; told: ServerEncryption | undefined },
): void {
  if (asked === undefined) return;
  const agrees =
    told !== undefined &&
    told.algorithm === asked.algorithm &&
    told.customerKeyMd5 === asked.customerKeyMd5 &&
    isSameKey(asked.keyId, told.keyId) &&
    (!asked.bucketKey || told.bucketKey === true);
  if (agrees) return;
  const answer = told ? `encrypted with ${encryptionText(told)}` : 'not told to be encrypted at all';
  throw new SealiftError('encryption-mismatch', `${url} is ${answer}, and was to be with ${encryptionText(asked)}`, {
    hint: 'The server does not do as it is asked, or something on the way changes requests. What was sealed is sealed all the same.',
  });
}

function isSameKey(asked: string | undefined, told: string | undefined): boolean {
  if (asked === undefined || asked.includes('alias/')) return true;
  return told === asked || told?.endsWith(`:key/${asked}`) === true;
}

/** `aws:kms, key arn:…, bucket key`; `SSE-C, key of MD5 …`. */
export function encryptionText({ algorithm, keyId, bucketKey, customerKeyMd5 }: ServerEncryption): string {
  if (customerKeyMd5 !== undefined) return `SSE-C, key of MD5 ${customerKeyMd5}`;
  const key = keyId === undefined ? [] : [`key ${keyId}`];
  return [algorithm, ...key, ...(bucketKey ? ['bucket key'] : [])].join(', ');
}
