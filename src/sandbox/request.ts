/** Which bucket and key a request is about: both addressing styles of S3 (userguide/VirtualHosting.html). */
import type { IncomingMessage } from 'node:http';
import { S3Error } from './s3/errors.ts';

export interface Located {
  /** Decoded, from the first slash on. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Empty where the request is about no bucket. */
  readonly bucket: string;
  /** Empty where the request is about no object. */
  readonly key: string;
  /** Scheme and host as the client wrote them. */
  readonly origin: string;
}

export function locate(request: IncomingMessage, options: { secure: boolean }): Located {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const path = decodePath(mark < 0 ? url : url.slice(0, mark));
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const host = request.headers.host ?? 'localhost';
  const origin = `${options.secure ? 'https' : 'http'}://${host}`;
  // `bucket.localhost` is the virtual-hosted style: browsers and resolvers send all of .localhost here (RFC 6761).
  const virtual = /^(.+)\.localhost(?::\d+)?$/.exec(host);
  if (virtual !== null) return { path, query, origin, bucket: virtual[1]!, key: path.slice(1) };
  const slash = path.indexOf('/', 1);
  if (slash < 0) return { path, query, origin, bucket: path.slice(1), key: '' };
  return { path, query, origin, bucket: path.slice(1, slash), key: path.slice(slash + 1) };
}

/** Percent-encoding goes, and nothing else: S3 resolves no `..` and joins no slashes. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new S3Error('InvalidURI');
  }
}
