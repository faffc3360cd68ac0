/**
 * `s3://bucket/key`, read and written. A key is taken as it stands: everything after the bucket's slash, with its own
 * slashes, dots, spaces and percent signs, because S3 compares keys byte by byte and resolves nothing in them.
 */
import { SealiftError } from '../errors.ts';

export interface ObjectUrl {
  bucket: string;
  key: string;
}

/** S3's limit, in bytes of UTF-8. */
const MAX_KEY_SIZE = 1024;

/** Lenient on purpose: names given before 2018 may hold capitals and underscores. S3 has the last word. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i;

/** Reads `s3://bucket/key`. Throws `bad-url`. The inverse of `formatObjectUrl`. */
export function parseObjectUrl(text: string): ObjectUrl {
  const match = /^s3:\/\/([^/]*)\/?(.*)$/s.exec(text);
  if (!match) throw badUrl(text, 'it does not start with s3://');
  const [, bucket = '', key = ''] = match;
  if (!BUCKET.test(bucket) || bucket.includes('..')) {
    throw badUrl(text, `${JSON.stringify(bucket)} is not a bucket name: 3 to 63 letters, digits, dots and hyphens`);
  }
  if (key === '') throw badUrl(text, 'the key is missing');
  if (!key.isWellFormed()) throw badUrl(text, 'the key is not valid Unicode');
  if (Buffer.byteLength(key) > MAX_KEY_SIZE) throw badUrl(text, `the key is longer than ${MAX_KEY_SIZE} bytes`);
  return { bucket, key };
}

/** The inverse of `parseObjectUrl`. */
export function formatObjectUrl({ bucket, key }: ObjectUrl): string {
  return `s3://${bucket}/${key}`;
}

function badUrl(text: string, why: string): SealiftError {
  return new SealiftError('bad-url', `Not an object's URL: ${JSON.stringify(text)}: ${why}`, {
    hint: 'Write it as s3://bucket/key, for example s3://backups/2026/photos.tar.',
  });
}
