/** ListObjectsV2, and the older ListObjects. */
import { type Answer, type Call, integerOf, quoted, type S3 } from './call.ts';
import type { StoredObject } from './catalog.ts';
import { S3Error } from './errors.ts';
import { NAMESPACE, writeXml, type XmlTree } from './xml.ts';

interface Page {
  readonly objects: readonly StoredObject[];
  readonly prefixes: readonly string[];
  /** Undefined on the last page. */
  readonly next: Next | undefined;
}

interface Next {
  /** The key or common prefix this page ended with. */
  readonly after: string;
  /** The lowest key the next page may hold. */
  readonly from: string;
}

/** How many rows are asked of the catalog at a time while common prefixes are rolled up. */
const BATCH = 1000;

export function listObjectsV2(call: Call, s3: S3): Answer {
  const { query } = call;
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after') ?? '';
  const { tree, page } = list(call, s3, { from: token === null ? keyAfter(startAfter) : readToken(token) });
  return {
    body: writeXml(
      'ListBucketResult',
      {
        ...tree,
        StartAfter: startAfter === '' ? undefined : encodeFor(query)(startAfter),
        KeyCount: page.objects.length + page.prefixes.length,
        ContinuationToken: token ?? undefined,
        NextContinuationToken: page.next && writeToken(page.next.from),
      },
      NAMESPACE,
    ),
  };
}

export function listObjects(call: Call, s3: S3): Answer {
  const encode = encodeFor(call.query);
  const marker = call.query.get('marker') ?? '';
  const delimiter = call.query.get('delimiter') ?? '';
  // A marker may be the common prefix that ended the last page, and then stands for all its keys.
  const isPrefix = delimiter !== '' && marker.endsWith(delimiter);
  const { tree, page } = list(call, s3, { from: isPrefix ? keyAfterAll(marker) : keyAfter(marker) });
  // API_ListObjects.html, NextMarker: "returned only if you have the delimiter request parameter specified".
  const next = page.next && delimiter !== '' ? encode(page.next.after) : undefined;
  return { body: writeXml('ListBucketResult', { ...tree, Marker: encode(marker), NextMarker: next }, NAMESPACE) };
}

function list(call: Call, s3: S3, options: { from: string }): { tree: XmlTree; page: Page } {
  const { query } = call;
  const encode = encodeFor(query);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  // API_ListObjectsV2.html: "The response might contain fewer keys but will never contain more" than 1,000.
  const asked = integerOf(query.get('max-keys'), { name: 'max-keys', min: 0, max: 2 ** 31 - 1, absent: 1000 });
  const max = Math.min(asked, 1000);
  const page = readPage(call.bucket, s3, { prefix, delimiter, from: options.from, max });
  const tree = {
    Name: call.bucket,
    Prefix: encode(prefix),
    Delimiter: delimiter === '' ? undefined : encode(delimiter),
    EncodingType: query.get('encoding-type') ?? undefined,
    MaxKeys: max,
    IsTruncated: page.next !== undefined,
    Contents: page.objects.map((object) => ({
      Key: encode(object.key),
      LastModified: new Date(object.modified).toISOString(),
      ETag: quoted(object.etag),
      ChecksumAlgorithm: object.checksum.algorithm,
      ChecksumType: object.checksum.type,
      Size: object.size,
      StorageClass: object.attributes.storageClass,
    })),
    CommonPrefixes: page.prefixes.map((common) => ({ Prefix: encode(common) })),
  };
  return { tree, page };
}

function readPage(
  bucket: string,
  s3: S3,
  options: { prefix: string; delimiter: string; from: string; max: number },
): Page {
  const { prefix, delimiter, max } = options;
  const objects: StoredObject[] = [];
  const prefixes: string[] = [];
  let next: Next = { after: '', from: options.from };
  while (max > 0) {
    const rows = s3.catalog.objects(bucket, { prefix, from: next.from, limit: BATCH });
    let sawPrefix = false;
    for (const object of rows) {
      if (objects.length + prefixes.length === max) return { objects, prefixes, next };
      const end = delimiter === '' ? -1 : object.key.indexOf(delimiter, prefix.length);
      if (end < 0) {
        objects.push(object);
        next = { after: object.key, from: keyAfter(object.key) };
        continue;
      }
      // A common prefix stands for all its keys: the catalog is asked again for those after them.
      const common = object.key.slice(0, end + delimiter.length);
      prefixes.push(common);
      next = { after: common, from: keyAfterAll(common) };
      sawPrefix = true;
      break;
    }
    if (!sawPrefix && rows.length < BATCH) break;
  }
  return { objects, prefixes, next: undefined };
}

/** The lowest key above this one. */
export function keyAfter(key: string): string {
  return key === '' ? '' : `${key}\0`;
}

/** A bound above all keys that begin with this prefix. */
export function keyAfterAll(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

function writeToken(from: string): string {
  return Buffer.from(from).toString('base64url');
}

function readToken(token: string): string {
  const from = Buffer.from(token, 'base64url').toString();
  if (writeToken(from) !== token) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect');
  }
  return from;
}

/** API_ListObjectsV2.html, encoding-type: with `url`, keys and prefixes of the answer are percent-encoded. */
export function encodeFor(query: URLSearchParams): (text: string) => string {
  const type = query.get('encoding-type');
  if (type === null || type === '') return (text) => text;
  if (type !== 'url') throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request');
  return (text) => encodeURIComponent(text).replaceAll('%2F', '/').replaceAll('%20', '+');
}
