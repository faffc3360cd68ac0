/** Takes the body of a request in: digests on the way, everything the request said of it checked before it counts. */
import { createHash, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { GiB, MiB } from '../../units.ts';
import type { Call, S3 } from './call.ts';
import { type Algorithm, createDigest, type Digest, declaredChecksum, headerName, validValue } from './checksums.ts';
import { S3Error } from './errors.ts';
import { readXml } from './xml.ts';

/** userguide/qfacts.html: 5 GiB in one request, for a part as for an object. */
export const BODY_LIMIT = 5 * GiB;
/** A CompleteMultipartUpload of 10,000 parts with checksums is some 2 MiB. */
const XML_LIMIT = 8 * MiB;

export interface ReceivedBytes {
  readonly blob: string;
  readonly size: number;
  /** MD5 in hex where the storage keeps bytes; see `discardedEtag`. */
  readonly md5: string;
  readonly checksum: { readonly algorithm: Algorithm; readonly value: string } | undefined;
}

/**
 * Stores the body as a blob that belongs to nothing yet. Where the request declares no checksum, one of `algorithm` is
 * made all the same; undefined means none.
 */
export async function receiveBytes(
  call: Call,
  s3: S3,
  options: { algorithm: Algorithm | undefined },
): Promise<ReceivedBytes> {
  // API_PutObject.html: an upload states its length; chunked transfer encoding without it is 411.
  const length = call.body.length;
  if (length === undefined) throw new S3Error('MissingContentLength');
  if (length > BODY_LIMIT) throw new S3Error('EntityTooLarge', undefined, { fields: { MaxSizeAllowed: BODY_LIMIT } });
  const checks = new BodyChecks(call.headers, { algorithm: options.algorithm, md5: s3.storage.keepsBytes });
  const blob = randomUUID();
  const { size, trailers } = await call.body.receive(s3.storage.writer(blob), checks.digests);
  try {
    const { md5, checksum } = checks.verify(trailers);
    return { blob, size, md5: md5 ?? discardedEtag(checksum, size), checksum };
  } catch (error) {
    s3.storage.remove([blob]);
    throw error;
  }
}

/**
 * MD5 costs 1.5 CPU seconds a GiB, which a sandbox that shares the machine with what it measures has not to give. Where
 * bytes are dropped the ETag is the MD5 of checksum and size: it tells parts apart, and looks like one.
 */
function discardedEtag(checksum: { value: string } | undefined, size: number): string {
  return createHash('md5').update(`${checksum?.value} ${size}`).digest('hex');
}

/**
 * The tree under `root` of an XML body. Some calls must carry a digest of it; in CompleteMultipartUpload the checksum
 * headers are about the object, and say nothing of the body.
 */
export async function receiveXml(
  call: Call,
  root: string,
  options: { digest: 'optional' | 'required' | 'none' },
): Promise<Record<string, unknown>> {
  const headers = options.digest === 'none' ? {} : call.headers;
  const checks = new BodyChecks(headers, { algorithm: undefined, md5: false });
  // API_DeleteObjects.html, API_PutObjectTagging.html: the request must carry Content-MD5 or an additional checksum.
  if (options.digest === 'required' && !checks.declared) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
  }
  const { text, trailers } = await call.body.text(XML_LIMIT, checks.digests);
  checks.verify(trailers);
  return readXml(text, root);
}

/** Content-MD5 and the additional checksum of one body: what was said, what was found. */
class BodyChecks {
  readonly digests: Digest[] = [];
  readonly declared: boolean;
  readonly #md5Expected: string | undefined;
  readonly #md5: Digest | undefined;
  readonly #checksum:
    | { algorithm: Algorithm; expected: string | undefined; digest: Digest; inTrailer: boolean }
    | undefined;

  constructor(headers: IncomingHttpHeaders, options: { algorithm: Algorithm | undefined; md5: boolean }) {
    this.#md5Expected = contentMd5(headers);
    const declared = declaredChecksum(headers);
    this.declared = declared !== undefined || this.#md5Expected !== undefined;
    if (options.md5 || this.#md5Expected !== undefined) {
      this.#md5 = createDigest('MD5');
      this.digests.push(this.#md5);
    }
    const algorithm = declared?.algorithm ?? options.algorithm;
    if (algorithm !== undefined) {
      const digest = createDigest(algorithm);
      const inTrailer = declared !== undefined && declared.value === undefined;
      this.#checksum = { algorithm, expected: declared?.value, digest, inTrailer };
      this.digests.push(digest);
    }
  }

  /** Compares what was found with what was said. Throws BadDigest. */
  verify(trailers: ReadonlyMap<string, string>): Pick<ReceivedBytes, 'checksum'> & { md5: string | undefined } {
    const md5 = this.#md5?.finish();
    if (this.#md5Expected !== undefined && md5?.toString('base64') !== this.#md5Expected) {
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
        fields: { ExpectedDigest: this.#md5Expected, CalculatedDigest: md5?.toString('base64') },
      });
    }
    return { md5: md5?.toString('hex'), checksum: this.#checksum && this.#verifyChecksum(trailers) };
  }

  #verifyChecksum(trailers: ReadonlyMap<string, string>): { algorithm: Algorithm; value: string } {
    const { algorithm, digest, inTrailer } = this.#checksum!;
    const name = headerName(algorithm);
    const expected = inTrailer ? trailers.get(name) : this.#checksum!.expected;
    // API/sigv4-streaming-trailers.html: what x-amz-trailer announces must come.
    if (inTrailer && expected === undefined) throw new S3Error('MalformedTrailerError');
    const value = digest.finish().toString('base64');
    if (expected !== undefined && validValue(algorithm, expected) !== value) {
      throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
    }
    return { algorithm, value };
  }
}

/** The Content-MD5 header: 16 bytes in base64 (RFC 1864), or InvalidDigest. */
function contentMd5(headers: IncomingHttpHeaders): string | undefined {
  const value = headers['content-md5'] as string | undefined;
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== value) throw new S3Error('InvalidDigest');
  return value;
}
