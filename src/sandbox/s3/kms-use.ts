/**
 * What S3 itself asks KMS for, so that an object can be encrypted at rest and read again. Nothing is asked here; it is
 * counted, since it comes out of the account's KMS quota.
 */
import type { Answer, Call } from './call.ts';

const PREFIX = 'x-amz-server-side-encryption';

/** Those that encrypt or decrypt an object's bytes, or make a key for them. HEAD and the like tell what is known. */
const NEED_A_KEY = new Set([
  'PutObject',
  'CopyObject',
  'CreateMultipartUpload',
  'UploadPart',
  'UploadPartCopy',
  'CompleteMultipartUpload',
  'GetObject',
]);

/** API_HeadObject.html: with checksum mode "you must have permission to use the kms:Decrypt action", for that is kept encrypted. */
function needsKey({ operation, headers }: Call): boolean {
  return NEED_A_KEY.has(operation) || (operation === 'HeadObject' && headers['x-amz-checksum-mode'] !== undefined);
}

export class KmsUse {
  /** Buckets that have a key of their own, by its KMS key. */
  readonly #bucketKeys = new Set<string>();

  /**
   * Calls that S3 makes for one request that it has answered so. userguide/bucket-key.html: "Amazon S3 makes a call to
   * AWS KMS every time a request is made against a KMS-encrypted object", but with a bucket key, which "is used for a
   * time-limited period": as long as there is a sandbox.
   */
  count(call: Call, { headers = {} }: Answer): number {
    const isKms = String(headers[PREFIX] ?? '').startsWith('aws:kms');
    if (!isKms || !needsKey(call)) return 0;
    if (headers[`${PREFIX}-bucket-key-enabled`] !== 'true') return 1;
    const bucketKey = JSON.stringify([call.bucket, headers[`${PREFIX}-aws-kms-key-id`]]);
    if (this.#bucketKeys.has(bucketKey)) return 0;
    this.#bucketKeys.add(bucketKey);
    return 1;
  }
}
