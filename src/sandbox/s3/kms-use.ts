/**
 * What S3 itself asks KMS for, so that an object can be encrypted at rest and read again. Each call comes out of the
 * account's quota, needs a key that can be used, and fails the request where KMS refuses it. What KMS would answer is of
 * no use here, since nothing is encrypted.
 */
import type { SandboxKms } from '../kms.ts';
import { KmsError } from '../kms-error.ts';
import type { Call } from './call.ts';
import { S3Error } from './errors.ts';
import type { Encryption } from './sse.ts';

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
  readonly #kms: SandboxKms;
  /** Buckets that have a key of their own, by its KMS key. */
  readonly #bucketKeys = new Set<string>();

  constructor(kms: SandboxKms) {
    this.#kms = kms;
  }

  /** The ARN of a key named by id, ARN or alias; without a name that of `aws/s3`. Throws KMS's refusal as S3 tells it. */
  arnOf(name: string | undefined): string {
    return asS3(() => this.#kms.arnFor(name ?? 'alias/aws/s3'));
  }

  /**
   * Makes the call that a request takes about an object encrypted so. userguide/bucket-key.html: "Amazon S3 makes a call
   * to AWS KMS every time a request is made against a KMS-encrypted object", but with a bucket key, which "is used for a
   * time-limited period": as long as there is a sandbox. API_CopyObject.html: "All GET and PUT requests for an object
   * protected by AWS KMS will fail if they're not made via SSL".
   */
  ask(call: Call, encryption: Encryption): void {
    if (!('keyId' in encryption) || !needsKey(call)) return;
    if (!call.secure) {
      throw new S3Error(
        'InvalidArgument',
        'Requests specifying Server Side Encryption with AWS KMS managed keys must be made over a secure connection.',
      );
    }
    const bucketKey = JSON.stringify([call.bucket, encryption.keyId]);
    if (encryption.bucketKey && this.#bucketKeys.has(bucketKey)) return;
    asS3(() => this.#kms.useFor(encryption.keyId));
    call.kmsCalls += 1;
    if (encryption.bucketKey) this.#bucketKeys.add(bucketKey);
  }
}

function asS3<Result>(ask: () => Result): Result {
  try {
    return ask();
  } catch (error) {
    throw error instanceof KmsError ? refusalOf(error) : error;
  }
}

/** API/ErrorResponses.html has KMS's errors by their names, and 503 SlowDown where KMS throttles. */
function refusalOf({ type, message }: KmsError): S3Error {
  if (type === 'NotFoundException') return new S3Error('KMS.NotFoundException', message);
  if (type === 'DisabledException') return new S3Error('KMS.DisabledException', message);
  if (type === 'KMSInvalidStateException') return new S3Error('KMS.KMSInvalidStateException', message);
  if (type !== 'ThrottlingException') return new S3Error('AccessDenied', message);
  return new S3Error('SlowDown', 'Please reduce your request rate for operations involving AWS KMS.');
}
