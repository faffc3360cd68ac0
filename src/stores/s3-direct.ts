/**
 * Requests that carry an object's bytes, made without the SDK, over connections of our own (http1/): the SDK's way to a
 * socket costs a thread more than sealing a part does, and its start and its garbage as much again (bench/peers.ts). What
 * it knows is kept: the loop of retries is its own, and what comes of an error is judged by the same fields of it.
 */
import { createHash } from 'node:crypto';
import { extendedEncodeURIComponent as encode } from '@smithy/core/protocols';
import { tlsOptions, unbracket } from '../network.ts';
import type { DirectEndpoint } from './aws-settings.ts';
import type { Answer } from './http1/connection.ts';
import { formatHead, type Headers, type RequestHead } from './http1/head.ts';
import { ConnectionPool } from './http1/pool.ts';
import { retry, watchRetries } from './retries.ts';
import type { S3Access } from './s3-client.ts';
import { Signer } from './sigv4.ts';
import { isPartBody, slicesOf } from './sliced-body.ts';
import type { PartBody } from './store.ts';

export interface DirectRequest {
  /** S3's name for it. */
  call: 'PutObject' | 'UploadPart' | 'GetObject';
  method: 'PUT' | 'GET';
  key: string;
  query: Readonly<Record<string, string | undefined>>;
  /** By names in lower case. */
  headers: Readonly<Record<string, string | undefined>>;
  body?: Uint8Array | PartBody | undefined;
}

/** Clocks that differ by more are taken for wrong, as the SDK has it. S3 refuses what is 15 minutes off. */
const CLOCK_TOLERANCE_MS = 240_000;

export class DirectCalls {
  readonly #access: S3Access;
  readonly #pool: ConnectionPool;
  readonly #url: URL;
  readonly #signer: Signer;
  #clockOffsetMs = 0;

  /** Opens no connection yet. */
  constructor(access: S3Access, { url, region, service }: DirectEndpoint) {
    const { credentials, settings } = access;
    const { caBundle, stallMs, maxSockets } = settings;
    this.#access = access;
    this.#url = new URL(url);
    const { protocol, hostname, port } = this.#url;
    const isHttps = protocol === 'https:';
    const address = { host: unbracket(hostname), port: Number(port) || (isHttps ? 443 : 80) };
    const tls = isHttps ? tlsOptions(caBundle) : undefined;
    this.#pool = new ConnectionPool({ ...address, tls, stallMs }, { maxCount: maxSockets });
    this.#signer = new Signer({ service, region, credentials });
  }

  /**
   * Resolves to an answer of success. Rejects as the SDK does: with what Node says of the network, or with S3's own error
   * as `name`, `message`, `$metadata` and `$response`.
   */
  send(request: DirectRequest, signal: AbortSignal | undefined): Promise<Answer> {
    const { settings, onRetry = () => {} } = this.#access;
    const attempt = watchRetries(request.call, onRetry, () => this.#attempt(request, signal));
    return retry(attempt, { maxAttempts: settings.maxAttempts, signal });
  }

  async #attempt(request: DirectRequest, signal: AbortSignal | undefined): Promise<Answer> {
    const clockOffsetMs = this.#clockOffsetMs;
    const head = formatHead(await this.#signed(request, clockOffsetMs));
    const answer = await this.#pool.exchange({ head, body: request.body && slicesOf(request.body), signal });
    // S3 may find out after it has begun to answer: then the error stands in an answer of success.
    const isError = answer.words?.includes('<Error>') === true;
    if (answer.status < 300 && !isError) return answer;
    throw await refusalOf(answer, { clockSkewCorrected: this.#followClock(answer.headers, clockOffsetMs) });
  }

  async #signed({ method, key, query, headers, body }: DirectRequest, clockOffsetMs: number): Promise<RequestHead> {
    const { protocol, host, pathname } = this.#url;
    const path = `${pathname.replace(/\/$/, '')}/${key.split('/').map(encode).join('/')}`;
    const fixed = { host, 'user-agent': 'sealift', 'x-amz-content-sha256': payloadHash(protocol, body) };
    const size = body && { 'content-length': String(body.byteLength) };
    const pairs = Object.entries(given(query)).map(([name, value]) => [encode(name), encode(value)] as const);
    const request = { method, path, query: pairs, headers: given({ ...headers, ...fixed, ...size }) };
    const signed = await this.#signer.sign(request, Date.now() + clockOffsetMs);
    const target = pairs.length === 0 ? path : `${path}?${pairs.map((pair) => pair.join('=')).join('&')}`;
    return { method, target, headers: signed };
  }

  close(): void {
    this.#pool.close();
  }

  /**
   * Signs by the server's clock from now on where the one that a request was signed by is wrong. Returns whether it was: for
   * every request that was under way with it, not only for the first that hears so.
   */
  #followClock({ date = '' }: Headers, signedOffsetMs: number): boolean {
    const offsetMs = Date.parse(date) - Date.now();
    const isWrong = Math.abs(offsetMs - signedOffsetMs) >= CLOCK_TOLERANCE_MS;
    if (isWrong) this.#clockOffsetMs = offsetMs;
    return isWrong;
  }
}

/** What S3 says of a request it refuses, as the SDK tells it. */
async function refusalOf(
  { status, headers, body, words }: Answer,
  metadata: { clockSkewCorrected: boolean },
): Promise<Error> {
  const { Code, Message, ...more } = await errorIn(words ?? (await body.text()));
  return Object.assign(new Error(Message ?? 'UnknownError'), more, {
    name: Code ?? 'Unknown',
    // The status that the SDK gives an error in an answer of success.
    $metadata: { ...metadata, httpStatusCode: status < 300 ? 503 : status, requestId: headers['x-amz-request-id'] },
    $response: { statusCode: status, headers },
  });
}

/** The fields of S3's error. None of words that are not S3's: a proxy may say anything, and cut it off. */
async function errorIn(words: string): Promise<{ Code?: string; Message?: string }> {
  const { XMLParser } = await import('fast-xml-parser');
  try {
    return new XMLParser({ parseTagValue: false, htmlEntities: true }).parse(words).Error ?? {};
  } catch {
    return {};
  }
}

/** TLS already protects the body, and the checksum and Sealift's own seal outlast it: no SHA-256 over every part. */
function payloadHash(protocol: string, body: DirectRequest['body']): string {
  if (protocol === 'https:' || isPartBody(body)) return 'UNSIGNED-PAYLOAD';
  return createHash('sha256')
    .update(body ?? '')
    .digest('hex');
}

function given(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const pairs = Object.entries(fields).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries(pairs);
}
