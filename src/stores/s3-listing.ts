/** ListObjectsV2, page by page, in the terms of a store. */
import type { ListObjectsV2CommandInput, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { decodeKey, required } from './s3-fields.ts';
import type { ListedObject, ListedPrefix } from './store.ts';

/** `send` is asked for a page when the one before it has been read. */
export async function* readListing(
  { prefix, recursive = false }: { prefix: string; recursive?: boolean | undefined },
  send: (input: Omit<ListObjectsV2CommandInput, 'Bucket'>) => Promise<ListObjectsV2CommandOutput>,
): AsyncGenerator<ListedObject | ListedPrefix, void> {
  let token: string | undefined;
  do {
    const page = await send({
      Prefix: prefix,
      Delimiter: recursive ? undefined : '/',
      // XML cannot carry every character of a key, so keys come URL-encoded.
      EncodingType: 'url',
      ContinuationToken: token,
    });
    for (const { Prefix } of page.CommonPrefixes ?? []) yield { prefix: decodeKey(required(Prefix, 'Prefix')) };
    for (const { Key, Size, LastModified, StorageClass } of page.Contents ?? []) {
      yield {
        key: decodeKey(required(Key, 'Key')),
        size: required(Size, 'Size'),
        lastModified: LastModified,
        storageClass: StorageClass === 'STANDARD' ? undefined : StorageClass,
      };
    }
    token = page.IsTruncated ? required(page.NextContinuationToken, 'NextContinuationToken') : undefined;
  } while (token !== undefined);
}
