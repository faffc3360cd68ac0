/**
 * The KMS token bucket: in any second at most the given rate and 250 ms of it, and over time the rate.
 *
 * A bottleneck reservoir holds the permits. Bottleneck passes some hundreds of jobs a second, so they are not taken
 * from it one by one: a lease takes 50 ms' worth at once, and is spent here, evenly, at the pace in force. The pace is
 * the given rate until the other side throttles: then it halves, and climbs back by a tenth of the given rate in every
 * second of success.
 *
 * The pace is what bounds a window. A take is due when all before it have had their time, and time not used is kept
 * for 150 ms and no longer, so T seconds pass at most (T + 0.15) x rate + 1 permits; what is left of the 250 ms is for
 * calls that bunch on their way. The reservoir only has to keep up: bottleneck never makes up for a refill that its
 * timer brought late, so a refill is 300 ms' worth every 250 ms.
 *
 * Bottleneck's `updateSettings` is not used: it stops the reservoir's refills for good (SGrondin/bottleneck#185).
 */
import Bottleneck from 'bottleneck';
import { SealiftError } from '../errors.ts';
import type { Limiter } from './limiter.ts';

const REFILL_SECONDS = 0.3;
const LEASE_SECONDS = 0.05;
/** A busy machine wakes us late; this much of what that cost is caught up. */
const CATCH_UP_SECONDS = 0.15;

/** Throttling tells little about the size of the quota, so one second of it halves the pace once. */
const THROTTLE_WINDOW_MS = 1000;
const CLIMB_SECONDS = 10;

/** The pace does not fall below this, or below the given rate where that is less: a limiter that stops never learns. */
const LOWEST_PACE = 1;

/** Sleeps are cut so that neither an abort nor `close` leaves a long timer behind. */
const LONGEST_SLEEP_MS = 50;

interface Waiter {
  count: number;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

/** A limiter for `ratePerSecond` KMS calls. Rates below one a second work. Throws `bad-option` for a rate not above 0. */
export function kmsLimiter(options: { ratePerSecond: number }): Limiter {
  const { ratePerSecond } = options;
  if (!(ratePerSecond > 0) || !Number.isFinite(ratePerSecond)) {
    throw new SealiftError('bad-option', `The KMS rate must be a number above 0, not ${ratePerSecond}`, {
      hint: 'Give --kms-rate in calls a second, for example --kms-rate 200.',
    });
  }
  return new TokenBucket(ratePerSecond);
}

class TokenBucket implements Limiter {
  readonly #fullRate: number;
  readonly #reservoir: Bottleneck;
  #pace: number;

  /** Permits taken from the reservoir and not yet spent. */
  #leased = 0;
  /** When the next take may go, on the monotonic clock. */
  #dueMs = performance.now();

  /** First come, first served. Bounded by the caller's concurrency. */
  readonly #waiters = new Set<Waiter>();
  #serving = false;
  #closed = false;

  #throttledMs = Number.NEGATIVE_INFINITY;
  #halvedMs = Number.NEGATIVE_INFINITY;
  #climbedMs = performance.now();

  constructor(ratePerSecond: number) {
    this.#fullRate = ratePerSecond;
    this.#pace = ratePerSecond;
    const refill = ratePerSecond * REFILL_SECONDS;
    const capacity = Math.max(1, refill);
    this.#reservoir = new Bottleneck({
      reservoir: capacity,
      reservoirIncreaseMaximum: capacity,
      reservoirIncreaseAmount: refill,
      // Bottleneck looks every 250 ms whether so much time has passed. Asked for all 250, it would now and then find
      // 249 and skip a refill.
      reservoirIncreaseInterval: 200,
    });
  }

  get ratePerSecond(): number {
    return this.#pace;
  }

  async take(options: { count?: number; signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { count = 1, signal } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw closedError();
    if (this.#waiters.size === 0 && this.#leased >= count && this.#waitMs() <= 0) {
      this.#spend(count);
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { count, resolve, reject };
    const onAbort = () => {
      this.#waiters.delete(waiter);
      reject(signal!.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiters.add(waiter);
    void this.#serve();
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  throttled(): void {
    const now = performance.now();
    this.#throttledMs = now;
    if (now - this.#halvedMs < THROTTLE_WINDOW_MS) return;
    this.#halvedMs = now;
    this.#pace = Math.max(this.#pace / 2, Math.min(LOWEST_PACE, this.#fullRate));
  }

  succeeded(): void {
    const now = performance.now();
    // A second that saw throttling was not one of success, though some calls got through.
    if (this.#pace < this.#fullRate && now - this.#throttledMs >= THROTTLE_WINDOW_MS) {
      const seconds = Math.min(now - this.#climbedMs, THROTTLE_WINDOW_MS) / 1000;
      this.#pace = Math.min(this.#fullRate, this.#pace + (this.#fullRate / CLIMB_SECONDS) * seconds);
    }
    this.#climbedMs = now;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.reject(closedError());
    this.#waiters.clear();
    await this.#reservoir.stop({ dropWaitingJobs: true });
    await this.#reservoir.disconnect();
  }

  /** Serves waiters in order until none is left. One at a time runs; a waiter may abort while it is being served. */
  async #serve(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (const waiter of this.#waiters) await this.#serveOne(waiter);
    } catch (error) {
      // Whoever waits hears of it; who comes later tries anew.
      for (const waiter of this.#waiters) waiter.reject(error);
      this.#waiters.clear();
    } finally {
      this.#serving = false;
    }
  }

  async #serveOne(waiter: Waiter): Promise<void> {
    while (this.#waiters.has(waiter) && this.#leased < waiter.count) await this.#lease();
    while (this.#waiters.has(waiter) && this.#waitMs() > 0) await sleep(Math.min(this.#waitMs(), LONGEST_SLEEP_MS));
    if (!this.#waiters.delete(waiter)) return;
    this.#spend(waiter.count);
    waiter.resolve();
  }

  async #lease(): Promise<void> {
    const weight = Math.max(1, Math.floor(this.#pace * LEASE_SECONDS));
    try {
      await this.#reservoir.schedule({ weight }, async () => {});
      this.#leased += weight;
    } catch (error) {
      // Closing drops the lease; its waiters have been rejected.
      if (!this.#closed) throw error;
    }
  }

  #waitMs(): number {
    return this.#dueMs - performance.now();
  }

  #spend(count: number): void {
    this.#leased -= count;
    const earliest = performance.now() - CATCH_UP_SECONDS * 1000;
    this.#dueMs = Math.max(this.#dueMs, earliest) + (count / this.#pace) * 1000;
  }
}

function closedError(): SealiftError {
  return new SealiftError('interrupted', 'The KMS limiter is closed');
}

/** Keeps the process alive: someone is waiting for a permit. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(1, ms)));
}
