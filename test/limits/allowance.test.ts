/** How many lanes there may be, over links of our own making, on a clock of our own: the same every time. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Allowance, type LaneChange, type LaneRange } from '../../src/limits/allowance.ts';
import { idleMeter } from '../../src/limits/idle.ts';
import { KiB, MiB } from '../../src/units.ts';

/**
 * A line to a server: a part takes its latency, and then its turn on the line, which others use before it. While a storm
 * lasts the server turns every part away once.
 */
interface Link {
  bytesPerMs: number;
  latencyMs: number;
  /** The latency of a part, as a factor: 1 where nothing disturbs it. */
  noise?: (part: number) => number;
  storm?: { fromMs: number; toMs: number };
  /** From this moment on the line has another rate. */
  becomes?: { fromMs: number; bytesPerMs: number };
  /** What is left of the processors' time. */
  idleShare?: number;
}

const PART_SIZE = 8 * MiB;

/** The rate that so many lanes have on a link. */
function rateOf({ bytesPerMs, latencyMs }: Link, count: number): number {
  return Math.min(bytesPerMs, (count * PART_SIZE) / (latencyMs + PART_SIZE / bytesPerMs));
}

/** Lanes with which the line is full. */
function enoughFor({ bytesPerMs, latencyMs }: Link): number {
  return Math.ceil((bytesPerMs * latencyMs) / PART_SIZE) + 1;
}

/** Parts go over the link, as many at once as the allowance says, for `forMs`. Looks at it after each part. */
function simulate(range: LaneRange, link: Link, forMs: number) {
  let nowMs = 0;
  let slowDowns = 0;
  let freeMs = 0;
  let begun = 0;
  const changes: (LaneChange & { ms: number })[] = [];
  const onChange = (change: LaneChange) => changes.push({ ...change, ms: nowMs });
  const idleShare = () => link.idleShare ?? 1;
  const allowance = new Allowance(range, { slowDowns: () => slowDowns, onChange, idleShare, nowMs: () => nowMs });
  const flying: { endMs: number; acknowledge: () => void }[] = [];
  const counts = new Set([allowance.count]);
  const ends: { ms: number; count: number }[] = [];

  while (nowMs < forMs) {
    while (flying.length < allowance.count) {
      const { bytesPerMs, fromMs } = { fromMs: Number.POSITIVE_INFINITY, bytesPerMs: 0, ...link.becomes };
      const rate = nowMs >= fromMs ? bytesPerMs : link.bytesPerMs;
      let readyMs = nowMs + link.latencyMs * (link.noise?.(begun) ?? 1);
      const { storm } = link;
      if (storm && nowMs >= storm.fromMs && nowMs < storm.toMs) {
        slowDowns++;
        readyMs += link.latencyMs;
      }
      freeMs = Math.max(freeMs, readyMs) + PART_SIZE / rate;
      flying.push({ endMs: freeMs, acknowledge: allowance.begin(PART_SIZE) });
      begun++;
    }
    const { endMs, acknowledge } = flying.shift()!;
    nowMs = endMs;
    ends.push({ ms: nowMs, count: flying.length + 1 });
    acknowledge();
    counts.add(allowance.count);
  }
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(range.least);
  expect(Math.max(...counts)).toBeLessThanOrEqual(range.most);
  expect([...counts].every(Number.isInteger)).toBe(true);
  const rate = (fromMs: number, toMs = forMs) =>
    (ends.filter(({ ms }) => ms > fromMs && ms <= toMs).length * PART_SIZE) / (toMs - fromMs);
  /** The count it kept to for most parts since a moment: others were trials. */
  const held = (fromMs: number) => {
    const parts = Map.groupBy(
      ends.filter(({ ms }) => ms > fromMs),
      ({ count }) => count,
    );
    return [...parts].sort(([, a], [, b]) => b.length - a.length)[0]![0];
  };
  return { allowance, changes, rate, held, ends, most: Math.max(...counts) };
}

/** What it holds must give 90 % of what there is; the trials may cost some of that for a while. */
function expectWellUsed(
  link: Link,
  range: LaneRange,
  { rate, held }: ReturnType<typeof simulate>,
  fromMs: number,
): void {
  const best = rateOf(link, range.most);
  expect(rateOf(link, held(fromMs)) / best).toBeGreaterThan(0.9);
  expect(rate(fromMs) / best).toBeGreaterThan(0.85);
}

/** The same links and the same noise each time: whatever measures is misled by some. */
const RUNS = { numRuns: 40, seed: 1 };

const links = fc.record({
  bytesPerMs: fc.integer({ min: 5 * KiB, max: MiB }),
  latencyMs: fc.integer({ min: 5, max: 1500 }),
});
const ranges = fc
  .tuple(fc.integer({ min: 2, max: 24 }), fc.integer({ min: 1, max: 64 }))
  .map(([start, most]): LaneRange => ({ least: 1, start: Math.min(start, most), most }));

/** Long enough to climb from two lanes to all. */
const longFor = (link: Link, { most }: LaneRange) =>
  300 * (link.latencyMs + (most * PART_SIZE) / link.bytesPerMs + 500);

describe('on any link', () => {
  test('it comes to at least 90 % of what the link or the ceiling can do, and keeps to its limits', () => {
    const property = fc.property(ranges, links, (range, link) => {
      const forMs = longFor(link, range);
      expectWellUsed(link, range, simulate(range, link, forMs), forMs / 2);
    });
    fc.assert(property, RUNS);
  });

  test('it begins no more lanes than earn their keep', () => {
    const property = fc.property(ranges, links, (range, link) => {
      const { most } = simulate(range, link, longFor(link, range));
      // A fifth more than are enough still gain half of what they might; then half as many again are begun once.
      expect(most).toBeLessThanOrEqual(Math.max(range.start, 1.2 * 1.5 * (enoughFor(link) + 1)));
    });
    fc.assert(property, RUNS);
  });

  test('where fewer than it begins with would do it does not even try more', () => {
    const property = fc.property(ranges, links, (range, link) => {
      fc.pre(1.5 * enoughFor(link) <= range.start);
      expect(simulate(range, link, longFor(link, range)).most).toBe(range.start);
    });
    fc.assert(property, RUNS);
  });

  test('it comes back after a storm, in which it has shrunk', () => {
    const property = fc.property(ranges, links, (range, link) => {
      const forMs = longFor(link, range);
      const storm = { fromMs: forMs / 3, toMs: forMs / 2 };
      const simulated = simulate(range, { ...link, storm }, forMs);
      if (range.start > 1) expect(simulated.changes.some(({ reason }) => reason === 'slow-down')).toBe(true);
      expectWellUsed(link, range, simulated, (3 * forMs) / 4);
    });
    fc.assert(property, RUNS);
  });

  test('where lanes are fixed it changes nothing', () => {
    const property = fc.property(fc.integer({ min: 1, max: 64 }), links, (count, link) => {
      const range = { least: count, start: count, most: count };
      const storm = { fromMs: 0, toMs: 5000 };
      expect(simulate(range, { ...link, storm }, 20 * (link.latencyMs + 1000)).changes).toEqual([]);
    });
    fc.assert(property, RUNS);
  });
});

const RANGE = { least: 1, start: 16, most: 64 };
const FAST: Link = { bytesPerMs: MiB, latencyMs: 200 };

test('it halves when the server asks to slow down, once for all that was in flight, and climbs back one by one', () => {
  const { changes } = simulate(RANGE, { ...FAST, storm: { fromMs: 100, toMs: 101 + FAST.latencyMs } }, 30_000);
  const told = changes
    .filter(({ reason }) => reason !== 'throughput')
    .map(({ from, to, reason }) => [reason, from, to]);
  expect(told).toEqual([
    ['slow-down', 16, 8],
    ...[8, 9, 10, 11, 12, 13, 14, 15].map((count) => ['recovery', count, count + 1]),
  ]);
});

test('in a storm that does not end it comes down to one', () => {
  const { allowance, changes } = simulate(RANGE, { ...FAST, storm: { fromMs: 0, toMs: 60_000 } }, 60_000);
  expect(changes.slice(0, 4).map(({ to }) => to)).toEqual([8, 4, 2, 1]);
  expect(allowance.count).toBe(1);
});

test('where the processors have nothing left it tries no other number, whatever the line could do', () => {
  const wide = { bytesPerMs: MiB, latencyMs: 1000 };
  expect(simulate(RANGE, wide, 300_000).most).toBeGreaterThan(RANGE.start);
  const { changes, ends, most } = simulate(RANGE, { ...wide, idleShare: 0.05 }, 300_000);
  expect({ changes, most, least: Math.min(...ends.slice(0, -RANGE.start).map(({ count }) => count)) }).toEqual({
    changes: [],
    most: RANGE.start,
    least: RANGE.start,
  });
});

test('what the processors leave is a share of their time', () => {
  const idleShare = idleMeter();
  for (const share of [idleShare(), idleShare()]) {
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
  }
});

test('it halves where parts take twice the time all at once, and climbs again', () => {
  const slow = { fromMs: 20_000, bytesPerMs: FAST.bytesPerMs / 8 };
  const { changes, rate } = simulate(RANGE, { ...FAST, becomes: slow }, 200_000);
  const drop = changes.find(({ reason }) => reason === 'latency')!;
  expect(drop.ms).toBeGreaterThan(20_000);
  expect(drop.to).toBe(Math.floor(drop.from / 2));
  expect(rate(100_000) / slow.bytesPerMs).toBeGreaterThan(0.9);
});

test('a hiccup of the line changes nothing', () => {
  const noise = (part: number) => (part >= 1000 && part < 1000 + RANGE.start ? 20 : 1);
  const { changes } = simulate(RANGE, { ...FAST, noise }, 60_000);
  expect(changes.filter(({ reason }) => reason === 'latency')).toEqual([]);
});

test('noise does not drive it up', () => {
  const property = fc.property(fc.infiniteStream(fc.double({ min: 0.3, max: 3, noNaN: true })), (factors) => {
    const noise = () => factors.next().value as number;
    // Sixteen lanes are more than this line needs.
    const link = { bytesPerMs: 256 * KiB, latencyMs: 200, noise };
    const { ends, rate } = simulate(RANGE, link, 300_000);
    const mean = ends.reduce((sum, { count }) => sum + count, 0) / ends.length;
    expect(mean).toBeLessThan(1.5 * RANGE.start);
    expect(rate(100_000) / link.bytesPerMs).toBeGreaterThan(0.9);
  });
  fc.assert(property, { ...RUNS, numRuns: 10 });
});
