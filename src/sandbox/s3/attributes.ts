/** What is kept with an object beside its bytes: content headers, user metadata, tags, storage class, encryption. */
import { type Call, integerOf, type S3 } from './call.ts';
import { S3Error } from './errors.ts';
import { type Encryption, encryptionHeaders, readEncryption } from './sse.ts';

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

export interface Attributes {
  /** Content headers by name. */
  readonly headers: Readonly<Record<string, string>>;
  /** User metadata by name, without the prefix. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly Tag[];
  readonly storageClass: string;
  readonly encryption: Encryption;
}

const CONTENT_HEADERS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-website-redirect-location',
];

const METADATA_PREFIX = 'x-amz-meta-';
/** userguide/UsingMetadata.html: user-defined metadata is limited to 2 KB, the sum of the bytes of names and values. */
const METADATA_LIMIT = 2048;

/** API_PutObject.html, x-amz-storage-class; OUTPOSTS, SNOW and directory-bucket classes do not fit a bucket. */
const STORAGE_CLASSES = [
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
];

/** What PutObject, CopyObject and CreateMultipartUpload give an object. */
export function readAttributes(call: Call, s3: S3): Attributes {
  const tagging = call.headers['x-amz-tagging'];
  return {
    ...readHeaders(call),
    tags: tagging === undefined ? [] : parseTagging(String(tagging)),
    storageClass: readStorageClass(call),
    encryption: readEncryption(call, s3),
  };
}

export function readHeaders(call: Call): Pick<Attributes, 'headers' | 'metadata'> {
  const headers: Record<string, string> = {};
  for (const name of CONTENT_HEADERS) {
    const value = call.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  // `aws-chunked` is about the request, not the object (API/sigv4-streaming.html: S3 stores the object without it).
  const encodings = headers['content-encoding']?.split(',').map((encoding) => encoding.trim());
  const kept = encodings?.filter((encoding) => encoding !== 'aws-chunked' && encoding !== '').join(',');
  if (kept) headers['content-encoding'] = kept;
  else delete headers['content-encoding'];
  headers['content-type'] ??= 'binary/octet-stream';
  return { headers, metadata: readMetadata(call) };
}

function readMetadata(call: Call): Record<string, string> {
  const metadata: Record<string, string> = {};
  let size = 0;
  for (const [header, value] of Object.entries(call.headers)) {
    if (!header.startsWith(METADATA_PREFIX)) continue;
    const name = header.slice(METADATA_PREFIX.length);
    metadata[name] = String(value);
    // Node reads headers as Latin-1, so a character is a byte.
    size += name.length + metadata[name].length;
  }
  if (size > METADATA_LIMIT) {
    throw new S3Error('MetadataTooLarge', undefined, {
      fields: { Size: size, MaxSizeAllowed: METADATA_LIMIT },
    });
  }
  return metadata;
}

export function readStorageClass(call: Call): string {
  const storageClass = String(call.headers['x-amz-storage-class'] ?? 'STANDARD');
  if (!STORAGE_CLASSES.includes(storageClass)) throw new S3Error('InvalidStorageClass');
  return storageClass;
}

/** The headers of GetObject and HeadObject. */
export function attributeHeaders(attributes: Attributes): Record<string, string | undefined> {
  const { headers, metadata, tags, storageClass, encryption } = attributes;
  const answer: Record<string, string | undefined> = { ...headers, ...encryptionHeaders(encryption) };
  for (const [name, value] of Object.entries(metadata)) answer[METADATA_PREFIX + name] = value;
  if (tags.length > 0) answer['x-amz-tagging-count'] = String(tags.length);
  // API_HeadObject.html: "Amazon S3 returns this header for all objects except for S3 Standard storage class objects."
  if (storageClass !== 'STANDARD') answer['x-amz-storage-class'] = storageClass;
  return answer;
}

/** The header form of tags, `a=1&b=2`. */
export function parseTagging(text: string): Tag[] {
  return checkTags([...new URLSearchParams(text)].map(([Key, Value]) => ({ Key, Value })));
}

/** userguide/object-tagging.html: at most 10 tags, unique keys of at most 128 and values of at most 256 characters. */
export function checkTags(tags: readonly Tag[]): Tag[] {
  if (tags.length > 10) throw new S3Error('InvalidTag', 'Object tags cannot be greater than 10');
  for (const { Key, Value } of tags) {
    if (Key.length === 0 || Key.length > 128)
      throw new S3Error('InvalidTag', 'The TagKey you have provided is invalid');
    if (Value.length > 256) throw new S3Error('InvalidTag', 'The TagValue you have provided is invalid');
  }
  if (new Set(tags.map((tag) => tag.Key)).size < tags.length) {
    throw new S3Error('InvalidTag', 'Cannot provide multiple Tags with the same key');
  }
  return [...tags];
}

/** API_UploadPart.html: a part number is an integer between 1 and 10,000. */
export function partNumberOf(call: Call): number {
  return integerOf(call.query.get('partNumber'), { name: 'partNumber', min: 1, max: 10_000, absent: 1 });
}
