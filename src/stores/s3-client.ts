/**
 * How a client of S3 is made: the SDK's standard retries, watched; no byte hashed twice; bodies sent in slices.
 */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import type { Retry } from '../network.ts';
import { type CredentialProvider, refusePlainHttp, type S3Settings } from './aws-settings.ts';
import { OwnRetries } from './retries.ts';
import { createAgents } from './s3-agent.ts';
import { isThrottling } from './s3-errors.ts';
import { isPartBody, SlicedBody } from './sliced-body.ts';

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
    retryStrategy: new OwnRetries(settings.maxAttempts),
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

/**
 * Sends bodies in slices, and lets go of the caller's bytes before the caller hears the answer: a server may answer, an
 * error most often, before it has read the body, and what is still on its way out of the caller's buffer would be read
 * from it when it holds something else, perhaps plain bytes. The connection of such an answer is closed first. This sits
 * below the retries, so every attempt starts from the whole body.
 */
function addSlicedBody(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { body } = args.request as { body?: unknown };
      if (!isPartBody(body) && !ArrayBuffer.isView(body)) return next(args);
      const sliced = new SlicedBody(body);
      try {
        const result = await next({ ...args, request: withBody(args.request, sliced) });
        const answer = result.response as { body: IncomingMessage | Uint8Array };
        const { socket } = answer.body as IncomingMessage;
        // That the last bytes went out may be told a turn after the answer to them.
        await setImmediate();
        if (!sliced.sent || socket.writableLength > 0) {
          answer.body = await buffer(answer.body as IncomingMessage);
          socket.destroy();
        }
        return result;
      } finally {
        sliced.stop();
      }
    },
    { step: 'deserialize', priority: 'low', name: 'sealiftSlicedBody' },
  );
}

/** The same request, of the same class as the SDK checks it, with another body. */
function withBody(request: unknown, body: Readable): unknown {
  return Object.assign(Object.create(Object.getPrototypeOf(request)), request, { body });
}

/** TLS already protects the body, and the checksum and Sealift's own seal outlast it: no SHA-256 over every part. */
function addUnsignedPayload(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { protocol: string; headers: Record<string, string>; body?: unknown };
      if (request.protocol === 'https:' && (ArrayBuffer.isView(request.body) || isPartBody(request.body))) {
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
