import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { costOf, PRICES, readPrices } from '../../src/plan/prices.ts';
import { DataKeyTally } from '../../src/plan/tally.ts';
import { estimate, type Means, type Speeds, type Work } from '../../src/plan/time.ts';
import { GiB, MiB, TiB } from '../../src/units.ts';

describe('data keys', () => {
  function keysFor(sizes: number[], cacheable = true): DataKeyTally {
    const tally = new DataKeyTally({ cacheable });
    for (const size of sizes) tally.add(size);
    return tally;
  }

  test.each([
    ['one serves 100,000 objects', Array(100_000).fill(1), 1],
    ['and no more', Array(100_001).fill(1), 2],
    ['one serves 1 TiB', [TiB / 2, TiB / 2], 1],
    ['and no more', [TiB / 2, TiB / 2, 1], 2],
    ['an object of more has one to itself', [1, 2 * TiB, 1], 3],
    ['none for nothing', [], 0],
  ])('%s', (_what, sizes, count) => {
    expect(keysFor(sizes).count).toBe(count);
  });

  test('an hour is the longest', () => {
    expect(keysFor([1, 1]).countWithin(3599)).toBe(1);
    expect(keysFor([1, 1]).countWithin(3600)).toBe(2);
    expect(keysFor([1, 1]).countWithin(36_000)).toBe(2);
  });

  test('of what cannot be reused every object has one', () => {
    expect(keysFor([1, 1, 1], false).count).toBe(3);
    expect(keysFor([1, 1, 1], false).countWithin(36_000)).toBe(3);
  });
});

describe('time', () => {
  const work: Work = {
    objects: 1,
    wholeObjects: 0,
    parts: 100,
    turns: 5,
    plainBytes: GiB,
    sealedBytes: GiB + MiB,
    writes: 102,
    reads: 4,
    kmsCalls: 1,
    callsOfS3: 0,
  };
  const speeds: Speeds = {
    sealSecondsPerByte: 0.5 / GiB,
    readBytesPerSecond: 10 * GiB,
    sealSecondsPerObject: 0,
    secondsPerObject: 0.01,
    roundTripSeconds: 0.001,
  };
  const means: Means = {
    threads: 2,
    lanes: 6,
    together: { sent: 1, written: 1 },
    isRemote: true,
    comesFromBucket: false,
    bytesPerSecond: undefined,
    kmsPerSecond: 100,
    kmsQuota: 500,
  };
  const small = {
    objects: 1000,
    wholeObjects: 1000,
    parts: 1000,
    turns: 3000,
    plainBytes: 1000,
    writes: 1000,
    reads: 2000,
  };

  test.each([
    ['cpu', {}, {}, {}],
    ['disk', {}, { readBytesPerSecond: MiB }, {}],
    ['bandwidth', {}, {}, { bytesPerSecond: MiB }],
    ['latency', {}, { roundTripSeconds: 1 }, {}],
    ['objects', small, {}, {}],
    ['kms', { ...small, kmsCalls: 1_000_000 }, {}, {}],
    ['kms', { ...small, callsOfS3: 1_000_000 }, {}, {}],
    ['s3-rate', { ...small, writes: 10 ** 6 }, {}, {}],
  ] as const)('%s is told where it is the narrowest', (limit, someWork, someSpeeds, someMeans) => {
    const { limitedBy, seconds, each } = estimate(
      { ...work, ...someWork },
      { ...speeds, ...someSpeeds },
      { ...means, ...someMeans },
    );
    expect(limitedBy).toBe(limit);
    expect(seconds).toBeGreaterThanOrEqual(each[limit]);
    expect(seconds).toBeLessThan(2 * each[limit]);
  });

  test('small objects of many wait for each other no longer, and cost what their bytes do not', () => {
    const some = { ...work, ...small };
    const together = { sent: 32, written: 64 };
    const alone = estimate(some, speeds, means).each;
    const many = estimate(some, { ...speeds, sealSecondsPerObject: 0.001 }, { ...means, together }).each;
    expect(many.objects).toBeCloseTo((1000 / 64) * 0.01 + (3000 / 32) * 0.001);
    expect(alone.objects).toBeCloseTo(1000 * 0.01 + 3000 * 0.001);
    expect(many.cpu).toBeGreaterThan(1);
    expect(alone.cpu).toBeLessThan(0.001);
    // The large one among them has a ledger of its own, and a turn for each of its requests.
    const mixed = estimate({ ...some, objects: 1001 }, speeds, { ...means, together }).each;
    expect(mixed.objects).toBeGreaterThan(many.objects + 0.01);
  });

  test('what comes out of a bucket is received first', () => {
    const mine = estimate(work, speeds, { ...means, bytesPerSecond: MiB }).each;
    const fetched = estimate(work, speeds, { ...means, bytesPerSecond: MiB, comesFromBucket: true }).each;
    for (const limit of ['cpu', 'bandwidth', 'latency'] as const)
      expect(fetched[limit]).toBeGreaterThan(1.7 * mine[limit]);
  });

  test('a bandwidth that is not known limits nothing, nor does S3 where there is none', () => {
    expect(estimate(work, speeds, { ...means, isRemote: false }).each).toMatchObject({ bandwidth: 0, 's3-rate': 0 });
  });
});

describe('prices', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const requests = {
    HeadBucket: 1,
    HeadObject: 999,
    ListObjectsV2: 0,
    PutObject: 1000,
    CreateMultipartUpload: 500,
    UploadPart: 400,
    CompleteMultipartUpload: 100,
  };
  const work = { requests, reading: undefined, kmsCalls: 10_000, sealedBytes: 2e9 };

  test('add up', () => {
    expect(costOf(work, { prices: PRICES })).toEqual({
      asOf: PRICES.asOf,
      region: PRICES.region,
      storageClass: 'STANDARD',
      requests: 2 * 0.005 + 0.0004,
      kms: 0.03,
      storagePerMonth: 0.046,
    });
    expect(costOf(work, { prices: PRICES, storageClass: 'NONE' })).toBeUndefined();
  });

  test('of reading come on top, and of what leaves the bucket where the table has one', () => {
    const reading = {
      requests: { ListObjectsV2: 1000, HeadObject: 3000, GetObjectTagging: 2000, GetObject: 3000 },
      gets: { STANDARD: 1000, GLACIER_IR: 2000 },
      bytes: 3e9,
    };
    const requestCost = 2 * 0.005 + 0.0004 + 0.005 + 5 * 0.0004 + 0.0004 + 2 * 0.01;
    const told = costOf({ ...work, reading }, { prices: PRICES });
    expect([told?.requests, told?.egress]).toEqual([expect.closeTo(requestCost, 9), undefined]);
    expect(costOf({ ...work, reading }, { prices: { ...PRICES, egress: 0.09 } })?.egress).toBeCloseTo(0.27, 9);
    expect(costOf({ ...work, reading: { ...reading, gets: { NONE: 1 } } }, { prices: PRICES })).toBeUndefined();
  });

  test('are dated', () => expect(PRICES.asOf).toMatch(/^\d{4}-\d\d-\d\d$/));

  test.each([
    ['no JSON', 'prices'],
    ['no classes', JSON.stringify({ ...PRICES, storageClasses: {} })],
    ['a price that is a text', JSON.stringify({ ...PRICES, kmsCalls: '0.03' })],
    ['a price of egress that is a text', JSON.stringify({ ...PRICES, egress: 'free' })],
    ['a price below nothing', JSON.stringify({ ...PRICES, kmsCalls: -1 })],
    ['no date', JSON.stringify({ ...PRICES, asOf: undefined })],
  ])('of a file with %s are refused', async (_what, text) => {
    const path = join(folder, 'prices.json');
    writeFileSync(path, text);
    await expect(readPrices(path)).rejects.toMatchObject({ code: 'bad-option' });
  });
});
