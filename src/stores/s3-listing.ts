/** ListObjectsV2 and ListMultipartUploads, page by page, in the terms of a store. */
import type {
  ListMultipartUploadsCommandInput,
  ListMultipartUploadsCommandOutput,
  ListObjectsV2CommandInput,
  ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { decodeKey, isKey, required } from './s3-fields.ts';
import type { ListedObject, ListedPrefix, ListingOptions } from './store.ts';

/** `send` is asked for a page when the one before it has been read. */
export async function* readListing(
  prefix: string,
  { recursive = false, startAfter }: Pick<ListingOptions, 'recursive' | 'startAfter'>,
  send: (input: Omit<ListObjectsV2CommandInput, 'Bucket'>) => Promise<ListObjectsV2CommandOutput>,
): AsyncGenerator<ListedObject | ListedPrefix, void> {
  let token: string | undefined;
  do {
    const page = await send({
      Prefix: prefix,
      Delimiter: recursive ? undefined : '/',
      // XML cannot carry every character of a key, so keys come URL-encoded.
      EncodingType: 'url',
      StartAfter: startAfter,
      ContinuationToken: token,
    });
    for (const { Prefix } of page.CommonPrefixes ?? []) yield { prefix: decodeKey(required(Prefix, 'Prefix')) };
    for (const { Key, Size, LastModified, StorageClass, ETag } of page.Contents ?? []) {
      yield {
        key: decodeKey(required(Key, 'Key')),
        size: required(Size, 'Size'),
        lastModified: LastModified,
        storageClass: StorageClass === 'STANDARD' ? undefined : StorageClass,
        etag: ETag,
      };
    }
    token = page.IsTruncated ? required(page.NextContinuationToken, 'NextContinuationToken') : undefined;
  } while (token !== undefined);
}

/** The uploads of exactly this key. `send` is asked for a page when the one before it has been read. */
export async function* readUploads(
  key: string,
  send: (input: Omit<ListMultipartUploadsCommandInput, 'Bucket'>) => Promise<ListMultipartUploadsCommandOutput>,
): AsyncGenerator<{ uploadId: string; initiated: Date }, void> {
  let marker: string | undefined;
  do {
    const page = await send({
      Prefix: key,
      // XML cannot carry every character of a key, so keys come URL-encoded.
      EncodingType: 'url',
      ...(marker === undefined ? {} : { KeyMarker: key, UploadIdMarker: marker }),
    });
    let isLastOurs = false;
    for (const upload of page.Uploads ?? []) {
      // Longer keys have this prefix too. S3 sorts them behind the key itself; not every server sorts.
      isLastOurs = isKey(required(upload.Key, 'Key'), key);
      if (!isLastOurs) continue;
      yield { uploadId: required(upload.UploadId, 'UploadId'), initiated: required(upload.Initiated, 'Initiated') };
    }
    marker = page.IsTruncated && isLastOurs ? required(page.NextUploadIdMarker, 'NextUploadIdMarker') : undefined;
  } while (marker !== undefined);
}
