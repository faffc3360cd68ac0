/** The Range header of reads, and the one UploadPartCopy has of its own. */
import { S3Error } from './errors.ts';

/** Inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The bytes a Range header asks of an object of `size`. API_GetObject.html: one range a request. What is not a range of
 * bytes is ignored (RFC 9110, section 14.2); one that holds no byte is 416.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const range =
    match[1] === ''
      ? { first: Math.max(0, size - Number(match[2])), last: size - 1 }
      : { first: Number(match[1]), last: Math.min(size - 1, match[2] === '' ? size - 1 : Number(match[2])) };
  if (match[2] !== '' && match[1] !== '' && Number(match[2]) < Number(match[1])) return undefined;
  if (range.first > range.last) {
    throw new S3Error('InvalidRange', undefined, {
      fields: { RangeRequested: header, ActualObjectSize: size },
      headers: { 'content-range': `bytes */${size}` },
    });
  }
  return range;
}

/**
 * API_UploadPartCopy.html: "The range value must use the form bytes=first-last", and must lie within the source.
 */
export function parseCopyRange(header: string, size: number): ByteRange {
  const match = /^bytes=(\d+)-(\d+)$/.exec(header);
  if (match === null) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    );
  }
  const range = { first: Number(match[1]), last: Number(match[2]) };
  if (range.last < range.first || range.last >= size) {
    throw new S3Error('InvalidArgument', `Range specified is not valid for source object of size: ${size}`);
  }
  return range;
}
