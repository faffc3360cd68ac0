/**
 * What a request claims about its signature, in a header (API/sig-v4-header-based-auth.html) or in the query of a
 * presigned URL (API/sigv4-query-string-auth.html), and whether it comes at its time. Nothing here proves the claim.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { S3Error } from './s3/errors.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
/** API/ErrorResponses.html, RequestTimeTooSkewed; the limit is 15 minutes (API/RESTAuthentication.html). */
const MAX_SKEW_MS = 15 * 60_000;
/** API/sigv4-query-string-auth.html, X-Amz-Expires: at most seven days. */
const MAX_EXPIRES_S = 604_800;

export interface SignedRequest {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** What the caller claims to have signed. */
export interface Claim {
  readonly accessKeyId: string;
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** `20260102T030405Z`. */
  readonly time: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** Seconds a presigned URL is good for; undefined where the signature is in a header. */
  readonly expires: number | undefined;
}

export function readClaim(request: SignedRequest): Claim {
  return request.query.has('X-Amz-Signature') ? readQueryClaim(request) : readHeaderClaim(request);
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

export function checkTime(claim: Claim): void {
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

/** An HTTP date in the form of x-amz-date. */
function compactTime(date: string | undefined): string {
  const time = Date.parse(date ?? '');
  return Number.isNaN(time) ? '' : `${new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
}
