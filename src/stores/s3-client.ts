/**
 * How a client of S3 is made: one keep-alive agent, the SDK's standard retries, no byte hashed twice, and a stall
 * deadline on every connection.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Agent, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { S3Client } from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';
import { KiB } from '../units.ts';
import { type CredentialProvider, refusePlainHttp, type S3Settings } from './aws-settings.ts';
import { isThrottling } from './s3-errors.ts';

/** One attempt failed and the next is being made. */
export interface Retry {
  /** S3's name of the call, for example `UploadPart`. */
  call: string;
  throttled: boolean;
  reason: string;
}

/**
 * Errors the SDK does not try again although the same bytes may well succeed: they were damaged on the way, or another
 * writer was in the middle of a conditional write. (A conflict on Complete means a new upload, so it is not here.)
 */
const ALSO_RETRIED: Readonly<Record<string, readonly string[]>> = {
  PutObject: ['BadDigest', 'XAmzContentSHA256Mismatch', 'ConditionalRequestConflict'],
  UploadPart: ['BadDigest', 'XAmzContentSHA256Mismatch'],
};

export interface S3Access {
  settings: S3Settings;
  credentials: CredentialProvider;
  /** Called before each attempt after the first. */
  onRetry?: ((retry: Retry) => void) | undefined;
}

/** Throws `plain-http` or `bad-option`; opens no connection yet. */
export function createS3Client({ settings, credentials, onRetry = () => {} }: S3Access): S3Client {
  refusePlainHttp(settings);
  const client = new S3Client({
    region: settings.region,
    credentials,
    forcePathStyle: settings.forcePathStyle,
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    maxAttempts: settings.maxAttempts,
    retryMode: 'standard',
    // A redirect would carry credentials to a host we did not choose.
    followRegionRedirects: false,
    // With `Expect: 100-continue` the SDK opens a new connection for every part.
    expectContinueHeader: false,
    // Every part comes with its checksum; answers are authenticated by what is inside.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: createAgents(settings),
  });
  addUnsignedPayload(client);
  addRetryWatch(client, onRetry);
  addSlicedBody(client);
  return client;
}

/** Bytes of a body handed to the socket at once. */
const SLICE_SIZE = 256 * KiB;

/**
 * A body written whole is sealed whole by TLS, into as much memory again, before the first byte of it goes out. In
 * slices it never is. Below the retries, so that every attempt starts from the whole body.
 */
function addSlicedBody(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { body?: unknown };
      const { body } = request;
      if (!ArrayBuffer.isView(body) || body.byteLength <= SLICE_SIZE) return next(args);
      const sliced = Object.assign(Object.create(Object.getPrototypeOf(request)), request, {
        body: Readable.from(slicesOf(body), { objectMode: false, highWaterMark: SLICE_SIZE }),
      });
      return next({ ...args, request: sliced });
    },
    { step: 'deserialize', priority: 'low', name: 'sealiftSlicedBody' },
  );
}

function* slicesOf(body: ArrayBufferView): Generator<Buffer> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  for (let offset = 0; offset < bytes.length; offset += SLICE_SIZE) yield bytes.subarray(offset, offset + SLICE_SIZE);
}

/** TLS already protects the body, and the checksum and Sealift's own seal outlast it: no SHA-256 over every part. */
function addUnsignedPayload(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { protocol: string; headers: Record<string, string>; body?: unknown };
      if (request.protocol === 'https:' && ArrayBuffer.isView(request.body)) {
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      }
      return next(args);
    },
    { step: 'build', name: 'sealiftUnsignedPayload' },
  );
}

/** Runs once an attempt: tells the caller about retries, and the SDK which other errors to try again. */
function addRetryWatch(client: S3Client, onRetry: (retry: Retry) => void): void {
  client.middlewareStack.add(
    (next, context) => {
      const call = context.commandName?.replace(/Command$/, '') ?? '';
      let failure: Error | undefined;
      return async (args) => {
        if (failure) onRetry({ call, throttled: isThrottling(failure), reason: failure.message || failure.name });
        try {
          return await next(args);
        } catch (thrown) {
          failure = thrown as Error;
          if (ALSO_RETRIED[call]?.includes(failure.name)) Object.assign(failure, { $retryable: {} });
          throw failure;
        }
      };
    },
    { step: 'deserialize', priority: 'high', name: 'sealiftRetryWatch' },
  );
}

function createAgents({
  endpoint,
  caBundle,
  stallMs,
  maxSockets,
}: S3Settings): { httpAgent: Agent } | { httpsAgent: HttpsAgent } {
  const options = { keepAlive: true, maxSockets, timeout: stallMs };
  if (URL.parse(endpoint ?? '')?.protocol === 'http:')
    return { httpAgent: withStallDeadline(new HttpAgent(options), stallMs) };
  const trust = caBundle === undefined ? {} : { secureContext: trustAlso(caBundle) };
  return { httpsAgent: withStallDeadline(new HttpsAgent({ ...options, ...trust }), stallMs) };
}

/**
 * Gives up connections on which no byte moves either way: while connecting, sending, waiting for an answer or reading
 * one. Node's inactivity timer, set on the socket by the agent's `timeout`, sees all of these (a body being sent counts
 * by what the kernel took, so a stall is noticed after one to two `stallMs`). A reader that is slow to take what has
 * arrived pauses the socket: that is no stall, and the clock starts anew when it comes back. ETIMEDOUT is what the SDK
 * takes for transient, and tries again.
 */
function withStallDeadline<AnyAgent extends Agent>(agent: AnyAgent, stallMs: number): AnyAgent {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = connect(options, callback) as Socket;
    socket.on('timeout', () => {
      if (socket.isPaused()) socket.once('resume', () => socket.setTimeout(stallMs));
      else socket.destroy(Object.assign(new Error(`No byte moved for ${stallMs} ms`), { code: 'ETIMEDOUT' }));
    });
    return socket;
  };
  return agent;
}

/** AWS_CA_BUNDLE, which the SDK for JavaScript does not read. */
function trustAlso(caBundle: string): SecureContext {
  try {
    const bundle = readFileSync(caBundle, 'utf8');
    // A context takes nonsense without a word; this reads the first certificate, and throws.
    new X509Certificate(bundle);
    return createSecureContext({ ca: [...getCACertificates('default'), bundle] });
  } catch (thrown) {
    throw new SealiftError('bad-option', `AWS_CA_BUNDLE cannot be used: ${(thrown as Error).message}.`, {
      hint: 'It must name a readable file of certificates in PEM form.',
      cause: thrown,
    });
  }
}
