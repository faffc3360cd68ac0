/**
 * How S3 will encrypt at rest what is put, and what that takes of KMS: S3's own calls come out of the same quota as
 * Sealift's. What a request does not say the bucket decides, so that is asked.
 */
import { isRefused, SealiftError } from '../errors.ts';
import type { Place } from '../job.ts';
import type { ServerEncryption } from '../stores/encryption.ts';
import { openBucket } from '../stores/open.ts';
import type { Requests } from './tally.ts';

/** How S3 will encrypt at rest, and what it will ask of KMS. */
export interface AtRest {
  /** Undefined where nothing was asked for and the bucket's default is not to be seen. */
  encryption: ServerEncryption | undefined;
  /** Who decides. */
  by: 'request' | 'bucket';
  /** Why the bucket's default is not known. */
  unknown?: string | undefined;
  /** Calls that S3 itself makes of KMS. Where the default is not known, of a bucket with SSE-KMS and no bucket key. */
  kmsCalls: number;
}

export interface AtRestWork {
  requests: Requests;
  /** HEADs that ask for the checksum of what was written. */
  confirmations: number;
}

/** `asked` is what every request says. Throws what makes every call of the bucket fail. */
export async function atRestOf(
  { place, asked, ...work }: { place: Place; asked: ServerEncryption | undefined } & AtRestWork,
  signal: AbortSignal | undefined,
): Promise<AtRest> {
  // Of SSE-KMS that is asked for, the bucket still decides whether a bucket key is used.
  const isDecided = asked !== undefined && (asked.algorithm !== 'aws:kms' || asked.bucketKey !== undefined);
  const found = isDecided ? { encryption: undefined } : await defaultOf(place, signal);
  const encryption = asked ? { ...asked, bucketKey: asked.bucketKey ?? found.encryption?.bucketKey } : found.encryption;
  return {
    encryption,
    by: asked ? 'request' : 'bucket',
    unknown: found.unknown,
    kmsCalls: callsOfS3(encryption ?? { algorithm: 'aws:kms' }, work),
  };
}

async function defaultOf(
  place: Place,
  signal: AbortSignal | undefined,
): Promise<Pick<AtRest, 'encryption' | 'unknown'>> {
  const bucket = await openBucket(place);
  try {
    const rule = await bucket.read('encryption', { signal });
    const { SSEAlgorithm = 'AES256', KMSMasterKeyID: keyId } = rule?.ApplyServerSideEncryptionByDefault ?? {};
    return { encryption: { algorithm: SSEAlgorithm, keyId, bucketKey: rule?.BucketKeyEnabled } };
  } catch (error) {
    if (!isRefused(error)) throw error;
    const { message, hint } = SealiftError.from(error);
    return { encryption: undefined, unknown: `${message}. ${hint}` };
  } finally {
    bucket.close();
  }
}

/**
 * userguide/bucket-key.html: without a bucket key there is a call "every time a request is made against a KMS-encrypted
 * object". API_HeadObject.html has the checksum decrypted too, which an object is asked for once it is written by a `put`.
 */
function callsOfS3({ algorithm, bucketKey }: ServerEncryption, { requests, confirmations }: AtRestWork): number {
  if (!algorithm.startsWith('aws:kms')) return 0;
  if (algorithm === 'aws:kms' && bucketKey) return 1;
  const { PutObject, CreateMultipartUpload, UploadPart, CompleteMultipartUpload } = requests;
  return PutObject + CreateMultipartUpload + UploadPart + CompleteMultipartUpload + confirmations;
}
