/** The progress line, and what grouping makes of parts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { progressLine as lineWithin, type Standing } from '../../src/cli/progress.ts';
import { MiB, TiB } from '../../src/units.ts';

const progressLine = (now: Standing, width = 200) => lineWithin(now, width);

describe('progressLine', () => {
  const now = {
    ackedBytes: 64 * MiB,
    totalBytes: 256 * MiB,
    reusedBytes: 0,
    openedBytes: 0,
    rate: 0,
    throttled: false,
  };

  test('says how much of how much', () => {
    expect(progressLine(now)).toBe(`${'━'.repeat(6)}${'─'.repeat(18)}  25 %  64 MiB of 256 MiB`);
  });

  test('says what is kept, how fast it goes, and how long it takes', () => {
    expect(progressLine({ ...now, reusedBytes: 32 * MiB, rate: 2 * MiB })).toMatch(
      / {2}25 % {2}64 MiB of 256 MiB, 32 MiB kept, 2 MiB\/s, 1 min 36 s left$/,
    );
  });

  test('of an object that is opened twice says which time it is, and counts both in the time left', () => {
    const proving = { ...now, ackedBytes: 0, openedBytes: 64 * MiB, rate: 2 * MiB };
    expect(progressLine(proving)).toMatch(
      / {2}25 % {2}64 MiB of 256 MiB, proving it first, 2 MiB\/s, 3 min 44 s left$/,
    );
    const handingOn = { ...proving, ackedBytes: 32 * MiB, openedBytes: 256 * MiB };
    expect(progressLine(handingOn)).toMatch(/ {2}12 % {2}32 MiB of 256 MiB, 2 MiB\/s, 1 min 52 s left$/);
  });

  test('says that the service wants less', () => {
    expect(progressLine({ ...now, throttled: true })).toMatch(/64 MiB of 256 MiB, throttled$/);
  });

  test('of a pipe says how much, and how fast: nobody knows of how much', () => {
    const pipe = { ...now, totalBytes: 0, rate: 2 * MiB };
    expect(progressLine(pipe)).toBe('64 MiB, 2 MiB/s');
    expect(progressLine({ ...pipe, throttled: true })).toBe('64 MiB, 2 MiB/s, throttled');
  });

  test('stands still where more is done than there was to do', () => {
    expect(progressLine({ ...now, ackedBytes: 512 * MiB, rate: MiB })).toMatch(/^━{24} 100 % /);
  });

  test('is not done before it is done', () => {
    expect(progressLine({ ...now, ackedBytes: 256 * MiB - 1, rate: MiB })).toContain(' 99 %');
    expect(progressLine({ ...now, ackedBytes: 256 * MiB, rate: MiB })).toMatch(/^━{24} 100 % {2}256 MiB of 256 MiB$/);
  });

  const full = { ...now, reusedBytes: 32 * MiB, rate: 2 * MiB, throttled: true };

  test.each([
    [80, ' 25 %  64 MiB of 256 MiB, 32 MiB kept, 2 MiB/s, 1 min 36 s left, throttled'],
    [60, ' 25 %  64 MiB of 256 MiB, 32 MiB kept, 2 MiB/s'],
    [30, ' 25 %  64 MiB of 256 MiB'],
    [19, ' 25 %'],
    [3, ''],
  ])('in %i columns leaves away what has no room', (width, line) => {
    expect(progressLine(full, width)).toBe(line);
  });

  test('is never wider than there is room, whatever there is to tell', () => {
    const size = fc.integer({ min: 0, max: 50 * TiB });
    const standing = fc.record({
      ackedBytes: size,
      totalBytes: size,
      reusedBytes: size,
      openedBytes: size,
      rate: fc.double({ min: 0, max: 1e12, noNaN: true }),
      throttled: fc.boolean(),
    });
    fc.assert(
      fc.property(standing, fc.integer({ min: 1, max: 200 }), (anything, width) => {
        expect(progressLine(anything, width).length).toBeLessThanOrEqual(width);
      }),
    );
  });
});
