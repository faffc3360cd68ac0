/**
 * `s3://bucket/key` and `file:///path`, read and written: where a sealed object is.
 *
 * S3 compares keys byte by byte and resolves nothing in them, so a key is taken as it stands: everything after the
 * bucket's slash, with its own slashes, dots, spaces and percent signs. A file's URL follows the rules of URLs: `%20`
 * is a space, `..` is resolved.
 */
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SealiftError } from '../errors.ts';
import { fileUrlOf, problemWith } from './directory-names.ts';

/** An object's key, and the bucket or directory that holds it. */
export type ObjectUrl =
  | { bucket: string; key: string }
  /** `directory` is an absolute path, and the key is a file's name in it. */
  | { directory: string; key: string };

/** S3's limit, in bytes of UTF-8. */
const MAX_KEY_SIZE = 1024;

/** Lenient on purpose: names given before 2018 may hold capitals and underscores. S3 has the last word. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i;

/** Throws `bad-url`. The inverse of `formatObjectUrl`. */
export function parseObjectUrl(text: string): ObjectUrl {
  return parse(text, { whole: true });
}

function parse(text: string, options: { whole: boolean }): ObjectUrl {
  // Not every program is checked by a compiler.
  if (typeof text !== 'string') throw badUrl(text, 'it is not a string');
  if (text.startsWith('s3://')) return parseS3Url(text, options);
  if (text.startsWith('file://')) return parseFileUrl(text, options);
  throw badUrl(text, 'it does not start with s3:// or file:///');
}

/**
 * The beginning of objects' URLs: as `parseObjectUrl`, but the key may be cut short anywhere, or be missing. What follows
 * a directory's last slash is the beginning of a name. Throws `bad-url`.
 */
export function parsePrefixUrl(text: string): ObjectUrl {
  return parse(text, { whole: false });
}

/** `s3://bucket`, with or without a slash behind it. Throws `bad-url`. */
export function parseBucketUrl(text: string): ObjectUrl {
  const url = parse(text, { whole: false });
  if ('bucket' in url && url.key === '') return url;
  throw new SealiftError('bad-url', `Not a bucket's URL: ${JSON.stringify(text)}`, {
    hint: 'Write it as s3://bucket.',
  });
}

/** The inverse of `parseObjectUrl`. */
export function formatObjectUrl(url: ObjectUrl): string {
  return 'bucket' in url ? `s3://${url.bucket}/${url.key}` : fileUrlOf(resolve(url.directory, url.key));
}

function parseS3Url(text: string, { whole }: { whole: boolean }): ObjectUrl {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]*)\/?(.*)$/s.exec(text)!;
  if (!BUCKET.test(bucket) || bucket.includes('..')) {
    throw badUrl(text, `${JSON.stringify(bucket)} is not a bucket name: 3 to 63 letters, digits, dots and hyphens`);
  }
  if (key === '' && whole) throw badUrl(text, 'the key is missing');
  if (!key.isWellFormed()) throw badUrl(text, 'the key is not valid Unicode');
  if (Buffer.byteLength(key) > MAX_KEY_SIZE) throw badUrl(text, `the key is longer than ${MAX_KEY_SIZE} bytes`);
  return { bucket, key };
}

function parseFileUrl(text: string, { whole: isWhole }: { whole: boolean }): ObjectUrl {
  const [, host = '', path = ''] = /^file:\/\/([^/]*)(.*)$/s.exec(text)!;
  if (host !== '' && host !== 'localhost') {
    throw badUrl(
      text,
      `${JSON.stringify(host)} would be another machine: an absolute path has three slashes before it`,
    );
  }
  if (/[?#]/.test(path)) throw badUrl(text, 'a question mark in a name is written %3F, a hash sign %23');
  const decoded = decodePath(text, path);
  if (decoded.endsWith('/')) {
    if (isWhole) throw badUrl(text, "the file's name is missing");
    return { directory: resolve(decoded), key: '' };
  }
  const whole = resolve(decoded);
  const key = basename(whole);
  const problem = problemWith(key);
  if (problem !== undefined) throw badUrl(text, problem);
  return { directory: dirname(whole), key };
}

/** What URLs may not hold stands for itself all the same: blanks, backslashes and letters of every script. */
function decodePath(text: string, path: string): string {
  if (!path.isWellFormed()) throw badUrl(text, 'the path is not valid Unicode');
  let decoded: string;
  try {
    decoded = fileURLToPath(`file://${path.replace(/[^!-~]|\\/gu, encodeURIComponent)}`);
  } catch {
    throw badUrl(text, 'a percent sign in a name is written %25, and what is encoded must be UTF-8 and no slash');
  }
  if (decoded.includes('\0')) throw badUrl(text, 'no path has a zero byte');
  return decoded;
}

function badUrl(text: string, why: string): SealiftError {
  return new SealiftError('bad-url', `Not an object's URL: ${JSON.stringify(text)}: ${why}`, {
    hint: 'Write it as s3://bucket/key, for example s3://backups/2026/photos.tar, or as file:///backups/photos.tar.',
  });
}
