/** What a bench makes of its rounds: the settings to try, the best of them, what limits, and the figures of its charts. */
import { describe, expect, test } from 'vitest';
import {
  type Bounds,
  bestOf,
  checkGiven,
  firstSettings,
  flagsFor,
  threadCounts,
  variantCount,
  variants,
} from '../../src/bench/choose.ts';
import { gainsOf, latenciesOf, PERCENTILES, ratesOf } from '../../src/bench/figures.ts';
import { type Evidence, limitOf } from '../../src/bench/limit.ts';
import { busyShare, ownShareOf } from '../../src/bench/round.ts';
import { laneSizeOf, planMemory } from '../../src/parts/memory.ts';
import { GiB, MiB } from '../../src/units.ts';
import { cannedResult, roundOf } from './canned.ts';

const bounds: Bounds = { cores: 4, maxMemory: 8 * GiB, size: 4 * GiB, fixed: {} };
const base = { threads: 2, lanes: 8, partSize: 8 * MiB };

describe('settings to try', () => {
  test.each([
    [1, [1]],
    [2, [1, 2]],
    [3, [1, 2, 3]],
    [8, [1, 2, 4, 8]],
    [64, [1, 2, 4, 8]],
  ])('of %i cores are so many threads', (cores, counts) => {
    expect(threadCounts(cores)).toEqual(counts);
  });

  test('begin with what a job begins with, and differ in one thing', () => {
    expect(firstSettings(bounds)).toEqual({ threads: 4, lanes: 16, partSize: 8 * MiB });
    expect(variants('threads', base, bounds).map(({ threads, lanes }) => [threads, lanes])).toEqual([
      [1, 4],
      [2, 8],
      [4, 16],
    ]);
    expect(variants('lanes', base, bounds).map(({ lanes }) => lanes)).toEqual([2, 4, 8, 16]);
    expect(variants('partSize', base, bounds).map(({ partSize }) => partSize / MiB)).toEqual([8, 16, 32, 64]);
  });

  test('leave alone what the user has decided', () => {
    const fixed = { ...bounds, fixed: { threads: 3, lanes: 5, partSize: 6 * MiB } };
    const asked = { threads: 3, lanes: 5, partSize: 6 * MiB };
    expect(firstSettings(fixed)).toEqual(asked);
    for (const axis of ['threads', 'lanes', 'partSize'] as const) expect(variants(axis, asked, fixed)).toEqual([asked]);
  });

  test.each([2, 6, 8, 64])('begin within 512 MiB on %i cores', (cores) => {
    const usual = { ...bounds, cores, maxMemory: 512 * MiB, size: 32 * MiB };
    for (const size of [32 * MiB, 4 * GiB]) {
      const first = firstSettings({ ...usual, size });
      const { threads, lanes, partSize } = first;
      expect(lanes).toBeGreaterThanOrEqual(threads);
      planMemory({ maxMemory: 512 * MiB, threadCount: threads, laneCount: lanes }, laneSizeOf(partSize));
    }
    const long = { ...usual, size: 4 * GiB };
    expect(variants('threads', firstSettings(long), long)).toContainEqual(firstSettings(long));
  });

  test('are what they were where none fits into a round, and never fewer than were reckoned with', () => {
    const asked = { threads: 8, lanes: 16, partSize: 8 * MiB };
    const short = { ...bounds, size: 32 * MiB, fixed: { threads: 8, lanes: 16 } };
    for (const axis of ['threads', 'lanes', 'partSize'] as const) {
      expect(variants(axis, asked, short)).toEqual([asked]);
      expect(variantCount(axis, short)).toBeGreaterThanOrEqual(1);
    }
    expect((['threads', 'lanes', 'partSize'] as const).map((axis) => variantCount(axis, bounds))).toEqual([3, 4, 4]);
  });

  test('fit into memory, and into a round', () => {
    const small = { ...bounds, maxMemory: 512 * MiB };
    expect(variants('partSize', base, small).map(({ partSize }) => partSize / MiB)).toEqual([8, 16]);
    const short = { ...bounds, size: 32 * MiB };
    expect(firstSettings(short)).toEqual({ threads: 4, lanes: 4, partSize: 8 * MiB });
    expect(variants('lanes', base, short).map(({ lanes }) => lanes)).toEqual([2]);
  });
});

test.each([
  ['bad-size', { partSize: MiB }],
  ['bad-size', { partSize: 6 * GiB }],
  ['memory-too-small', { threads: 999 }],
  ['memory-too-small', { lanes: 999 }],
])('%s is told of settings that no job can have', (code, fixed) => {
  const maxMemory = 512 * MiB;
  expect(() => checkGiven({ maxMemory, fixed })).toThrow(expect.objectContaining({ code }));
  // Parts that memory cannot hold are sealed twice.
  for (const one of [{}, { partSize: GiB }, { threads: 2, lanes: 8, partSize: 5 * MiB }]) {
    checkGiven({ maxMemory, fixed: one });
  }
});

test('processors are as busy as the machine, and at least as busy as the process itself', () => {
  expect(ownShareOf({ cpuSeconds: 6, seconds: 4 }, 2)).toBe(0.75);
  expect(busyShare({ idle: 0.1, ownShare: 0.75 })).toBeCloseTo(0.9, 9);
  expect(busyShare({ idle: 0.9, ownShare: 0.75 })).toBe(0.75);
  expect(busyShare({ idle: 1.01, ownShare: 0 })).toBe(0);
  expect(busyShare({ idle: 0, ownShare: 1.02 })).toBe(1);
});

test('the best are the cheapest of those that are as good as the fastest', () => {
  const rounds = [
    roundOf({ lanes: 2, bytesPerSecond: 100 * MiB }),
    roundOf({ lanes: 4, bytesPerSecond: 190 * MiB }),
    roundOf({ lanes: 8, bytesPerSecond: 205 * MiB }),
    roundOf({ lanes: 8, bytesPerSecond: 195 * MiB }),
    roundOf({ lanes: 4, bytesPerSecond: 192 * MiB }),
  ];
  expect(bestOf(rounds).lanes).toBe(4);
  expect(bestOf(rounds.slice(0, 3)).lanes).toBe(8);
  expect(flagsFor(base)).toBe('--part-size 8MiB --threads 2 --lanes 8');
});

describe('what limits', () => {
  const { put, disk } = cannedResult();
  const evidence: Evidence = { put, disk, lanesRounds: [], cores: 2, isSandbox: false, bwlimit: undefined };
  const stages = { disk: 1, cipher: 1, checksum: 1, ledger: 1, network: 6, kms: 0 };
  const calm = { ...put, stages };
  const climbing = [2, 4, 8].map((lanes) => roundOf({ lanes, bytesPerSecond: lanes * 10 * MiB }));
  const flat = [2, 4, 8].map((lanes) => roundOf({ lanes, bytesPerSecond: 10 * MiB }));

  test.each<[string, Partial<Evidence>]>([
    ['bwlimit', { put: { ...calm, busy: 0.97 }, bwlimit: 1.2 * put.bytesPerSecond, isSandbox: true }],
    ['kms', { put: { ...calm, stages: { ...stages, kms: 0.3 * put.seconds } } }],
    ['disk', { put: calm, disk: { ...disk, readBytesPerSecond: 1.1 * put.bytesPerSecond } }],
    ['cpu', { put: { ...calm, busy: 0.97 } }],
    ['ledger', { put: { ...calm, stages: { ...stages, ledger: 8 } } }],
    ['latency', { put: calm, bwlimit: 2 * put.bytesPerSecond, lanesRounds: climbing }],
    ['network', { put: calm, lanesRounds: flat }],
    ['network', { put: calm, isSandbox: true }],
  ])('is %s, in one sentence', (by, change) => {
    const { sentence, ...limit } = limitOf({ ...evidence, ...change });
    expect(limit).toEqual({ by });
    expect(sentence).toMatch(/^[A-Z][^:]* limits your puts: .*\.$/);
  });

  const sentenceOf = (change: Partial<Evidence>) => limitOf({ ...evidence, ...change }).sentence;

  test('is not said of more parts in flight where they were not compared', () => {
    expect(sentenceOf({ put: calm, lanesRounds: flat })).toContain(
      '60 % of their time, and more of them at once bring',
    );
    for (const lanesRounds of [[], flat.slice(0, 1)]) {
      expect(sentenceOf({ put: calm, lanesRounds })).toMatch(/: parts wait for it 60 % of their time\.$/);
    }
  });

  test('is the processor with the share of it that Sealift has', () => {
    const busy = { ...calm, busy: 0.97, seconds: 4, cpuSeconds: 1 };
    expect(sentenceOf({ put: busy })).toMatch(/its 2 cores are 97 % busy, 13 % with Sealift itself\.$/);
    expect(sentenceOf({ put: busy, cores: 1 })).toContain('its one core is 97 % busy, 25 % with');
    expect(sentenceOf({ put: busy, isSandbox: true })).toContain('the sandbox beside it');
  });

  test('is a disk that a put was faster than, because its file was in memory', () => {
    const of = (factor: number) =>
      sentenceOf({ put: calm, disk: { ...disk, readBytesPerSecond: factor * put.bytesPerSecond } });
    expect(of(1.1)).toMatch(/of that go up\.$/);
    expect(of(0.5)).toContain('it reads 125 MiB/s. This one came to 250 MiB/s because its file was in memory');
  });
});

describe('figures', () => {
  const { put } = cannedResult();

  test('rates over time come to the bytes there were', () => {
    const rates = ratesOf(put);
    const width = put.seconds / rates.length;
    expect(rates.reduce((sum, { y }) => sum + y * width, 0)).toBeCloseTo(put.bytes, 0);
    expect(rates[0]!.x).toBeCloseTo(width / 2, 9);
  });

  test('percentiles are of parts that there were, up to the longest', () => {
    const seconds = Array.from({ length: 200 }, (_, index) => (200 - index) / 1000);
    expect(latenciesOf({ ...put, partSeconds: seconds })).toEqual([0.1, 0.15, 0.18, 0.19, 0.198, 0.2]);
    expect(PERCENTILES.length).toBe(6);
    expect(latenciesOf({ ...put, partSeconds: [0.5] })).toEqual([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
  });

  test('gains are of rounds that differ in threads, against one of them', () => {
    const [one, two] = gainsOf(cannedResult());
    expect(one).toEqual({ threads: 1, cipher: 1, put: 1, get: 1 });
    expect(two!.put).toBeCloseTo(160 / 120, 9);
    expect(two!.get).toBeCloseTo(200 / 150, 9);
    expect(gainsOf(cannedResult({ rounds: [] }))[1]).toMatchObject({ threads: 2, put: undefined, get: undefined });
  });
});
