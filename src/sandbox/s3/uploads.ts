/** Multipart uploads until they are complete: Create, UploadPart, ListParts, ListMultipartUploads, Abort. */
import { randomBytes } from 'node:crypto';
import { partNumberOf, readAttributes } from './attributes.ts';
import { type Answer, type Call, integerOf, quoted, type S3 } from './call.ts';
import type { StoredPart, StoredUpload } from './catalog.ts';
import { declaredChecksum, elementName, headerName, uploadChecksum } from './checksums.ts';
import { S3Error } from './errors.ts';
import { encodeFor } from './listing.ts';
import { etagOf } from './objects.ts';
import { defaultAlgorithm, receiveBytes } from './receive.ts';
import { checkUploadKey, encryptionHeaders } from './sse.ts';
import { NAMESPACE, writeXml } from './xml.ts';

export function createMultipartUpload(call: Call, s3: S3): Answer {
  const { bucket, key } = call;
  const id = randomBytes(48).toString('base64url');
  const upload: StoredUpload = {
    id,
    key,
    initiated: Date.now(),
    checksum: uploadChecksum(call.headers),
    attributes: readAttributes(call, s3),
  };
  s3.catalog.createUpload(bucket, upload);
  return {
    headers: {
      ...encryptionHeaders(upload.attributes.encryption),
      'x-amz-checksum-algorithm': upload.checksum?.algorithm,
      'x-amz-checksum-type': upload.checksum?.type,
    },
    body: writeXml('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: id }, NAMESPACE),
  };
}

/** The upload a call is about. */
export function findUpload(call: Call, s3: S3): StoredUpload {
  const id = call.query.get('uploadId') ?? '';
  const upload = s3.catalog.upload(call.bucket, call.key, id);
  if (upload === undefined) throw new S3Error('NoSuchUpload', undefined, { fields: { UploadId: id } });
  return upload;
}

export async function uploadPart(call: Call, s3: S3): Promise<Answer> {
  const number = partNumberOf(call);
  const upload = findUpload(call, s3);
  checkUploadKey(call, s3, upload.attributes.encryption);
  checkPartAlgorithm(upload, declaredChecksum(call.headers)?.algorithm);
  const received = await receiveBytes(call, s3, { algorithm: upload.checksum?.algorithm ?? defaultAlgorithm(s3) });
  const part = storePart(call, s3, upload, { number, ...received });
  return {
    headers: {
      etag: quoted(part.etag),
      ...encryptionHeaders(upload.attributes.encryption),
      [headerName(received.told.algorithm)]: received.told.value,
    },
  };
}

/**
 * A part's algorithm is the upload's. A part without one is refused where the checksum is made of the parts' (the words
 * are S3's own, in aws/aws-sdk-java#3173); a FULL_OBJECT upload needs none (versity/versitygw#1342 compares with S3).
 * An upload that was created without an algorithm takes any: today's SDKs send a CRC32 with every part, unasked.
 */
function checkPartAlgorithm(upload: StoredUpload, actual: string | undefined): void {
  if (upload.checksum === undefined) return;
  const { algorithm, type } = upload.checksum;
  if (actual === algorithm || (actual === undefined && type === 'FULL_OBJECT')) return;
  throw new S3Error(
    'InvalidRequest',
    `Checksum Type mismatch occurred, expected checksum Type: ${algorithm.toLowerCase()}, actual checksum Type: ${actual?.toLowerCase() ?? 'null'}`,
  );
}

/** Makes received bytes a part of the upload, unless that has ended meanwhile. */
export function storePart(
  call: Call,
  s3: S3,
  upload: StoredUpload,
  bytes: { number: number; blob: string; size: number; md5: string; checksum: { value: string } },
): StoredPart {
  const { number, blob, size, md5, checksum } = bytes;
  const etag = etagOf(md5, upload.attributes.encryption);
  const part = { number, blob, size, etag, offset: 0, checksum: checksum.value, modified: Date.now() };
  try {
    findUpload(call, s3);
  } catch (error) {
    s3.storage.remove([blob]);
    throw error;
  }
  s3.storage.remove(s3.catalog.putPart(upload.id, part));
  return part;
}

export function listParts(call: Call, s3: S3): Answer {
  const upload = findUpload(call, s3);
  checkUploadKey(call, s3, upload.attributes.encryption);
  const { query } = call;
  // API_ListParts.html: "a maximum of 1,000 parts".
  const max = integerOf(query.get('max-parts'), { name: 'max-parts', min: 0, max: 2 ** 31 - 1, absent: 1000 });
  const after = integerOf(query.get('part-number-marker'), {
    name: 'part-number-marker',
    min: 0,
    max: 2 ** 31 - 1,
    absent: 0,
  });
  const limit = Math.min(max, 1000);
  const found = s3.catalog.parts(upload.id, { after, limit: limit + 1 });
  const page = found.slice(0, limit);
  const { checksum } = upload;
  return {
    body: writeXml(
      'ListPartsResult',
      {
        Bucket: call.bucket,
        Key: encodeFor(query)(call.key),
        UploadId: upload.id,
        StorageClass: upload.attributes.storageClass,
        ChecksumAlgorithm: checksum?.algorithm,
        ChecksumType: checksum?.type,
        PartNumberMarker: after,
        NextPartNumberMarker: page.at(-1)?.number ?? 0,
        MaxParts: limit,
        IsTruncated: found.length > page.length,
        Part: page.map((part) => ({
          PartNumber: part.number,
          LastModified: new Date(part.modified).toISOString(),
          ETag: quoted(part.etag),
          Size: part.size,
          ...(checksum ? { [elementName(checksum.algorithm)]: part.checksum } : {}),
        })),
      },
      NAMESPACE,
    ),
  };
}

export function listMultipartUploads(call: Call, s3: S3): Answer {
  const { query } = call;
  const encode = encodeFor(query);
  const prefix = query.get('prefix') ?? '';
  const keyMarker = query.get('key-marker') ?? '';
  const idMarker = query.get('upload-id-marker') ?? '';
  if (query.get('delimiter'))
    throw new S3Error('NotImplemented', 'This sandbox lists uploads without a delimiter only');
  const max = integerOf(query.get('max-uploads'), { name: 'max-uploads', min: 1, max: 1000, absent: 1000 });
  // API_ListMultipartUploads.html: without an upload-id-marker only keys greater than the key-marker are listed.
  const after = { key: keyMarker, id: keyMarker !== '' && idMarker === '' ? '\u{10ffff}' : idMarker };
  const found = s3.catalog.uploads(call.bucket, { prefix, after, limit: max + 1 });
  const page = found.slice(0, max);
  const truncated = found.length > page.length;
  const last = page.at(-1);
  return {
    body: writeXml(
      'ListMultipartUploadsResult',
      {
        Bucket: call.bucket,
        KeyMarker: encode(keyMarker),
        UploadIdMarker: idMarker,
        NextKeyMarker: truncated && last ? encode(last.key) : undefined,
        NextUploadIdMarker: truncated ? last?.id : undefined,
        Prefix: encode(prefix),
        EncodingType: query.get('encoding-type') ?? undefined,
        MaxUploads: max,
        IsTruncated: truncated,
        Upload: page.map((upload) => ({
          Key: encode(upload.key),
          UploadId: upload.id,
          Initiator: { ID: s3.accountId },
          Owner: { ID: s3.accountId },
          StorageClass: upload.attributes.storageClass,
          Initiated: new Date(upload.initiated).toISOString(),
          ChecksumAlgorithm: upload.checksum?.algorithm,
          ChecksumType: upload.checksum?.type,
        })),
      },
      NAMESPACE,
    ),
  };
}

export function abortMultipartUpload(call: Call, s3: S3): Answer {
  const upload = findUpload(call, s3);
  s3.storage.remove(s3.catalog.abortUpload(call.bucket, call.key, upload.id));
  return { status: 204 };
}
