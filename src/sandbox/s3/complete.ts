/** CompleteMultipartUpload: everything a client may state about the whole is checked before the object appears. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Answer, type Call, quoted, type S3, unquoted, versionHeader } from './call.ts';
import type { StoredPart, StoredUpload } from './catalog.ts';
import {
  ALGORITHMS,
  type Checksum,
  checksumElements,
  elementName,
  headerName,
  validValue,
  wholeChecksum,
} from './checksums.ts';
import { checkWriteConditions } from './conditions.ts';
import { S3Error } from './errors.ts';
import { etagOf } from './objects.ts';
import { defaultAlgorithm, receiveXml } from './receive.ts';
import { checkUploadKey, encryptionHeaders } from './sse.ts';
import { findUpload } from './uploads.ts';
import { NAMESPACE, writeXml } from './xml.ts';

/** One `<Part>` of the request. */
type NamedPart = Record<string, string | undefined>;

export async function completeMultipartUpload(call: Call, s3: S3): Promise<Answer> {
  const { bucket, key } = call;
  const tree = await receiveXml(call, 'CompleteMultipartUpload', { digest: 'none' });
  // From here to the end nothing waits, so nobody else's write comes between the checks and the effect.
  const upload = findUpload(call, s3);
  const { attributes } = upload;
  checkUploadKey(call, s3, attributes.encryption);
  checkWriteConditions(call.headers, s3.catalog.object(bucket, key));
  const parts = chooseParts(upload, (tree.Part ?? []) as NamedPart[], s3);
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  checkObjectSize(call, size);
  const checksum = checkWhole(call, s3, upload, parts);
  const etag = `${etagOf(md5OfParts(parts), attributes.encryption)}-${parts.length}`;
  const object = { key, size, etag, modified: Date.now(), checksum, partCount: parts.length, attributes };
  s3.storage.remove(s3.catalog.completeUpload(bucket, object, { id: upload.id, parts }));
  // API_CompleteMultipartUpload.html: of all answers about an object this one tells nothing of a customer's key.
  const told = attributes.encryption.kind === 'customer' ? {} : encryptionHeaders(attributes.encryption);
  return {
    headers: { ...versionHeader(s3.catalog.object(bucket, key)), ...told },
    body: writeXml(
      'CompleteMultipartUploadResult',
      {
        Location: `${call.origin}/${bucket}/${key}`,
        Bucket: bucket,
        Key: key,
        ETag: quoted(etag),
        ...checksumElements(checksum),
      },
      NAMESPACE,
    ),
  };
}

/** The stored parts the request names. API_CompleteMultipartUpload.html: InvalidPartOrder, InvalidPart, EntityTooSmall. */
function chooseParts(upload: StoredUpload, named: readonly NamedPart[], s3: S3): StoredPart[] {
  if (named.length === 0) throw new S3Error('MalformedXML');
  const stored = new Map(s3.catalog.parts(upload.id).map((part) => [part.number, part]));
  let previous = 0;
  const parts = named.map((entry) => {
    const number = Number(entry.PartNumber);
    if (!Number.isInteger(number) || entry.ETag === undefined) throw new S3Error('MalformedXML');
    if (number <= previous) throw new S3Error('InvalidPartOrder');
    previous = number;
    const part = stored.get(number);
    if (part === undefined || part.etag !== unquoted(entry.ETag)) throw invalidPart(upload, entry);
    checkPartChecksum(upload, entry, part);
    return part;
  });
  const small = parts.slice(0, -1).find((part) => part.size < s3.minPartSize);
  if (small !== undefined) {
    throw new S3Error('EntityTooSmall', undefined, {
      fields: {
        PartNumber: small.number,
        ProposedSize: small.size,
        MinSizeAllowed: s3.minPartSize,
        ETag: small.etag,
      },
    });
  }
  const [{ size }] = parts as [StoredPart];
  const isOdd = (part: StoredPart, index: number) => (index < parts.length - 1 ? part.size !== size : part.size > size);
  if (s3.equalParts && parts.some(isOdd)) {
    // Not AWS: what Cloudflare R2 answers. Its last part may be smaller than the others.
    throw new S3Error('InvalidPart', 'All non-trailing parts must have the same length.');
  }
  return parts;
}

/** COMPOSITE uploads must name every part's checksum; any checksum that is named must be the part's. */
function checkPartChecksum(upload: StoredUpload, entry: NamedPart, part: StoredPart): void {
  if (upload.checksum === undefined) return;
  const { algorithm, type } = upload.checksum;
  const given = ALGORITHMS.filter((name) => entry[elementName(name)] !== undefined);
  if (type === 'COMPOSITE' && !given.includes(algorithm)) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${part.number} in the request.`,
    );
  }
  for (const name of given) {
    if (name !== algorithm || entry[elementName(name)] !== part.checksum) throw invalidPart(upload, entry);
  }
}

function invalidPart(upload: StoredUpload, entry: NamedPart): S3Error {
  return new S3Error('InvalidPart', undefined, {
    fields: {
      UploadId: upload.id,
      PartNumber: entry.PartNumber,
      ETag: entry.ETag && unquoted(entry.ETag),
    },
  });
}

/** API_CompleteMultipartUpload.html, x-amz-mp-object-size: a size that is not the sum of the parts' is 400. */
function checkObjectSize(call: Call, size: number): void {
  const stated = call.headers['x-amz-mp-object-size'];
  if (stated === undefined || Number(stated) === size) return;
  throw new S3Error(
    'InvalidRequest',
    'The provided x-amz-mp-object-size header does not match the computed object size.',
  );
}

/**
 * The checksum of the whole, compared with what the headers say of it. Of an upload that was created without an
 * algorithm S3 makes its own checksum and compares it with nothing: whoever wants the comparison names one at Create.
 */
function checkWhole(call: Call, s3: S3, upload: StoredUpload, parts: readonly StoredPart[]): Checksum {
  const { algorithm, type } = upload.checksum ?? { algorithm: defaultAlgorithm(s3), type: 'FULL_OBJECT' as const };
  const sums = parts.map((part) => ({ checksum: part.checksum, size: part.size }));
  const computed = wholeChecksum(algorithm, type, sums);
  if (upload.checksum !== undefined) checkStated(call.headers, computed);
  return computed;
}

function checkStated(headers: IncomingHttpHeaders, { algorithm, type, value }: Checksum): void {
  const statedType = headers['x-amz-checksum-type'];
  if (statedType !== undefined && statedType !== type) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using the ${type} checksum mode. The complete request must use the same checksum mode.`,
    );
  }
  for (const named of ALGORITHMS) {
    const stated = headers[headerName(named)] as string | undefined;
    if (stated === undefined) continue;
    const [expected, actual] = [algorithm.toLowerCase(), named.toLowerCase()];
    if (named !== algorithm) {
      throw new S3Error(
        'InvalidRequest',
        `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`,
      );
    }
    if (validValue(named, stated) !== value) {
      throw new S3Error('BadDigest', `The ${actual} you specified did not match the calculated checksum.`);
    }
  }
}

/** userguide/checking-object-integrity.html: a multipart ETag is the MD5 of the parts' MD5s, and their number. */
function md5OfParts(parts: readonly StoredPart[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part.etag, 'hex');
  return hash.digest('hex');
}
