/** One object, one request: PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects. */
import { createHash, randomUUID } from 'node:crypto';
import { attributeHeaders, partNumberOf, readAttributes } from './attributes.ts';
import { authorize } from './authorize.ts';
import { type Answer, type Call, findObject, quoted, type S3, versionHeader } from './call.ts';
import type { StoredObject, StoredPart } from './catalog.ts';
import { type Checksum, checksumHeaders } from './checksums.ts';
import { checkReadConditions, checkWriteConditions } from './conditions.ts';
import { S3Error } from './errors.ts';
import { type ByteRange, parseRange } from './range.ts';
import { receiveBytes, receiveXml } from './receive.ts';
import { refuseArchived, restoreHeader } from './restore.ts';
import { checkReadKey, type Encryption, encryptionHeaders } from './sse.ts';
import { NAMESPACE, writeXml } from './xml.ts';

export async function putObject(call: Call, s3: S3): Promise<Answer> {
  const { bucket, key, headers } = call;
  // Looked at before the body as well, so that a client that waits for `100 Continue` does not send it in vain.
  checkWriteConditions(headers, s3.catalog.object(bucket, key));
  const attributes = readAttributes(call, s3);
  const received = await receiveBytes(call, s3, { algorithm: undefined });
  const { blob, size } = received;
  const checksum: Checksum = { ...received.checksum, type: 'FULL_OBJECT' };
  const etag = etagOf(received.md5, attributes.encryption);
  try {
    checkBucket(call, s3);
    checkWriteConditions(headers, s3.catalog.object(bucket, key));
  } catch (error) {
    s3.storage.remove([blob]);
    throw error;
  }
  const object = { key, size, etag, modified: Date.now(), checksum, attributes };
  s3.storage.remove(s3.catalog.putObject(bucket, object, blob));
  return {
    headers: {
      etag: quoted(etag),
      ...versionHeader(s3.catalog.object(bucket, key)),
      ...encryptionHeaders(attributes.encryption),
      ...checksumHeaders(checksum),
    },
  };
}

/**
 * API_Object.html, ETag: objects under SSE-C or SSE-KMS "have ETags that are not an MD5 digest of their object data".
 * Here as there, whoever relies on it finds out.
 */
export function etagOf(md5: string, encryption: Encryption): string {
  return encryption.kind === 'AES256' ? md5 : createHash('md5').update(randomUUID()).digest('hex');
}

/** The bucket may have been deleted while the body came. */
export function checkBucket(call: Call, s3: S3): void {
  if (!s3.catalog.hasBucket(call.bucket)) {
    throw new S3Error('NoSuchBucket', undefined, { fields: { BucketName: call.bucket } });
  }
}

export function getObject(call: Call, s3: S3): Answer {
  const object = findObject(call, s3);
  const head = readHead(call, s3, object);
  if (head.status === 304) return head;
  refuseArchived(object);
  const body = s3.storage.reader(s3.catalog.rangesOf(object.content, head.range));
  return { status: head.status, headers: head.headers, body };
}

export function headObject(call: Call, s3: S3): Answer {
  const { status, headers } = readHead(call, s3, findObject(call, s3));
  return { status, headers };
}

/** Status, headers and range of an answer to GetObject or HeadObject. */
function readHead(
  call: Call,
  s3: S3,
  object: StoredObject,
): { status: number; headers: NonNullable<Answer['headers']>; range: ByteRange } {
  const { attributes, etag, size } = object;
  checkReadKey(call, s3, { encryption: attributes.encryption });
  const base = { etag: quoted(etag), 'last-modified': new Date(object.modified).toUTCString() };
  const everything = { first: 0, last: size - 1 };
  if (checkReadConditions(call.headers, object)) return { status: 304, headers: base, range: everything };

  const part = partAsked(call, s3, object);
  const range = part ? { first: part.offset, last: part.offset + part.size - 1 } : parseRange(call.headers.range, size);
  const { first, last } = range ?? everything;
  const checksum =
    call.headers['x-amz-checksum-mode']?.toString().toUpperCase() === 'ENABLED'
      ? answerChecksum(object, { part, ranged: range !== undefined })
      : undefined;
  return {
    status: range === undefined ? 200 : 206,
    range: range ?? everything,
    headers: {
      ...base,
      ...versionHeader(object),
      ...attributeHeaders(attributes),
      ...restoreHeader(object),
      ...checksumHeaders(checksum),
      ...overrides(call.query),
      'accept-ranges': 'bytes',
      'content-length': last - first + 1,
      'content-range': range && `bytes ${first}-${last}/${size}`,
      'x-amz-mp-parts-count': part && object.partCount,
    },
  };
}

/** API_GetObject.html, partNumber: "effectively performs a ranged GET request for the part specified". */
function partAsked(call: Call, s3: S3, object: StoredObject): StoredPart | undefined {
  if (!call.query.has('partNumber')) return undefined;
  if (call.headers.range !== undefined) {
    throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
  }
  const number = partNumberOf(call);
  const [part] = s3.catalog.parts(object.content, { after: number - 1, limit: 1 });
  if (part?.number !== number) throw new S3Error('InvalidPartNumber');
  return part;
}

/**
 * A checksum is told only with the bytes it is of: the whole object's with the whole object, and of a COMPOSITE one's
 * part the part's own (localstack/localstack#12842 compares with S3).
 */
function answerChecksum(
  { checksum }: StoredObject,
  { part, ranged }: { part: StoredPart | undefined; ranged: boolean },
): Checksum | undefined {
  if (!ranged) return checksum;
  if (checksum.type !== 'COMPOSITE' || part === undefined) return undefined;
  return { ...checksum, value: part.checksum };
}

/** API_GetObject.html: `response-content-type` and its like replace headers of the answer. */
function overrides(query: URLSearchParams): Record<string, string> {
  const headers = [...query].filter(([name]) => name.startsWith('response-'));
  return Object.fromEntries(headers.map(([name, value]) => [name.slice('response-'.length), value]));
}

/** Deleting what is not there is success, unless If-Match says it was (userguide/conditional-deletes.html). */
export function deleteObject(call: Call, s3: S3): Answer {
  checkWriteConditions(call.headers, s3.catalog.object(call.bucket, call.key));
  const { versionId, marker } = remove(call.bucket, call.key, call.query.get('versionId') ?? undefined, s3);
  return {
    status: 204,
    headers: { 'x-amz-version-id': versionId, 'x-amz-delete-marker': marker ? 'true' : undefined },
  };
}

/** A version goes for good. An object of a bucket with versions becomes an older one, behind a delete marker. */
function remove(bucket: string, key: string, id: string | undefined, { catalog, storage }: S3) {
  if (id !== undefined) {
    const marker = catalog.versions.find(bucket, key, id) === 'deleted';
    storage.remove(catalog.deleteVersion(bucket, key, id));
    return { versionId: id, marker };
  }
  if (catalog.versions.statusOf(bucket) === undefined) {
    storage.remove(catalog.deleteObject(bucket, key));
    return { marker: false };
  }
  const { dropped, versionId } = catalog.markDeleted(bucket, key);
  storage.remove(dropped);
  return { versionId, marker: true };
}

export async function deleteObjects(call: Call, s3: S3): Promise<Answer> {
  const tree = await receiveXml(call, 'Delete', { digest: 'required' });
  const objects = (tree.Object ?? []) as { Key?: string; VersionId?: string; ETag?: string }[];
  // API_DeleteObjects.html: "The request can contain a list of up to 1,000 keys."
  if (objects.length === 0 || objects.length > 1000) throw new S3Error('MalformedXML');
  const deleted: { Key: string }[] = [];
  const errors: { Key: string; Code: string; Message: string }[] = [];
  for (const { Key = '', VersionId, ETag } of objects) {
    try {
      authorize(call, s3, Key);
      checkWriteConditions({ 'if-match': ETag }, s3.catalog.object(call.bucket, Key));
      remove(call.bucket, Key, VersionId, s3);
      deleted.push({ Key });
    } catch (error) {
      const { code, message } = S3Error.from(error);
      errors.push({ Key, Code: code, Message: message });
    }
  }
  const quiet = tree.Quiet === 'true';
  return { body: writeXml('DeleteResult', { Deleted: quiet ? undefined : deleted, Error: errors }, NAMESPACE) };
}
