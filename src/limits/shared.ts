/**
 * One limit for many processes. A process that could use more asks the bucket they share (redis-bucket.ts) for one unit
 * after the other; each is a hundredth of the rate, for five seconds, and is asked for again if it was used. So at any
 * moment all that is held together is the rate, whoever comes, goes, hangs or dies, and those who want all they can
 * get have the same.
 *
 * A unit is a rate, not a number of permits: what is not spent in its time, in a stall, is lost. After a stall of this
 * process nothing that was held before counts any more, for it may be somebody else's by now.
 *
 * Where Redis is lost, each process keeps to what it held then, which together is the rate still, and says so. A Redis
 * that comes back empty has nothing for some seconds; in that time what was kept runs out, and everybody asks again.
 */
import type { Limiter } from './limiter.ts';
import { PacedLimiter, type Supply } from './paced.ts';
import { type BucketOptions, hostOf, LEASE_MS, RedisBucket, UNIT_COUNT, unavailable } from './redis-bucket.ts';
import { checkRate } from './token-bucket.ts';

/** Of the rate, what is handed out. The rest is for calls that bunch on their way, from whichever process. */
const HANDED_OUT = 0.95;
/** A busy machine wakes us late; this much of what that cost is caught up. */
const CATCH_UP_SECONDS = 0.05;
/** Between one try to have Redis back and the next. */
const RECONNECT_MS = 500;
const PATIENCE_MS = 60_000;
/** What was kept counts no longer than this once Redis is back. */
const KEPT_MS = 4_000;
/** The clock is looked at so often, and a process that did not come to it for so long has stalled. */
const BEAT_MS = 250;
const STALL_MS = 1_000;

export interface SharedLimiterOptions extends BucketOptions {
  /** Calls a second of all processes together. */
  ratePerSecond: number;
  /** Hears, in words, that Redis is lost, and that it is back. */
  onNotice: (message: string) => void;
  /** Who has nothing to keep to waits so long for Redis to be back. Default a minute. */
  patienceMs?: number | undefined;
}

/** A limiter that all who give the same `url` and `id` share. Throws `bad-option`; Redis is connected to by the first take. */
export function sharedLimiter(options: SharedLimiterOptions): Limiter {
  const { ratePerSecond } = options;
  checkRate(ratePerSecond);
  const fullRate = HANDED_OUT * ratePerSecond;
  return new PacedLimiter({ supply: new Share(fullRate, options), fullRate, catchUpSeconds: CATCH_UP_SECONDS });
}

/** A unit that is held: `end` gives it back. */
interface Lease {
  endMs: number;
  end: () => void;
}

class Share implements Supply {
  readonly #fullRate: number;
  readonly #options: SharedLimiterOptions;
  #bucket: Promise<RedisBucket> | undefined;
  #isLost = false;
  #closed = false;
  /** In the order in which they end, on the wall clock: a machine that slept has held nothing meanwhile. */
  readonly #leases: Lease[] = [];
  /** Units this process keeps to while it has no lease, and until when. */
  #kept = { count: 0, untilMs: 0 };
  #isAsking = false;
  #isWanted = false;
  #wake = Promise.withResolvers<void>();
  readonly #beat: NodeJS.Timeout;
  #beatMs = Date.now();
  #stalls = 0;

  constructor(fullRate: number, options: SharedLimiterOptions) {
    this.#fullRate = fullRate;
    this.#options = options;
    this.#beat = setInterval(() => this.#noteTime(), BEAT_MS).unref();
  }

  get ratePerSecond(): number {
    return (this.#fullRate * this.#units()) / UNIT_COUNT;
  }

  has(): boolean {
    return this.#units() > 0;
  }

  async more(): Promise<void> {
    if (!this.#isLost) this.#bucket ??= this.#open();
    await this.#bucket;
    if (this.has()) return;
    this.wanted();
    await (this.#isLost ? this.#untilBack() : this.#wake.promise);
  }

  wanted(): void {
    this.#isWanted = true;
    void this.#ask();
  }

  spend(): void {
    // A unit is a rate: there is nothing to count.
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beat);
    this.#dropLeases();
    this.#wake.resolve();
    (await this.#bucket?.catch(() => undefined))?.close();
  }

  #units(): number {
    this.#noteTime();
    const now = this.#beatMs;
    while (this.#leases[0] && this.#leases[0].endMs <= now) this.#leases.shift()!.end();
    if (this.#leases.length > 0) return this.#leases.length;
    return now < this.#kept.untilMs ? this.#kept.count : 0;
  }

  /** Where time has gone by without us, or has jumped, nothing is held any more. */
  #noteTime(): void {
    const now = Date.now();
    const isStall = Math.abs(now - this.#beatMs) > STALL_MS;
    this.#beatMs = now;
    if (!isStall) return;
    this.#stalls++;
    this.#dropLeases();
  }

  #dropLeases(): void {
    for (const { end } of this.#leases.splice(0)) end();
  }

  /** Asks for one unit at a time, while more would be used. */
  async #ask(): Promise<void> {
    if (this.#isAsking || this.#isLost || this.#bucket === undefined || this.#leases.length === UNIT_COUNT) return;
    this.#isAsking = true;
    this.#isWanted = false;
    const stalls = this.#stalls;
    const bucket = await this.#bucket.catch(() => undefined);
    bucket?.ask(() => this.#hold(stalls));
    if (!bucket) this.#isAsking = false;
  }

  /** Holds a unit to its end, unless this process has stalled since it was asked for: nobody knows when it was granted. */
  #hold(stalls: number): Promise<void> {
    this.#isAsking = false;
    this.#noteTime();
    if (this.#closed || this.#isLost) return Promise.resolve();
    if (stalls !== this.#stalls) {
      void this.#ask();
      return Promise.resolve();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const lease = { endMs: this.#beatMs + LEASE_MS, end: resolve };
    this.#leases.push(lease);
    this.#kept.untilMs = 0;
    const timer = setTimeout(() => this.#units(), LEASE_MS + 1).unref();
    this.#wakeAll();
    if (this.#isWanted) void this.#ask();
    return promise.finally(() => clearTimeout(timer));
  }

  /** Whoever waits looks again. */
  #wakeAll(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** Where nothing was kept. */
  async #untilBack(): Promise<void> {
    const { url, patienceMs = PATIENCE_MS } = this.#options;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(unavailable(url, new Error('It is lost'))), patienceMs);
    await Promise.race([this.#wake.promise, late.promise]).finally(() => clearTimeout(timer));
  }

  #open(): Promise<RedisBucket> {
    const opened = RedisBucket.open(this.#options, (error) => this.#lose(error));
    // Who waits hears of it; who comes later tries anew.
    opened.catch(() => {
      if (this.#bucket === opened) this.#bucket = undefined;
    });
    return opened;
  }

  #lose(error: Error): void {
    if (this.#isLost || this.#closed || this.#bucket === undefined) return;
    const count = this.#units();
    this.#isLost = true;
    this.#isAsking = false;
    this.#bucket = undefined;
    this.#kept = { count, untilMs: Number.POSITIVE_INFINITY };
    this.#dropLeases();
    const rate = Math.round(this.ratePerSecond * 10) / 10;
    this.#options.onNotice(
      `The limiter's Redis at ${hostOf(this.#options.url)} is lost (${error.message}): this process keeps to ${rate} KMS calls a second until it is back`,
    );
    void this.#reconnect();
    // From now on who waits does so with patience, and not for ever.
    this.#wakeAll();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS).unref());
      const bucket = await this.#open().catch(() => undefined);
      if (bucket === undefined) continue;
      if (this.#closed) return bucket.close();
      this.#bucket = Promise.resolve(bucket);
      this.#isLost = false;
      this.#kept.untilMs = Date.now() + KEPT_MS;
      this.#wakeAll();
      this.#options.onNotice(`The limiter's Redis at ${hostOf(this.#options.url)} is back`);
      return;
    }
  }
}
