/** ListObjectVersions: every version and every delete marker, in the order of keys, the newest of each first. */
import { type Answer, type Call, integerOf, quoted, type S3 } from './call.ts';
import { keyRange } from './database.ts';
import { S3Error } from './errors.ts';
import { encodeFor, keyAfter, keyAfterAll } from './listing.ts';
import type { ListedVersion } from './versions.ts';
import { NAMESPACE, writeXml, type XmlTree } from './xml.ts';

/** Where a page begins: behind this version of this key, or behind all versions of it. */
interface Marker {
  key: string;
  id: string | null;
}

interface Page {
  readonly versions: readonly ListedVersion[];
  readonly prefixes: readonly string[];
  /** What the page ended with; undefined on the last one. */
  readonly next: Marker | undefined;
}

export function listObjectVersions(call: Call, s3: S3): Answer {
  const { query, bucket } = call;
  const encode = encodeFor(query);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const marker = { key: query.get('key-marker') ?? '', id: query.get('version-id-marker') };
  if (marker.id !== null && marker.key === '') {
    throw new S3Error('InvalidArgument', 'A version-id marker cannot be specified without a key marker.');
  }
  // API_ListObjectVersions.html: "By default, the action returns up to 1,000 key names", and never more.
  const asked = integerOf(query.get('max-keys'), { name: 'max-keys', min: 0, max: 2 ** 31 - 1, absent: 1000 });
  const max = Math.min(asked, 1000);
  const { versions, prefixes, next } = readPage(bucket, s3, { prefix, delimiter, marker, max });
  const owner = { ID: s3.accountId };
  const tree: XmlTree = {
    Name: bucket,
    Prefix: encode(prefix),
    KeyMarker: encode(marker.key),
    VersionIdMarker: marker.id ?? '',
    NextKeyMarker: next && encode(next.key),
    NextVersionIdMarker: next?.id ?? undefined,
    MaxKeys: max,
    Delimiter: delimiter === '' ? undefined : encode(delimiter),
    EncodingType: query.get('encoding-type') ?? undefined,
    IsTruncated: next !== undefined,
    Version: versions.filter(({ object }) => object).map((version) => versionTree(version, encode, owner)),
    DeleteMarker: versions.filter(({ object }) => !object).map((version) => markerTree(version, encode, owner)),
    CommonPrefixes: prefixes.map((common) => ({ Prefix: encode(common) })),
  };
  return { body: writeXml('ListVersionsResult', tree, NAMESPACE) };
}

type Encode = (text: string) => string;

function markerTree({ key, id, isLatest, modified }: ListedVersion, encode: Encode, Owner: XmlTree): XmlTree {
  return {
    Key: encode(key),
    VersionId: id,
    IsLatest: isLatest,
    LastModified: new Date(modified).toISOString(),
    Owner,
  };
}

function versionTree(version: ListedVersion, encode: Encode, owner: XmlTree): XmlTree {
  const { etag, size, checksum, attributes } = version.object!;
  return {
    ETag: quoted(etag),
    ChecksumAlgorithm: checksum.algorithm,
    ChecksumType: checksum.type,
    Size: size,
    StorageClass: attributes.storageClass,
    ...markerTree(version, encode, owner),
  };
}

function readPage(
  bucket: string,
  s3: S3,
  options: { prefix: string; delimiter: string; marker: Marker; max: number },
): Page {
  const { prefix, delimiter, marker, max } = options;
  const versions: ListedVersion[] = [];
  const prefixes: string[] = [];
  if (max === 0) return { versions, prefixes, next: undefined };
  let next: Marker | undefined;
  // Versions of the marker's own key, up to the marker, were on the page before.
  let isBehind = marker.id === null;
  const [from, to] = keyRange(prefix, startOf(marker, delimiter));
  for (const version of s3.catalog.versions.list(bucket, { from, to })) {
    if (!isBehind && version.key === marker.key) {
      isBehind = version.id === marker.id;
      continue;
    }
    isBehind = true;
    const end = delimiter === '' ? -1 : version.key.indexOf(delimiter, prefix.length);
    const common = end < 0 ? undefined : version.key.slice(0, end + delimiter.length);
    if (common !== undefined && common === prefixes.at(-1)) continue;
    if (versions.length + prefixes.length === max) return { versions, prefixes, next };
    if (common === undefined) versions.push(version);
    else prefixes.push(common);
    next = common === undefined ? { key: version.key, id: version.id } : { key: common, id: null };
  }
  return { versions, prefixes, next: undefined };
}

/** The lowest key that the page may hold. A marker may be a common prefix, and then stands for all its keys. */
function startOf({ key, id }: Marker, delimiter: string): string {
  if (id !== null) return key;
  return delimiter !== '' && key.endsWith(delimiter) ? keyAfterAll(key) : keyAfter(key);
}
