/** Copies inside the sandbox: CopyObject and UploadPartCopy. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type Attributes, parseTagging, partNumberOf, readHeaders, readStorageClass } from './attributes.ts';
import { authorize } from './authorize.ts';
import { type Answer, type Call, findObject, quoted, type S3, versionHeader } from './call.ts';
import type { StoredObject } from './catalog.ts';
import { type Algorithm, checksumAlgorithm, checksumElements, createDigest, elementName } from './checksums.ts';
import { checkCopyConditions, checkWriteConditions } from './conditions.ts';
import { S3Error } from './errors.ts';
import { checkBucket, etagOf } from './objects.ts';
import { type ByteRange, parseCopyRange } from './range.ts';
import { BODY_LIMIT, defaultAlgorithm, type ReceivedBytes } from './receive.ts';
import { refuseArchived } from './restore.ts';
import { checkReadKey, checkUploadKey, encryptionHeaders, readEncryption } from './sse.ts';
import { findUpload, storePart } from './uploads.ts';
import { NAMESPACE, writeXml } from './xml.ts';

export async function copyObject(call: Call, s3: S3): Promise<Answer> {
  const { bucket, key, headers } = call;
  const { source, itself } = findSource(call, s3);
  checkWriteConditions(headers, s3.catalog.object(bucket, key));
  // API_CopyObject.html: "you can copy an object up to 5 GB in size" in one call.
  if (source.size > BODY_LIMIT) {
    throw new S3Error(
      'InvalidRequest',
      `The specified copy source is larger than the maximum allowable size for a copy source: ${BODY_LIMIT}`,
    );
  }
  const attributes = copyAttributes(call, s3, source);
  if (itself) refuseCopyWithoutChange(call);
  const named = headers['x-amz-checksum-algorithm'] as string | undefined;
  const algorithm = named === undefined ? source.checksum?.algorithm : checksumAlgorithm(named);
  const whole = { first: 0, last: source.size - 1 };
  const copied = await copyBytes(s3, source, whole, algorithm ?? defaultAlgorithm(s3));
  const checksum = { ...copied.checksum, type: 'FULL_OBJECT' as const };
  try {
    checkBucket(call, s3);
    checkWriteConditions(headers, s3.catalog.object(bucket, key));
  } catch (error) {
    s3.storage.remove([copied.blob]);
    throw error;
  }
  const etag = etagOf(copied.md5, attributes.encryption);
  const object = { key, size: copied.size, etag, modified: Date.now(), checksum, attributes };
  s3.storage.remove(s3.catalog.putObject(bucket, object, copied.blob));
  return {
    headers: { ...versionHeader(s3.catalog.object(bucket, key)), ...encryptionHeaders(attributes.encryption) },
    body: writeXml(
      'CopyObjectResult',
      { ETag: quoted(etag), LastModified: new Date(object.modified).toISOString(), ...checksumElements(checksum) },
      NAMESPACE,
    ),
  };
}

export async function uploadPartCopy(call: Call, s3: S3): Promise<Answer> {
  const number = partNumberOf(call);
  const upload = findUpload(call, s3);
  checkUploadKey(call, s3, upload.attributes.encryption);
  const { source } = findSource(call, s3);
  const header = call.headers['x-amz-copy-source-range'] as string | undefined;
  const range = header === undefined ? { first: 0, last: source.size - 1 } : parseCopyRange(header, source.size);
  // API_UploadPartCopy.html: a part is 5 GiB at most, whether it is sent or copied.
  if (range.last - range.first >= BODY_LIMIT) throw new S3Error('EntityTooLarge');
  const copied = await copyBytes(s3, source, range, upload.checksum?.algorithm ?? defaultAlgorithm(s3));
  const part = storePart(call, s3, upload, { number, ...copied });
  const { checksum } = upload;
  return {
    headers: encryptionHeaders(upload.attributes.encryption),
    body: writeXml(
      'CopyPartResult',
      {
        ETag: quoted(part.etag),
        LastModified: new Date(part.modified).toISOString(),
        ...(checksum ? { [elementName(checksum.algorithm)]: part.checksum } : {}),
      },
      NAMESPACE,
    ),
  };
}

/** The object x-amz-copy-source names, if the conditions on it hold; `itself` where it is the target. */
function findSource(call: Call, s3: S3): { source: StoredObject; itself: boolean } {
  const { bucket, key, query } = parseSource(String(call.headers['x-amz-copy-source']));
  const owner = call.headers['x-amz-source-expected-bucket-owner'];
  if (owner !== undefined && owner !== s3.accountId) throw new S3Error('AccessDenied');
  const sourceCall = { ...call, bucket, key, query };
  checkBucket(sourceCall, s3);
  authorize({ ...sourceCall, operation: 'GetObject' }, s3);
  const source = findObject(sourceCall, s3);
  checkReadKey(call, s3, { encryption: source.attributes.encryption, copySource: true });
  checkCopyConditions(call.headers, source);
  refuseArchived(source);
  return { source, itself: bucket === call.bucket && key === call.key };
}

/** API_CopyObject.html: bucket and key, percent-encoded, with or without a slash before, perhaps `?versionId=`. */
function parseSource(header: string): { bucket: string; key: string; query: URLSearchParams } {
  const [path = '', query] = header.split('?versionId=');
  try {
    const match = /^\/?([^/]+)\/(.+)$/s.exec(decodeURIComponent(path));
    if (match !== null) {
      const versions = new URLSearchParams(query === undefined ? {} : { versionId: query });
      return { bucket: match[1]!, key: match[2]!, query: versions };
    }
  } catch {
    // Malformed percent-encoding gets the answer below.
  }
  throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey', {
    fields: { ArgumentName: 'x-amz-copy-source', ArgumentValue: header },
  });
}

/** API_CopyObject.html: metadata and tags are the source's or new ones; class and encryption are never the source's. */
function copyAttributes(call: Call, s3: S3, source: StoredObject): Attributes {
  const tagging = call.headers['x-amz-tagging'];
  return {
    ...(directive(call, 'x-amz-metadata-directive') === 'REPLACE' ? readHeaders(call) : source.attributes),
    tags:
      directive(call, 'x-amz-tagging-directive') === 'REPLACE'
        ? parseTagging(String(tagging ?? ''))
        : source.attributes.tags,
    storageClass: readStorageClass(call),
    encryption: readEncryption(call, s3),
  };
}

function directive(call: Call, name: string): 'COPY' | 'REPLACE' {
  const value = call.headers[name] ?? 'COPY';
  if (value === 'COPY' || value === 'REPLACE') return value;
  throw new S3Error('InvalidArgument', `Unknown ${name.slice('x-amz-'.length)}.`, {
    fields: { ArgumentName: name, ArgumentValue: String(value) },
  });
}

/** API_CopyObject.html: an object may be copied onto itself only to change something about it. */
function refuseCopyWithoutChange(call: Call): void {
  const changes = [
    'x-amz-storage-class',
    'x-amz-website-redirect-location',
    'x-amz-server-side-encryption',
    'x-amz-server-side-encryption-customer-algorithm',
  ];
  if (directive(call, 'x-amz-metadata-directive') === 'REPLACE') return;
  if (changes.some((name) => call.headers[name] !== undefined)) return;
  throw new S3Error(
    'InvalidRequest',
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  );
}

async function copyBytes(
  s3: S3,
  source: StoredObject,
  range: ByteRange,
  algorithm: Algorithm,
): Promise<Omit<ReceivedBytes, 'told'>> {
  const blob = randomUUID();
  const from = s3.storage.reader(s3.catalog.rangesOf(source.content, range));
  const to = s3.storage.writer(blob);
  const md5 = createDigest('MD5');
  const digest = createDigest(algorithm);
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      md5.update(chunk);
      digest.update(chunk);
      if (!to.write(chunk)) await once(to, 'drain');
    }
    to.end();
    await once(to, 'finish');
  } catch (error) {
    to.destroy();
    throw error;
  }
  return {
    blob,
    size: range.last - range.first + 1,
    md5: md5.finish().toString('hex'),
    checksum: { algorithm, value: digest.finish().toString('base64') },
  };
}
