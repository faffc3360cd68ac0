/** The cap on bytes a second, on a clock of our own: never more than it allows, and never less than asked for. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bandwidth, type Clock, changeBandwidth, limitBandwidth } from '../../src/limits/bandwidth.ts';
import { KiB, MiB } from '../../src/units.ts';
import { errorOf } from '../formats/message.ts';

/** Time passes when everyone sleeps, and wakes whoever comes first, late if that is wished. */
class VirtualClock implements Clock {
  #ns = 1_000_000_000_000n;
  readonly #sleepers: { wakeNs: bigint; wake: () => void }[] = [];
  readonly #latenessMs: () => number;

  constructor(latenessMs: () => number = () => 0) {
    this.#latenessMs = latenessMs;
  }

  nowNs(): bigint {
    return this.#ns;
  }

  sleep(ms: number): Promise<void> {
    const wakeNs = this.#ns + BigInt(Math.round((ms + this.#latenessMs()) * 1e6));
    return new Promise((wake) => this.#sleepers.push({ wakeNs, wake }));
  }

  /** Lets time pass until nobody sleeps any more. */
  async run(): Promise<void> {
    for (;;) {
      await turn();
      this.#sleepers.sort((a, b) => Number(a.wakeNs - b.wakeNs));
      const next = this.#sleepers.shift();
      if (!next) return;
      this.#ns = next.wakeNs;
      next.wake();
    }
  }
}

interface Take {
  seconds: number;
  size: number;
}

/** What `takers` on threads of their own get in `seconds`, each asking again at once, in the order they got it. */
async function takesOf(options: {
  rate: number;
  sizes: readonly number[];
  seconds: number;
  latenessMs?: () => number;
}): Promise<Take[]> {
  const { rate, sizes, seconds, latenessMs } = options;
  const clock = new VirtualClock(latenessMs);
  const shared = limitBandwidth(rate);
  const startNs = clock.nowNs();
  const elapsed = () => Number(clock.nowNs() - startNs) / 1e9;
  const takes: Take[] = [];
  for (const size of sizes) {
    const bandwidth = new Bandwidth(shared, clock);
    void (async () => {
      while (elapsed() < seconds) {
        await bandwidth.take(size);
        takes.push({ seconds: elapsed(), size });
        // The line is quick; a taker that comes back in the same instant would never let time pass.
        await clock.sleep(0);
      }
    })();
  }
  await clock.run();
  return takes;
}

const sum = (takes: readonly Take[]) => takes.reduce((total, { size }) => total + size, 0);

describe('takers on several threads share one rate', () => {
  const rates = fc.integer({ min: 64 * KiB, max: 64 * MiB });
  const fractions = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 });

  test('no span of time sees more than its share, 100 ms of it, and a slice for each', async () => {
    const property = fc.asyncProperty(rates, fractions, async (rate, shares) => {
      const sizes = shares.map((share) => Math.max(1, Math.floor((rate / 64) * (share / 100))));
      const takes = (await takesOf({ rate, sizes, seconds: 1 })).slice(0, 500);
      const slack = 0.1 * rate + sizes.reduce((total, size) => total + size, 0) + rate / 500;
      for (let first = 0; first < takes.length; first += 7) {
        let moved = 0;
        for (const { seconds, size } of takes.slice(first)) {
          moved += size;
          expect(moved).toBeLessThanOrEqual((seconds - takes[first]!.seconds) * rate + slack);
        }
      }
    });
    await fc.assert(property, { numRuns: 10 });
  });

  test('what is asked for is given, also where timers come late', async () => {
    const property = fc.asyncProperty(rates, fc.integer({ min: 0, max: 90 }), async (rate, latenessMs) => {
      const sizes = Array.from({ length: 6 }, () => Math.floor(rate / 64));
      const takes = await takesOf({ rate, sizes, seconds: 4, latenessMs: () => latenessMs });
      const given = sum(takes.filter(({ seconds }) => seconds <= 4));
      expect(given / (4 * rate)).toBeGreaterThan(0.97);
      expect(given / (4 * rate)).toBeLessThan(1.05);
    });
    await fc.assert(property, { numRuns: 10 });
  });
});

test('time that nobody used is not saved up', async () => {
  const clock = new VirtualClock();
  const bandwidth = new Bandwidth(limitBandwidth(MiB), clock);
  const waits: number[] = [];
  const run = clock.run.bind(clock);
  for (const pauseMs of [0, 3_600_000]) {
    const paused = clock.sleep(pauseMs);
    await run();
    await paused;
    const startNs = clock.nowNs();
    const taken = bandwidth.take(MiB).then(() => bandwidth.take(1));
    await run();
    await taken;
    waits.push(Number(clock.nowNs() - startNs) / 1e6);
  }
  // A second for a MiB, less what 100 ms of silence had given, after an hour as after none.
  for (const wait of waits) expect(wait).toBeCloseTo(900, 0);
});

test('who waits is let go by a signal', async () => {
  const bandwidth = new Bandwidth(limitBandwidth(KiB));
  await bandwidth.take(100 * KiB);
  const stop = new AbortController();
  const waiting = bandwidth.take(1, stop.signal);
  stop.abort();
  await expect(waiting).rejects.toThrow();
});

describe('slices are small', () => {
  test.each([
    [KiB, 16],
    [MiB, 16 * KiB],
    [10 * MiB, 160 * KiB],
    [1024 * MiB, 256 * KiB],
  ])('at %i bytes a second, %i', (rate, size) => {
    expect(new Bandwidth(limitBandwidth(rate)).sliceSize).toBe(size);
  });
});

test.each([10, 1023, 0, -1, Number.NaN, Number.POSITIVE_INFINITY])('a rate of %d is refused', (rate) => {
  const { code, hint } = errorOf(() => limitBandwidth(rate));
  expect(code).toBe('bad-option');
  expect(hint).toContain('--bwlimit 10MiB/s');
});

test('a rate that is changed holds from the next slice on, for all who share it', async () => {
  const clock = new VirtualClock();
  const shared = limitBandwidth(MiB);
  const [one, other] = [new Bandwidth(shared, clock), new Bandwidth(shared, clock)];
  changeBandwidth(shared, 64 * KiB);
  expect([one.sliceSize, other.sliceSize]).toEqual([KiB, KiB]);
  const startNs = clock.nowNs();
  void one
    .take(64 * KiB)
    .then(() => other.take(64 * KiB))
    .then(() => one.take(1));
  await clock.run();
  // 128 KiB at 64 KiB/s, less what may be caught up at the start.
  expect(Number(clock.nowNs() - startNs) / 1e9).toBeCloseTo(1.9, 1);
  expect(() => changeBandwidth(shared, 1)).toThrow(/1 KiB\/s or more/);
});
