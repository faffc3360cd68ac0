/** Conditional requests, to read and to write (userguide/conditional-requests.html, RFC 9110 section 13). */
import type { IncomingHttpHeaders } from 'node:http';
import { quoted, unquoted } from './call.ts';
import type { StoredObject } from './catalog.ts';
import { S3Error } from './errors.ts';

/** GetObject and HeadObject. Throws PreconditionFailed; returns true where the answer is 304 Not Modified. */
export function checkReadConditions(headers: IncomingHttpHeaders, object: StoredObject): boolean {
  return checkConditions(object, {
    match: headers['if-match'],
    noneMatch: headers['if-none-match'],
    modifiedSince: headers['if-modified-since'],
    unmodifiedSince: headers['if-unmodified-since'],
  });
}

/** The source of CopyObject and UploadPartCopy: what would be 304 for a GET is 412 here (API_CopyObject.html). */
export function checkCopyConditions(headers: IncomingHttpHeaders, source: StoredObject): void {
  const header = (name: string) => headers[`x-amz-copy-source-${name}`] as string | undefined;
  const notModified = checkConditions(source, {
    match: header('if-match'),
    noneMatch: header('if-none-match'),
    modifiedSince: header('if-modified-since'),
    unmodifiedSince: header('if-unmodified-since'),
  });
  if (notModified) throw failed('x-amz-copy-source-if-none-match');
}

function checkConditions(
  object: StoredObject,
  conditions: Record<'match' | 'noneMatch' | 'modifiedSince' | 'unmodifiedSince', string | undefined>,
): boolean {
  const { match, noneMatch, modifiedSince, unmodifiedSince } = conditions;
  // Dates of HTTP are whole seconds.
  const modified = Math.floor(object.modified / 1000) * 1000;
  // API_GetObject.html: If-Match that holds outweighs If-Unmodified-Since, If-None-Match outweighs If-Modified-Since.
  if (match !== undefined) {
    if (!matches(match, object.etag)) throw failed('If-Match');
  } else if (unmodifiedSince !== undefined && modified > Date.parse(unmodifiedSince)) {
    throw failed('If-Unmodified-Since');
  }
  if (noneMatch !== undefined) return matches(noneMatch, object.etag);
  return modifiedSince !== undefined && modified <= Date.parse(modifiedSince);
}

/**
 * Writes and deletes (userguide/conditional-writes.html). `current` is the object under the name now.
 */
export function checkWriteConditions(
  headers: Pick<IncomingHttpHeaders, 'if-match' | 'if-none-match'>,
  current: StoredObject | undefined,
): void {
  const match = headers['if-match'];
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined) {
    // API_PutObject.html, If-None-Match: "Expects the '*' (asterisk) character."
    if (noneMatch !== '*' || match !== undefined) throw new S3Error('NotImplemented');
    if (current !== undefined) throw failed('If-None-Match');
  }
  if (match !== undefined) {
    // userguide/conditional-writes.html: If-Match on a name without an object is 404.
    if (current === undefined) throw new S3Error('NoSuchKey');
    if (!matches(match, current.etag)) throw failed('If-Match');
  }
}

/** `list` is `*` or entity tags with commas between. */
function matches(list: string, etag: string): boolean {
  return list.split(',').some((item) => item.trim() === '*' || quoted(unquoted(item.trim())) === quoted(etag));
}

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', undefined, { fields: { Condition: condition } });
}
