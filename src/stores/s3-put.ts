/** PutObject without the SDK: an object's headers as HTTP has them, and what the answer's tell. */
import { encryptionOf } from './encryption.ts';
import type { Headers } from './http1/head.ts';
import {
  conditionFields,
  encodeCrc32,
  fullObjectCrc32,
  headerFields,
  METADATA_PREFIX,
  namedVersion,
  required,
} from './s3-fields.ts';
import type { ObjectHeaders, WriteAnswer, WriteCondition } from './store.ts';

/** The SDK's names of them, by which they are made for it too, and S3's (API Reference, PutObject). */
const NAMES = {
  CacheControl: 'cache-control',
  ContentDisposition: 'content-disposition',
  ContentEncoding: 'content-encoding',
  ContentLanguage: 'content-language',
  ContentType: 'content-type',
  WebsiteRedirectLocation: 'x-amz-website-redirect-location',
  ObjectLockMode: 'x-amz-object-lock-mode',
  ObjectLockLegalHoldStatus: 'x-amz-object-lock-legal-hold',
  StorageClass: 'x-amz-storage-class',
  Tagging: 'x-amz-tagging',
  ServerSideEncryption: 'x-amz-server-side-encryption',
  SSEKMSKeyId: 'x-amz-server-side-encryption-aws-kms-key-id',
  SSEKMSEncryptionContext: 'x-amz-server-side-encryption-context',
  BucketKeyEnabled: 'x-amz-server-side-encryption-bucket-key-enabled',
  IfMatch: 'if-match',
  IfNoneMatch: 'if-none-match',
} as const;

/** What S3 takes an object for of which nothing else is said. */
const DEFAULT_TYPE = 'application/octet-stream';

/** Throws as `checkHeaders` does. */
export function putHeaders(
  options: ObjectHeaders & { crc32: number; condition: WriteCondition },
): Record<string, string | undefined> {
  const { Metadata, Expires, ObjectLockRetainUntilDate, ...fields } = headerFields(options);
  const named: Partial<Record<keyof typeof NAMES, unknown>> = { ...fields, ...conditionFields(options.condition) };
  const headers: Record<string, string | undefined> = {
    'content-type': DEFAULT_TYPE,
    'x-amz-checksum-crc32': encodeCrc32(options.crc32),
    expires: Expires?.toUTCString(),
    'x-amz-object-lock-retain-until-date': ObjectLockRetainUntilDate?.toISOString(),
  };
  for (const [name, value] of Object.entries(named)) {
    if (value !== undefined) headers[NAMES[name as keyof typeof NAMES]] = String(value);
  }
  for (const [name, value] of Object.entries(Metadata)) headers[METADATA_PREFIX + name] = value;
  return headers;
}

/** What the headers of an answer to it say. */
export function putAnswer(headers: Headers): WriteAnswer {
  const bucketKey = headers[NAMES.BucketKeyEnabled];
  return writeAnswer({
    ETag: headers.etag,
    VersionId: headers['x-amz-version-id'],
    ChecksumCRC32: headers['x-amz-checksum-crc32'],
    ChecksumType: headers['x-amz-checksum-type'],
    ServerSideEncryption: headers[NAMES.ServerSideEncryption],
    SSEKMSKeyId: headers[NAMES.SSEKMSKeyId],
    BucketKeyEnabled: bucketKey === undefined ? undefined : bucketKey === 'true',
    SSECustomerAlgorithm: headers['x-amz-server-side-encryption-customer-algorithm'],
    SSECustomerKeyMD5: headers['x-amz-server-side-encryption-customer-key-md5'],
  });
}

type WriteFields = Parameters<typeof fullObjectCrc32>[0] &
  Parameters<typeof encryptionOf>[0] & { ETag?: string | undefined; VersionId?: string | undefined };

/** What S3 answers to a write that makes an object, by the SDK's names. */
export function writeAnswer(answer: WriteFields): WriteAnswer {
  return {
    etag: required(answer.ETag, 'ETag'),
    versionId: namedVersion(answer.VersionId),
    crc32: fullObjectCrc32(answer),
    sse: encryptionOf(answer),
  };
}
