/**
 * How a client of S3 is made: the SDK's standard retries, watched; no byte hashed twice; bodies sent in slices.
 */
import type { IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import type { Retry } from '../network.ts';
import type { CredentialProvider, S3Settings } from './aws-settings.ts';
import { OwnRetries, watchRetries } from './retries.ts';
import { createAgent, refusePlainHttp } from './s3-agent.ts';
import { isPartBody, SlicedBody } from './sliced-body.ts';

export interface S3Access {
  settings: S3Settings;
  credentials: CredentialProvider;
  /** Called before each attempt after the first. */
  onRetry?: ((retry: Retry) => void) | undefined;
}

/** Throws `plain-http` or `bad-option`; opens no connection yet. */
export function createS3Client(access: S3Access): S3Client {
  const { settings, credentials, onRetry = () => {} } = access;
  refusePlainHttp(settings);
  const agent = createAgent(settings);
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
    requestHandler: { httpAgent: agent, httpsAgent: agent as HttpsAgent },
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
    (next, context) => watchRetries(context.commandName?.replace(/Command$/, '') ?? '', onRetry, next),
    { step: 'deserialize', priority: 'high', name: 'sealiftRetryWatch' },
  );
}
