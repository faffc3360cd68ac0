/**
 * All that S3 keeps with an object beside its bytes, read so that another object can be given the same. What cannot be
 * given to it is refused, never dropped. Access control lists are not seen here: buckets have none unless they are asked to.
 */
import { GetObjectTaggingCommand, HeadObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';
import { encryptionOf } from './encryption.ts';
import type { S3Calls } from './s3-calls.ts';
import { fullObjectCrc32, required } from './s3-fields.ts';
import { explainRefusal } from './s3-refusals.ts';
import type { CallOptions, InheritedHeaders, KeptHeaders } from './store.ts';

/** Throws `cannot-carry`, `object-not-found`. */
export async function readKept(
  calls: S3Calls,
  key: string,
  options: CallOptions & { versionId?: string | undefined },
): Promise<KeptHeaders> {
  const version = { ...calls.object(key), VersionId: options.versionId };
  const encrypted = { ...calls.encrypted(key), VersionId: options.versionId, ChecksumMode: 'ENABLED' as const };
  const looking = calls.send('HeadObject', key, options, new HeadObjectCommand(encrypted));
  const head = await looking.catch(async (refusal) => {
    throw await explainRefusal(calls, key, { ...options, refusal });
  });
  const { TagSet = [] } = await calls.send('GetObjectTagging', key, options, new GetObjectTaggingCommand(version));
  refuseLost(head, calls.url(key));
  const { Metadata = {}, ContentType, StorageClass } = head;
  return {
    etag: required(head.ETag, 'ETag'),
    lastModified: head.LastModified,
    crc32: fullObjectCrc32(head),
    metadata: Metadata,
    contentType: ContentType,
    storageClass: StorageClass,
    tags: Object.fromEntries(TagSet.map(({ Key = '', Value = '' }) => [Key, Value])),
    sse: encryptionOf(head),
    inherited: inheritedOf(head),
  };
}

function refuseLost({ MissingMeta = 0 }: HeadObjectCommandOutput, url: string): void {
  if (MissingMeta === 0) return;
  const what = `${MissingMeta} names of its metadata that S3 itself cannot show`;
  throw new SealiftError('cannot-carry', `${url} has ${what}, which a new object could not be given`, {
    hint: 'Nothing was changed. Get the object into a file, and put it again as you want it.',
  });
}

/** The inverse of what `headerFields` makes of it. */
export function inheritedOf(head: HeadObjectCommandOutput): InheritedHeaders {
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = head;
  return {
    cacheControl: head.CacheControl,
    contentDisposition: head.ContentDisposition,
    contentEncoding: head.ContentEncoding,
    contentLanguage: head.ContentLanguage,
    expires: head.ExpiresString,
    redirect: head.WebsiteRedirectLocation,
    retention: mode && until && { mode, until: until.toISOString() },
    legalHold: head.ObjectLockLegalHoldStatus === 'ON' ? true : undefined,
  };
}
