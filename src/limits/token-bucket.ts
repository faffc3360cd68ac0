/**
 * The KMS token bucket: in any second at most the given rate and 250 ms of it, and over time the rate.
 *
 * A bottleneck reservoir holds the permits. Bottleneck passes some hundreds of jobs a second, so they are not taken
 * from it one by one: a lease takes 50 ms' worth at once, and is spent here, evenly, at the pace in force (paced.ts).
 *
 * The pace is what bounds a window. Time not used is kept for 150 ms and no longer, so T seconds pass at most
 * (T + 0.15) x rate + 1 permits; what is left of the 250 ms is for calls that bunch on their way. The reservoir only has
 * to keep up: bottleneck never makes up for a refill that its timer brought late, so a refill is 300 ms' worth every 250 ms.
 *
 * Bottleneck's `updateSettings` is not used: it stops the reservoir's refills for good (SGrondin/bottleneck#185).
 */
import Bottleneck from 'bottleneck';
import { SealiftError } from '../errors.ts';
import type { Limiter } from './limiter.ts';
import { PacedLimiter, type Supply } from './paced.ts';

const REFILL_SECONDS = 0.3;
const LEASE_SECONDS = 0.05;
const CATCH_UP_SECONDS = 0.15;

/** A limiter for `ratePerSecond` KMS calls. Rates below one a second work. Throws `bad-option` for a rate not above 0. */
export function kmsLimiter({ ratePerSecond }: { ratePerSecond: number }): Limiter {
  checkRate(ratePerSecond);
  const supply = new Reservoir(ratePerSecond);
  return new PacedLimiter({ supply, fullRate: ratePerSecond, catchUpSeconds: CATCH_UP_SECONDS });
}

export function checkRate(ratePerSecond: number): void {
  if (ratePerSecond > 0 && Number.isFinite(ratePerSecond)) return;
  throw new SealiftError('bad-option', `The KMS rate must be a number above 0, not ${ratePerSecond}`, {
    hint: 'Give --kms-rate in calls a second, for example --kms-rate 200.',
  });
}

class Reservoir implements Supply {
  readonly ratePerSecond: number;
  readonly #bottleneck: Bottleneck;
  /** Permits taken from it and not yet spent. */
  #leased = 0;
  #closed = false;

  constructor(ratePerSecond: number) {
    this.ratePerSecond = ratePerSecond;
    const refill = ratePerSecond * REFILL_SECONDS;
    const capacity = Math.max(1, refill);
    this.#bottleneck = new Bottleneck({
      reservoir: capacity,
      reservoirIncreaseMaximum: capacity,
      reservoirIncreaseAmount: refill,
      // Bottleneck looks every 250 ms whether so much time has passed. Asked for all 250, it would now and then find
      // 249 and skip a refill.
      reservoirIncreaseInterval: 200,
    });
  }

  has(count: number): boolean {
    return this.#leased >= count;
  }

  async more(pace: number): Promise<void> {
    const weight = Math.max(1, Math.floor(pace * LEASE_SECONDS));
    try {
      await this.#bottleneck.schedule({ weight }, async () => {});
      this.#leased += weight;
    } catch (error) {
      // Closing drops the lease; its waiters have been rejected.
      if (!this.#closed) throw error;
    }
  }

  wanted(): void {
    // There is no more than the rate.
  }

  spend(count: number): void {
    this.#leased -= count;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#bottleneck.stop({ dropWaitingJobs: true });
    await this.#bottleneck.disconnect();
  }
}
