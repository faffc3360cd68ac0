/** Takes the body of a request in: digests on the way, everything the request said of it checked before it counts. */
import { createHash, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { GiB, MiB } from '../../units.ts';
import type { Call, S3 } from './call.ts';
import {
  type Algorithm,
  createDigest,
  type DeclaredChecksum,
  type Digest,
  declaredChecksum,
  headerName,
  validValue,
} from './checksums.ts';
import { S3Error } from './errors.ts';
import { readXml } from './xml.ts';

/** userguide/qfacts.html: 5 GiB in one request, for a part as for an object. */
export const BODY_LIMIT = 5 * GiB;
/** A CompleteMultipartUpload of 10,000 parts with checksums is some 2 MiB. */
const TEXT_LIMIT = 8 * MiB;

/** A checksum in base64. */
export interface BytesChecksum {
  readonly algorithm: Algorithm;
  readonly value: string;
}

export interface ReceivedBytes {
  readonly blob: string;
  readonly size: number;
  /** MD5 in hex where the storage keeps bytes; see `discardedEtag`. */
  readonly md5: string;
  /** The one to keep. */
  readonly checksum: BytesChecksum;
  /** The one to answer with: that of the request, where it declared one. */
  readonly told: BytesChecksum;
}

/**
 * Stores the body as a blob that belongs to nothing yet. The checksum to keep is one of `algorithm`; undefined means
 * that of the request.
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
  const declared = declaredChecksum(call.headers)?.algorithm;
  const kept = options.algorithm ?? declared ?? defaultAlgorithm(s3);
  const checks = new BodyChecks(call.headers, { algorithm: kept, md5: s3.storage.keepsBytes });
  const blob = randomUUID();
  const { size, trailers } = await call.body.receive(s3.storage.writer(blob), checks.digests);
  try {
    const { md5, checksums } = checks.verify(trailers);
    const checksumOf = (algorithm: Algorithm) => ({ algorithm, value: checksums.get(algorithm)! });
    const checksum = checksumOf(kept);
    return { blob, size, md5: md5 ?? discardedEtag(checksum, size), checksum, told: checksumOf(declared ?? kept) };
  } catch (error) {
    s3.storage.remove([blob]);
    throw error;
  }
}

/**
 * API_Checksum.html: to an upload without a checksum S3 adds a CRC64NVME. In JavaScript that costs 2 CPU seconds a
 * GiB, so a sandbox that drops the bytes makes do with a CRC32.
 */
export function defaultAlgorithm(s3: S3): Algorithm {
  return s3.storage.keepsBytes ? 'CRC64NVME' : 'CRC32';
}

/**
 * MD5 costs 1.5 CPU seconds a GiB, which a sandbox that shares the machine with what it measures has not to give. Where
 * bytes are dropped the ETag is the MD5 of checksum and size: it tells parts apart, and looks like one.
 */
function discardedEtag(checksum: BytesChecksum, size: number): string {
  return createHash('md5').update(`${checksum.value} ${size}`).digest('hex');
}

/** The tree under `root` of an XML body. */
export async function receiveXml(call: Call, root: string, options: TextOptions): Promise<Record<string, unknown>> {
  return readXml(await receiveText(call, options), root);
}

/**
 * Some calls must carry a digest of their body; in CompleteMultipartUpload the checksum headers are about the object,
 * and say nothing of the body.
 */
interface TextOptions {
  digest: 'optional' | 'required' | 'none';
}

export async function receiveText(call: Call, options: TextOptions): Promise<string> {
  const headers = options.digest === 'none' ? {} : call.headers;
  const checks = new BodyChecks(headers, { algorithm: undefined, md5: false });
  // API_DeleteObjects.html, API_PutObjectTagging.html: the request must carry Content-MD5 or an additional checksum.
  if (options.digest === 'required' && !checks.declared) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
  }
  const { text, trailers } = await call.body.text(TEXT_LIMIT, checks.digests);
  checks.verify(trailers);
  return text;
}

/** Content-MD5 and checksums of one body: what was said, what was found. */
class BodyChecks {
  /** What the bytes must go through. */
  readonly digests: Digest[];
  readonly #md5Expected: string | undefined;
  readonly #md5: Digest | undefined;
  readonly #declared: DeclaredChecksum | undefined;
  readonly #checksums = new Map<Algorithm, Digest>();

  /** `md5` and `algorithm` are made whether the request declares them or not. */
  constructor(headers: IncomingHttpHeaders, options: { algorithm: Algorithm | undefined; md5: boolean }) {
    this.#md5Expected = contentMd5(headers);
    if (options.md5 || this.#md5Expected !== undefined) this.#md5 = createDigest('MD5');
    this.#declared = declaredChecksum(headers);
    for (const algorithm of [this.#declared?.algorithm, options.algorithm]) {
      if (algorithm !== undefined) this.#checksums.set(algorithm, createDigest(algorithm));
    }
    this.digests = [...this.#checksums.values(), ...(this.#md5 ? [this.#md5] : [])];
  }

  /** Whether the request says anything about the bytes of its body. */
  get declared(): boolean {
    return this.#declared !== undefined || this.#md5Expected !== undefined;
  }

  /** Compares what was found with what was said. Throws BadDigest. */
  verify(trailers: ReadonlyMap<string, string>): {
    md5: string | undefined;
    checksums: ReadonlyMap<Algorithm, string>;
  } {
    const md5 = this.#md5?.finish();
    if (this.#md5Expected !== undefined && md5?.toString('base64') !== this.#md5Expected) {
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
        fields: { ExpectedDigest: this.#md5Expected, CalculatedDigest: md5?.toString('base64') },
      });
    }
    const checksums = new Map<Algorithm, string>();
    for (const [algorithm, digest] of this.#checksums) checksums.set(algorithm, digest.finish().toString('base64'));
    if (this.#declared !== undefined) {
      const { algorithm } = this.#declared;
      if (this.#expected(this.#declared, trailers) !== checksums.get(algorithm)) {
        throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
      }
    }
    return { md5: md5?.toString('hex'), checksums };
  }

  #expected({ algorithm, value }: DeclaredChecksum, trailers: ReadonlyMap<string, string>): string {
    if (value !== undefined) return value;
    const trailed = trailers.get(headerName(algorithm));
    // API/sigv4-streaming-trailers.html: what x-amz-trailer announces must come.
    if (trailed === undefined) throw new S3Error('MalformedTrailerError');
    return validValue(algorithm, trailed);
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
