/**
 * One call to KMS, made until it is answered: every attempt takes a permit of the limiter, which hears how it went.
 * The SDK would retry too, without asking the limiter, so the client is made with one attempt (kms-client.ts).
 *
 * Throttled or failing calls wait for a random part of a time that doubles, so that many callers do not come back
 * together. Ten attempts take about ten seconds of waiting on average and twenty at most: time for the limiter to find
 * a rate a thousand times below the one it began with, and for a restarted endpoint to come back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KMSClient } from '@aws-sdk/client-kms';
import { SealiftError } from '../errors.ts';
import type { Limiter } from '../limits/limiter.ts';
import type { Retry } from '../network.ts';
import type { KeyringRequest } from './keyring.ts';
import { isThrottling, isTransient, type KmsQuestion, kmsError, requestIdOf } from './kms-errors.ts';

const DEFAULT_MAX_ATTEMPTS = 10;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;

export interface KmsAccess {
  /** Made with one attempt, by `createKmsClient`. */
  client: KMSClient;
  limiter: Limiter;
  /** Called before each wait for another attempt. */
  onRetry?: ((retry: Retry) => void) | undefined;
  /** Attempts a call, the first included. Default 10. */
  maxAttempts?: number | undefined;
}

/** Rejects with a SealiftError; once the signal has aborted, with `interrupted` or the signal's own SealiftError. */
export async function callKms<Answer extends Parameters<typeof requestIdOf>[0]>(
  { client, limiter, onRetry, maxAttempts = DEFAULT_MAX_ATTEMPTS }: KmsAccess,
  asked: KmsQuestion,
  send: (client: KMSClient, options: { abortSignal?: AbortSignal }) => Promise<Answer>,
  { signal, onCall }: Pick<KeyringRequest, 'signal' | 'onCall'>,
): Promise<Answer> {
  const options = signal === undefined ? {} : { abortSignal: signal };
  try {
    for (let attempt = 1; ; attempt++) {
      await limiter.take({ signal });
      try {
        const answer = await send(client, options);
        onCall?.(requestIdOf(answer));
        limiter.succeeded();
        return answer;
      } catch (error) {
        onCall?.(requestIdOf(error as object));
        const throttled = isThrottling(error);
        if (throttled) limiter.throttled();
        if (!(throttled || isTransient(error)) || attempt >= maxAttempts) throw error;
        onRetry?.({ call: asked.operation, reason: kmsError(error, asked).message, throttled });
        await sleep(delayMs(attempt), undefined, { signal });
      }
    }
  } catch (error) {
    if (signal?.aborted) throw SealiftError.interrupted(signal, `KMS ${asked.operation} ${asked.keyId}`);
    throw kmsError(error, asked);
  }
}

/** Random up to 100 ms after the first attempt, twice that after the second, at most 5 s. */
function delayMs(attempt: number): number {
  return Math.random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
}
