/**
 * Sealift's values in S3's terms, and back: checksums, headers, conditions, keys in listings.
 */
import type { ObjectLockMode, StorageClass } from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';
import { checkEncryption, encryptionFields } from './encryption.ts';
import type { Headers } from './http1/head.ts';
import type { InheritedHeaders, ObjectHeaders, WriteCondition } from './store.ts';

export const METADATA_PREFIX = 'x-amz-meta-';

/** User metadata out of the headers of an answer. */
export function metadataOf(headers: Headers): Record<string, string> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith(METADATA_PREFIX));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(METADATA_PREFIX.length), String(value)]));
}

/** A CRC32 as S3 writes it: base64 of four bytes, the highest first. */
export function encodeCrc32(crc32: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32);
  return bytes.toString('base64');
}

/** The inverse of `encodeCrc32`. Undefined for anything else, as is the `…-N` of a checksum over checksums. */
export function decodeCrc32(text: string | undefined): number | undefined {
  if (text === undefined || !/^[A-Za-z0-9+/]{6}==$/.test(text)) return undefined;
  return Buffer.from(text, 'base64').readUInt32BE();
}

/** The CRC32 of a whole object, where an answer holds it. */
export function fullObjectCrc32(answer: {
  ChecksumCRC32?: string | undefined;
  ChecksumType?: string | undefined;
}): number | undefined {
  return answer.ChecksumType === 'COMPOSITE' ? undefined : decodeCrc32(answer.ChecksumCRC32);
}

/** Names and values of an object's metadata together (S3 User Guide, "Working with object metadata"). */
const MAX_METADATA_SIZE = 2048;

/** Throws `bad-option` for metadata that no HTTP header can carry, `metadata-too-large` for more than S3 keeps. */
function checkMetadata(metadata: ObjectHeaders['metadata']): void {
  let size = 0;
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || !/^[\x20-\x7e]*$/.test(value)) {
      throw new SealiftError('bad-option', `S3 cannot keep this metadata: ${JSON.stringify(name)}`, {
        hint: 'Names are lower-case letters, digits and hyphens, values are ASCII. Encode others, for example in base64.',
      });
    }
    size += name.length + value.length;
  }
  if (size <= MAX_METADATA_SIZE) return;
  throw new SealiftError('metadata-too-large', `The metadata has ${size} bytes, Sealift's own included`, {
    hint: 'S3 keeps 2 KiB of metadata an object: give fewer or shorter --metadata.',
  });
}

/** Throws `bad-option` for what no HTTP header can carry, and `metadata-too-large`. */
export function checkHeaders({ metadata, contentType = '', storageClass = '', tags = {}, sse }: ObjectHeaders): void {
  checkMetadata(metadata);
  if (sse) checkEncryption(sse);
  for (const [name, value] of Object.entries({ 'content type': contentType, 'storage class': storageClass })) {
    if (/^[\x20-\x7e]*$/.test(value)) continue;
    throw new SealiftError('bad-option', `S3 cannot keep this ${name}: ${JSON.stringify(value)}`, {
      hint: 'It must be ASCII, and one line.',
    });
  }
  const tag = Object.entries(tags).find((pair) => !pair.every((text) => text.isWellFormed()));
  if (tag !== undefined) {
    throw new SealiftError('bad-option', `S3 cannot keep this tag: ${JSON.stringify(tag[0])}`, {
      hint: 'Names and values of tags must be Unicode text.',
    });
  }
}

/** The headers of a new object. Throws as `checkHeaders` does. */
export function headerFields(headers: ObjectHeaders) {
  checkHeaders(headers);
  const { metadata, contentType, storageClass, tags, sse, inherited } = headers;
  const pairs = Object.entries(tags ?? {}).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  );
  return {
    ...inheritedFields(inherited),
    ...encryptionFields(sse),
    Metadata: { ...metadata },
    ContentType: contentType,
    StorageClass: storageClass as StorageClass | undefined,
    Tagging: pairs.length === 0 ? undefined : pairs.join('&'),
  };
}

/** What an object inherits, as headers. */
function inheritedFields(inherited: InheritedHeaders = {}) {
  const { expires, retention, legalHold } = inherited;
  return {
    CacheControl: inherited.cacheControl,
    ContentDisposition: inherited.contentDisposition,
    ContentEncoding: inherited.contentEncoding,
    ContentLanguage: inherited.contentLanguage,
    Expires: expires === undefined ? undefined : new Date(expires),
    WebsiteRedirectLocation: inherited.redirect,
    ObjectLockMode: retention?.mode as ObjectLockMode | undefined,
    ObjectLockRetainUntilDate: retention && new Date(retention.until),
    ObjectLockLegalHoldStatus: legalHold ? ('ON' as const) : undefined,
  };
}

export function conditionFields(condition: WriteCondition): { IfNoneMatch?: string; IfMatch?: string } {
  if ('ifNoneMatch' in condition) return { IfNoneMatch: '*' };
  return 'ifMatch' in condition ? { IfMatch: condition.ifMatch } : {};
}

/** A key out of a listing that was asked for with `EncodingType: 'url'`. */
export function decodeKey(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}

/**
 * Whether a key out of a listing that was asked for with `EncodingType: 'url'`, and with `key` as its prefix, is that
 * key. Some servers do not encode, some do and do not say so.
 */
export function isKey(listed: string, key: string): boolean {
  if (listed === key) return true;
  try {
    return decodeKey(listed) === key;
  } catch {
    return false;
  }
}

/** The version a write made. `null` is what a bucket without versions has, and moto does not find it by that. */
export function namedVersion(versionId: string | undefined): string | undefined {
  return versionId === 'null' ? undefined : versionId;
}

/** A field that S3 always sends. An answer without it is no answer. */
export function required<Value>(value: Value | undefined, name: string): Value {
  if (value !== undefined) return value;
  throw new SealiftError('store-unavailable', `The store's answer lacks ${name}`, {
    hint: 'Check the endpoint: what answers there may not speak all of S3.',
  });
}
