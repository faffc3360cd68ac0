/**
 * Permits spent evenly, at the pace in force. Where they come from is the supply's business: a reservoir of this
 * process's own (token-bucket.ts), or a share of what many processes have (shared.ts).
 *
 * A take is due when all before it have had their time, and time not used is kept for a moment and no longer. The pace is
 * the supply's rate until the other side throttles: then it halves, and climbs back by a tenth in every second of success.
 */
import { SealiftError } from '../errors.ts';
import type { Limiter } from './limiter.ts';

export interface Supply {
  /** Permits a second there are of it, for now; 0 where there are none. */
  readonly ratePerSecond: number;
  /** Whether there are `count` permits, apart from the pace. */
  has(count: number): boolean;
  /** Resolves when it is worth asking `has` again. `pace` is how fast they go. Rejects where none will come. */
  more(pace: number): Promise<void>;
  /** Somebody waits for his turn: more would be used. */
  wanted(): void;
  spend(count: number): void;
  close(): Promise<void>;
}

export interface Pacing {
  supply: Supply;
  /** What the supply gives at most: the pace is never throttled below one a second of it. */
  fullRate: number;
  /** A busy machine wakes us late; this much of what that cost is caught up. */
  catchUpSeconds: number;
}

/** Throttling tells little about the size of the quota, so one second of it halves the pace once. */
const THROTTLE_WINDOW_MS = 1000;
const CLIMB_SECONDS = 10;

/** The pace does not fall below this, or below the given rate where that is less: a limiter that stops never learns. */
const LOWEST_PACE = 1;

/** Sleeps are cut so that neither an abort, nor `close`, nor another rate leaves a long timer behind. */
const LONGEST_SLEEP_MS = 50;

interface Waiter {
  count: number;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

export class PacedLimiter implements Limiter {
  readonly #supply: Supply;
  readonly #leastFactor: number;
  readonly #catchUpSeconds: number;
  /** Of the supply's rate, what throttling has left. */
  #factor = 1;

  /** Permits spent before their time; below zero what may be caught up. As of `#debtMs`, on the monotonic clock. */
  #debt = 0;
  #debtMs = performance.now();

  /** First come, first served. Bounded by the caller's concurrency. */
  readonly #waiters = new Set<Waiter>();
  #serving = false;
  #closed = false;

  #throttledMs = Number.NEGATIVE_INFINITY;
  #halvedMs = Number.NEGATIVE_INFINITY;
  #climbedMs = performance.now();

  constructor({ supply, fullRate, catchUpSeconds }: Pacing) {
    this.#supply = supply;
    this.#leastFactor = Math.min(1, LOWEST_PACE / fullRate);
    this.#catchUpSeconds = catchUpSeconds;
  }

  get ratePerSecond(): number {
    return this.#supply.ratePerSecond * this.#factor;
  }

  async take(options: { count?: number; signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { count = 1, signal } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw closedError();
    if (this.#waiters.size === 0 && this.#supply.has(count) && this.#waitMs() <= 0) {
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
    this.#setFactor(Math.max(this.#factor / 2, this.#leastFactor));
  }

  succeeded(): void {
    const now = performance.now();
    // A second that saw throttling was not one of success, though some calls got through.
    if (this.#factor < 1 && now - this.#throttledMs >= THROTTLE_WINDOW_MS) {
      const seconds = Math.min(now - this.#climbedMs, THROTTLE_WINDOW_MS) / 1000;
      this.#setFactor(Math.min(1, this.#factor + seconds / CLIMB_SECONDS));
    }
    this.#climbedMs = now;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.reject(closedError());
    this.#waiters.clear();
    await this.#supply.close();
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
    while (this.#waiters.has(waiter)) {
      const waitMs = this.#waitMs();
      if (!this.#supply.has(waiter.count)) {
        await this.#supply.more(this.ratePerSecond);
      } else if (waitMs > 0) {
        this.#supply.wanted();
        await sleep(Math.min(waitMs, LONGEST_SLEEP_MS));
      } else {
        this.#waiters.delete(waiter);
        this.#spend(waiter.count);
        waiter.resolve();
      }
    }
  }

  #setFactor(factor: number): void {
    this.#settle();
    this.#factor = factor;
  }

  /** What time has paid of the debt, at the pace of now. */
  #settle(): void {
    const now = performance.now();
    const pace = this.ratePerSecond;
    const paid = ((now - this.#debtMs) / 1000) * pace;
    this.#debt = Math.max(this.#debt - paid, -this.#catchUpSeconds * pace);
    this.#debtMs = now;
  }

  #waitMs(): number {
    this.#settle();
    return this.#debt <= 0 ? 0 : (this.#debt / this.ratePerSecond) * 1000;
  }

  #spend(count: number): void {
    this.#supply.spend(count);
    this.#debt += count;
  }
}

function closedError(): SealiftError {
  return new SealiftError('interrupted', 'The KMS limiter is closed');
}

/** Keeps the process alive: someone is waiting for a permit. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(1, ms)));
}
