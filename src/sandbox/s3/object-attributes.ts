/** GetObjectAttributes: what S3 knows of an object, the parts it was made of included. */
import { type Answer, type Call, findObject, integerOf, type S3 } from './call.ts';
import type { StoredObject } from './catalog.ts';
import { checksumElements, elementName } from './checksums.ts';
import { S3Error } from './errors.ts';
import { checkReadKey } from './sse.ts';
import { NAMESPACE, writeXml, type XmlTree } from './xml.ts';

const NAMES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'];

export function getObjectAttributes(call: Call, s3: S3): Answer {
  const asked = String(call.headers['x-amz-object-attributes'] ?? '')
    .split(',')
    .map((name) => name.trim());
  // API_GetObjectAttributes.html: the header is required, and what it names must be one of five.
  if (!asked.every((name) => NAMES.includes(name))) {
    throw new S3Error('InvalidArgument', 'Invalid attribute name specified.', {
      fields: { ArgumentName: 'x-amz-object-attributes' },
    });
  }
  const object = findObject(call, s3);
  checkReadKey(call, s3, { encryption: object.attributes.encryption });
  const tree = {
    // Alone among answers this one has the ETag without quotes.
    ETag: object.etag,
    Checksum: readChecksum(object),
    ObjectParts: object.partCount === undefined ? undefined : readParts(call, s3, object),
    StorageClass: object.attributes.storageClass,
    ObjectSize: object.size,
  };
  const chosen = Object.fromEntries(Object.entries(tree).filter(([name]) => asked.includes(name)));
  return {
    headers: { 'last-modified': new Date(object.modified).toUTCString() },
    body: writeXml('GetObjectAttributesResponse', chosen, NAMESPACE),
  };
}

/** A COMPOSITE value goes without its `-N` here, as captured from S3 in floci-io/floci#3083. */
function readChecksum({ checksum }: StoredObject): XmlTree {
  return checksumElements({ ...checksum, value: checksum.value.split('-')[0]! });
}

function readParts(call: Call, s3: S3, object: StoredObject): XmlTree {
  const { checksum } = object;
  // API_GetObjectAttributes.html: parts are told of objects with additional checksums; a COMPOSITE one is of its parts.
  if (checksum.type !== 'COMPOSITE') return { PartsCount: object.partCount };
  const header = (name: string) => call.headers[name] as string | undefined;
  const limit = integerOf(header('x-amz-max-parts'), { name: 'max-parts', min: 0, max: 1000, absent: 1000 });
  const after = integerOf(header('x-amz-part-number-marker'), {
    name: 'part-number-marker',
    min: 0,
    max: 10_000,
    absent: 0,
  });
  const found = s3.catalog.parts(object.content, { after, limit: limit + 1 });
  const page = found.slice(0, limit);
  return {
    PartsCount: object.partCount,
    PartNumberMarker: after,
    NextPartNumberMarker: page.at(-1)?.number ?? 0,
    MaxParts: limit,
    IsTruncated: found.length > page.length,
    Part: page.map((part) => ({
      PartNumber: part.number,
      Size: part.size,
      [elementName(checksum.algorithm)]: part.checksum,
    })),
  };
}
