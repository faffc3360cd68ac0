/**
 * Signature Version 4, the server's side: header signatures, presigned URLs, and the chain of chunk signatures
 * ("Authenticating Requests (AWS Signature Version 4)", API/sig-v4-authenticating-requests.html).
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { S3Error } from './s3/errors.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface SignedRequest {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** What a signature says about the body. */
export type Payload =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'hashed'; readonly sha256: string }
  | { readonly kind: 'chunked'; readonly signer: ChunkSigner | undefined };

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** API/ErrorResponses.html, RequestTimeTooSkewed; the limit is 15 minutes (API/RESTAuthentication.html). */
const MAX_SKEW_MS = 15 * 60_000;
/** API/sigv4-query-string-auth.html, X-Amz-Expires: at most seven days. */
const MAX_EXPIRES_S = 604_800;

export class Verifier {
  readonly #credentials: Credentials;
  readonly #region: string;
  readonly #service: 's3' | 'kms';
  /** The signing key is the same for a whole day. */
  #key: { day: string; value: Buffer } | undefined;

  constructor(options: { credentials: Credentials; region: string; service: 's3' | 'kms' }) {
    this.#credentials = options.credentials;
    this.#region = options.region;
    this.#service = options.service;
  }

  /**
   * Throws an S3Error unless the request carries a good signature. `bodySha256` is for services whose clients do not
   * say the body's hash in a header.
   */
  verify(request: SignedRequest, options: { bodySha256?: string } = {}): Payload {
    const presigned = request.query.has('X-Amz-Signature');
    const claim = presigned ? readQueryClaim(request) : readHeaderClaim(request);
    this.#checkScope(claim);
    checkTime(claim);
    checkSignedHeaders(request, claim.signedHeaders);

    // API/sig-v4-header-based-auth.html: "The x-amz-content-sha256 header is required for Amazon S3 AWS requests."
    const header = request.headers['x-amz-content-sha256'] as string | undefined;
    const payload = options.bodySha256 ?? header ?? (presigned ? 'UNSIGNED-PAYLOAD' : undefined);
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

  #signingKey(day: string): Buffer {
    if (this.#key?.day !== day) {
      const start = Buffer.from(`AWS4${this.#credentials.secretAccessKey}`);
      const value = [day, this.#region, this.#service, 'aws4_request'].reduce(hmac, start);
      this.#key = { day, value };
    }
    return this.#key.value;
  }
}

/** What the caller claims to have signed. */
interface Claim {
  readonly accessKeyId: string;
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** `20260102T030405Z`. */
  readonly time: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** Seconds a presigned URL is good for. */
  readonly expires: number | undefined;
}

function readHeaderClaim(request: SignedRequest): Claim {
  const authorization = request.headers.authorization;
  if (authorization?.startsWith('AWS ') || request.query.has('AWSAccessKeyId')) {
    // What Regions of after January 2014 say to Signature Version 2 (API/sig-v4-authenticating-requests.html).
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  // Anonymous callers own nothing here.
  if (authorization === undefined) throw new S3Error('AccessDenied');
  const match = /^AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]+)$/.exec(
    authorization,
  );
  if (match === null) throw new S3Error('AuthorizationHeaderMalformed');
  const time = (request.headers['x-amz-date'] as string | undefined) ?? compactTime(request.headers.date);
  return {
    ...readCredential(match[1]!),
    time,
    signedHeaders: match[2]!.split(';'),
    signature: match[3]!,
    expires: undefined,
  };
}

function readQueryClaim(request: SignedRequest): Claim {
  const field = (name: string): string => {
    const value = request.query.get(name);
    if (value === null)
      throw new S3Error('AuthorizationQueryParametersError', `Query-string authentication requires ${name}.`);
    return value;
  };
  if (field('X-Amz-Algorithm') !== ALGORITHM) throw new S3Error('AuthorizationQueryParametersError');
  const expires = Number(field('X-Amz-Expires'));
  if (!(expires >= 0 && expires <= MAX_EXPIRES_S)) {
    throw new S3Error('AuthorizationQueryParametersError', 'X-Amz-Expires must be less than a week (in seconds)');
  }
  return {
    ...readCredential(field('X-Amz-Credential')),
    time: field('X-Amz-Date'),
    signedHeaders: field('X-Amz-SignedHeaders').split(';'),
    signature: field('X-Amz-Signature'),
    expires,
  };
}

function readCredential(text: string): Pick<Claim, 'accessKeyId' | 'day' | 'region' | 'service'> {
  const [accessKeyId, day, region, service, end] = text.split('/');
  if (!accessKeyId || !day || !region || !service || end !== 'aws4_request') {
    throw new S3Error(
      'AuthorizationHeaderMalformed',
      'The authorization header is malformed; the Credential is mal-formed',
    );
  }
  return { accessKeyId, day, region, service };
}

function checkTime(claim: Claim): void {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.time);
  if (match === null || !claim.time.startsWith(claim.day)) {
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  }
  const [, year, month, day, hour, minute, second] = match;
  const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const now = Date.now();
  if (claim.expires !== undefined) {
    if (now > signedAt + claim.expires * 1000) throw new S3Error('AccessDenied', 'Request has expired');
    if (signedAt > now + MAX_SKEW_MS) throw new S3Error('AccessDenied', 'Request is not valid yet');
  } else if (Math.abs(now - signedAt) > MAX_SKEW_MS) {
    throw new S3Error('RequestTimeTooSkewed');
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
  readonly #key: Buffer;
  readonly #time: string;
  readonly #scope: string;
  #previous: string;

  constructor(chain: { key: Buffer; time: string; scope: string; seed: string }) {
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

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

/** An HTTP date in the form of x-amz-date. */
function compactTime(date: string | undefined): string {
  const time = Date.parse(date ?? '');
  return Number.isNaN(time) ? '' : `${new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
}
