/** When requests are made again: as the SDK's standard mode has it, but each request by its own count alone. */
import { StandardRetryStrategy } from '@smithy/core/retry';
import type { RetryErrorInfo, RetryStrategyV2, RetryToken } from '@smithy/types';

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
