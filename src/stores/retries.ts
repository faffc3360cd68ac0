/** When requests are made again: as the SDK's standard mode has it, but each request by its own count alone. */
import { once } from 'node:events';
import { getRetryAfterHint, isThrottlingError, isTransientError, StandardRetryStrategy } from '@smithy/core/retry';
import type { RetryErrorInfo, RetryErrorType, RetryStrategyV2, RetryToken, SdkError } from '@smithy/types';
import type { Retry } from '../network.ts';
import { isThrottling } from './s3-errors.ts';

/**
 * The SDK has all requests of a client share one quota of retries, some 35 after broken connections and 100 after
 * throttling, which successes fill again slowly: a load balancer that restarts under two dozen lanes would fail a job
 * that eight attempts each carry through. How much is sent to a server in trouble is for the lanes to say, which are
 * fewer at once when it throttles.
 */
export class OwnRetries implements RetryStrategyV2 {
  readonly mode = 'standard';
  readonly #maxAttempts: number;
  readonly #quotas = new WeakMap<RetryToken, StandardRetryStrategy>();

  constructor(maxAttempts: number) {
    this.#maxAttempts = maxAttempts;
  }

  async acquireInitialRetryToken(scope: string): Promise<RetryToken> {
    const quota = new StandardRetryStrategy(this.#maxAttempts);
    return this.#remember(await quota.acquireInitialRetryToken(scope), quota);
  }

  /** Resolves after the pause that the SDK's backoff says; rejects when the request has had its attempts. */
  async refreshRetryTokenForRetry(token: RetryToken, error: RetryErrorInfo): Promise<RetryToken> {
    const quota = this.#quotas.get(token)!;
    return this.#remember(await quota.refreshRetryTokenForRetry(token as never, error), quota);
  }

  recordSuccess(): void {}

  #remember(token: RetryToken, quota: StandardRetryStrategy): RetryToken {
    this.#quotas.set(token, quota);
    return token;
  }
}

/**
 * Errors the SDK does not try again although the same bytes may well succeed: they were damaged on the way, or another
 * writer was in the middle of a conditional write. (A conflict on Complete means a new upload, so it is not here.)
 */
const ALSO_RETRIED: Readonly<Record<string, readonly string[]>> = {
  PutObject: ['BadDigest', 'XAmzContentSHA256Mismatch', 'ConditionalRequestConflict'],
  UploadPart: ['BadDigest', 'XAmzContentSHA256Mismatch'],
};

/** The attempt, which is to be called for each there is: tells the caller of retries, and marks what else is to be retried. */
export function watchRetries<Args extends unknown[], Answer>(
  call: string,
  onRetry: (retry: Retry) => void,
  attempt: (...args: Args) => Promise<Answer>,
): (...args: Args) => Promise<Answer> {
  let failure: Error | undefined;
  return async (...args) => {
    if (failure) onRetry({ call, throttled: isThrottling(failure), reason: failure.message || failure.name });
    try {
      return await attempt(...args);
    } catch (thrown) {
      failure = thrown as Error;
      if (ALSO_RETRIED[call]?.includes(failure.name)) Object.assign(failure, { $retryable: {} });
      throw failure;
    }
  };
}

/** Makes an attempt until it succeeds, or fails for good: as the SDK does, of what is sent without it. */
export async function retry<Answer>(
  attempt: () => Promise<Answer>,
  { maxAttempts, signal }: { maxAttempts: number; signal: AbortSignal | undefined },
): Promise<Answer> {
  const retries = new StandardRetryStrategy(maxAttempts);
  let token = await retries.acquireInitialRetryToken('');
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = thrown as SdkError;
      error.$metadata = { ...error.$metadata, attempts };
      // An interrupted connection breaks as any other does, and an attempt after it would wait for its turn.
      if (signal?.aborted) throw error;
      const retryAfterHint = getRetryAfterHint(error.$response);
      const info = { error, errorType: typeOf(error), ...(retryAfterHint ? { retryAfterHint } : {}) };
      const next = retries.refreshRetryTokenForRetry(token, info);
      token = await unlessAborted(next, signal).catch(() => Promise.reject(error));
    }
  }
}

function typeOf(error: SdkError): RetryErrorType {
  if (isThrottlingError(error)) return 'THROTTLING';
  return isTransientError(error) ? 'TRANSIENT' : 'CLIENT_ERROR';
}

/** Rejects when the signal aborts before. What was waited for goes on then, and nobody hears of it. */
async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return promise;
  const done = new AbortController();
  try {
    const aborted = once(signal, 'abort', { signal: done.signal }).then(() => Promise.reject(signal.reason));
    return await Promise.race([promise, aborted]);
  } finally {
    done.abort();
  }
}
