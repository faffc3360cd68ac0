/** Where a part's time went: told when asked for, by a clock of our own, and summed by the job. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { JobWatch, noSeconds, stopwatch } from '../../src/parts/stopwatch.ts';

let nowMs = 0;

beforeEach(() => {
  nowMs = 5_000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
});

afterEach(() => vi.restoreAllMocks());

describe('a stopwatch', () => {
  test('gives each stage the time until the next one, however often it comes', () => {
    const watch = stopwatch({ runs: true });
    nowMs += 100;
    watch.enter('disk');
    nowMs += 1000;
    watch.enter('cipher');
    nowMs += 250;
    watch.enter('disk');
    nowMs += 500;
    expect(watch.stop()).toEqual({ ...noSeconds(), disk: 1.5, cipher: 0.25 });
    nowMs += 100;
    expect(watch.stop()).toEqual({ ...noSeconds(), disk: 1.5, cipher: 0.25 });
  });

  test('that stands asks no clock and tells nothing', () => {
    const watch = stopwatch({ runs: false });
    watch.enter('disk');
    expect(watch.stop()).toBeUndefined();
    expect(performance.now).not.toHaveBeenCalled();
  });
});

describe('the watch of a job', () => {
  const takes = (ms: number) => async () => {
    nowMs += ms;
    return 'done';
  };

  test('sums what its parts tell and what it waits for itself, also where that fails', async () => {
    const watch = new JobWatch({ runs: true });
    watch.add({ ...noSeconds(), network: 2, cipher: 1 });
    watch.add({ ...noSeconds(), network: 3 });
    expect(await watch.time('kms', takes(500))).toBe('done');
    const fails = async () => {
      nowMs += 250;
      throw new Error('no');
    };
    await expect(watch.time('ledger', fails)).rejects.toThrow('no');
    expect(watch.seconds).toEqual({ ...noSeconds(), network: 5, cipher: 1, kms: 0.5, ledger: 0.25 });
  });

  test('that stands does the work and tells nothing', async () => {
    const watch = new JobWatch({ runs: false });
    expect(await watch.time('kms', takes(500))).toBe('done');
    expect(watch.seconds).toBeUndefined();
    expect(watch.ofPart().stop()).toBeUndefined();
  });
});
