/**
 * Signature Version 4, the server's side: header signatures, presigned URLs, and the chain of chunk signatures
 * ("Authenticating Requests (AWS Signature Version 4)", API/sig-v4-authenticating-requests.html).
 */
import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { ALGORITHM, type Claim, checkTime, readClaim, type SignedRequest } from './claim.ts';
import type { ServiceName } from './log.ts';
import { S3Error } from './s3/errors.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** What a signature says about the body. */
export type Payload =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'hashed'; readonly sha256: string }
  | { readonly kind: 'chunked'; readonly signer: ChunkSigner | undefined };

export class Verifier {
  readonly #credentials: Credentials;
  readonly #region: string;
  readonly #service: ServiceName;
  /** The signing key is the same for a whole day. */
  #key: { day: string; value: KeyObject } | undefined;

  constructor(options: { credentials: Credentials; region: string; service: ServiceName }) {
    this.#credentials = options.credentials;
    this.#region = options.region;
    this.#service = options.service;
  }

  /**
   * Throws an S3Error unless the request carries a good signature. `bodySha256` is for services whose clients do not
   * say the body's hash in a header.
   */
  verify(request: SignedRequest, options: { bodySha256?: string } = {}): Payload {
    const claim = readClaim(request);
    this.#checkScope(claim);
    checkTime(claim);
    checkSignedHeaders(request, claim.signedHeaders);

    // API/sig-v4-header-based-auth.html: "The x-amz-content-sha256 header is required for Amazon S3 AWS requests."
    const header = request.headers['x-amz-content-sha256'] as string | undefined;
    const payload = options.bodySha256 ?? header ?? (claim.expires === undefined ? undefined : 'UNSIGNED-PAYLOAD');
    if (payload === undefined) {
      throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
    }
    const scope = `${claim.day}/${claim.region}/${this.#service}/aws4_request`;
    const key = this.#signingKey(claim.day);
    const canonical = canonicalRequest(request, claim.signedHeaders, payload);
    const hash = createHash('sha256').update(canonical, 'latin1').digest('hex');
    const expected = hmac(key, [ALGORITHM, claim.time, scope, hash].join('\n')).toString('hex');
    if (!same(expected, claim.signature)) {
      throw new S3Error('SignatureDoesNotMatch', undefined, {
        fields: { AWSAccessKeyId: claim.accessKeyId, SignatureProvided: claim.signature, CanonicalRequest: canonical },
      });
    }
    return readPayload(payload, { key, time: claim.time, scope, seed: claim.signature });
  }

  #checkScope(claim: Claim): void {
    if (claim.accessKeyId !== this.#credentials.accessKeyId) {
      throw new S3Error('InvalidAccessKeyId', undefined, { fields: { AWSAccessKeyId: claim.accessKeyId } });
    }
    if (claim.region !== this.#region) {
      // S3 names the right region in the error, and SDKs follow it (botocore's S3RegionRedirector).
      throw new S3Error(
        'AuthorizationHeaderMalformed',
        `The authorization header is malformed; the region '${claim.region}' is wrong; expecting '${this.#region}'`,
        { fields: { Region: this.#region }, headers: { 'x-amz-bucket-region': this.#region } },
      );
    }
    if (claim.service !== this.#service) {
      throw new S3Error(
        'AuthorizationHeaderMalformed',
        `The authorization header is malformed; incorrect service "${claim.service}". This endpoint belongs to "${this.#service}".`,
      );
    }
  }

  #signingKey(day: string): KeyObject {
    if (this.#key?.day !== day) {
      const start = createSecretKey(`AWS4${this.#credentials.secretAccessKey}`, 'utf8');
      const steps = [day, this.#region, this.#service, 'aws4_request'];
      const value = steps.reduce((key, step) => createSecretKey(hmac(key, step)), start);
      this.#key = { day, value };
    }
    return this.#key.value;
  }
}

/** API/sig-v4-header-based-auth.html: host and every x-amz-* header must be signed. */
function checkSignedHeaders(request: SignedRequest, signed: readonly string[]): void {
  const missing = Object.keys(request.headers).filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !signed.includes(name),
  );
  if (missing.length > 0) {
    throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
      fields: { HeadersNotSigned: missing.join(', ') },
    });
  }
}

function canonicalRequest(request: SignedRequest, signedHeaders: readonly string[], payload: string): string {
  const query = [...request.query]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`)
    .sort();
  const headers = signedHeaders.map((name) => {
    const value = request.headers[name];
    const text = Array.isArray(value) ? value.join(',') : (value ?? '');
    return `${name}:${text.trim().replace(/ +/g, ' ')}\n`;
  });
  const path = request.path.split('/').map(uriEncode).join('/');
  return [request.method, path, query.join('&'), headers.join(''), signedHeaders.join(';'), payload].join('\n');
}

function readPayload(value: string, chain: ConstructorParameters<typeof ChunkSigner>[0]): Payload {
  if (value === 'UNSIGNED-PAYLOAD') return { kind: 'unsigned' };
  if (value === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') return { kind: 'chunked', signer: undefined };
  if (/^STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)?$/.test(value)) {
    return { kind: 'chunked', signer: new ChunkSigner(chain) };
  }
  if (/^[0-9a-f]{64}$/.test(value)) return { kind: 'hashed', sha256: value };
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
  );
}

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** Each chunk's signature covers the one before it; the first covers the request's (API/sigv4-streaming.html). */
export class ChunkSigner {
  readonly #key: KeyObject;
  readonly #time: string;
  readonly #scope: string;
  #previous: string;

  constructor(chain: { key: KeyObject; time: string; scope: string; seed: string }) {
    this.#key = chain.key;
    this.#time = chain.time;
    this.#scope = chain.scope;
    this.#previous = chain.seed;
  }

  checkChunk(sha256: string, signature: string): void {
    this.#check(['AWS4-HMAC-SHA256-PAYLOAD', this.#time, this.#scope, this.#previous, EMPTY_SHA256, sha256], signature);
  }

  checkTrailer(sha256: string, signature: string): void {
    this.#check(['AWS4-HMAC-SHA256-TRAILER', this.#time, this.#scope, this.#previous, sha256], signature);
  }

  #check(lines: string[], signature: string): void {
    const expected = hmac(this.#key, lines.join('\n')).toString('hex');
    if (!same(expected, signature)) throw new S3Error('SignatureDoesNotMatch');
    this.#previous = expected;
  }
}

/** RFC 3986: everything but the unreserved characters. */
function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Of bytes Node makes such a key first, every time, which takes longer than the rest. */
function hmac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
