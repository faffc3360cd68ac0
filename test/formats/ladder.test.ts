/** Parts that grow: they tile what they hold, reach as far as they say, and do not depend on where the pipe ends. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { framesIn, partsFor, STEP_PART_COUNT } from '../../src/formats/esdk/ladder.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { endedAt, MAX_PART_COUNT, MAX_PART_SIZE, planPipe } from '../../src/formats/esdk/plan.ts';
import { GiB, KiB, MiB, TiB } from '../../src/units.ts';

const ladders = fc.record({
  partFrameCount: fc.integer({ min: 1, max: 100 }),
  mostPartFrames: fc.integer({ min: 1, max: 50_000 }),
});

describe('a ladder', () => {
  test('of 8 MiB doubles every thousand parts, up to the most', () => {
    const ladder = { partFrameCount: 32, mostPartFrames: 100 };
    const sizes = [1, 1000, 1001, 2000, 2001, 3000, 3001, 10_000].map(
      (number) => framesIn(ladder, number) - framesIn(ladder, number - 1),
    );
    expect(sizes).toEqual([32, 32, 64, 64, 100, 100, 100, 100]);
  });

  test('of one size has one step, however many parts there are', () => {
    expect(framesIn({ partFrameCount: 7 }, 123_456)).toBe(7 * 123_456);
    expect(partsFor({ partFrameCount: 7 }, 7 * 123_456 + 1)).toBe(123_457);
  });

  test('never shrinks, and a step is at most twice the one before', () => {
    fc.assert(
      fc.property(ladders, fc.integer({ min: 1, max: MAX_PART_COUNT - 1 }), (ladder, number) => {
        const size = framesIn(ladder, number) - framesIn(ladder, number - 1);
        const next = framesIn(ladder, number + 1) - framesIn(ladder, number);
        expect(next).toBeGreaterThanOrEqual(size);
        expect(next).toBeLessThanOrEqual(number % STEP_PART_COUNT === 0 ? 2 * size : size);
        expect(next).toBeLessThanOrEqual(Math.max(ladder.partFrameCount, ladder.mostPartFrames));
      }),
    );
  });

  test('counts the fewest parts that hold so many frames', () => {
    fc.assert(
      fc.property(ladders, fc.integer({ min: 1, max: 2 ** 32 - 1 }), (ladder, frameCount) => {
        const count = partsFor(ladder, frameCount);
        expect(framesIn(ladder, count)).toBeGreaterThanOrEqual(frameCount);
        expect(framesIn(ladder, count - 1)).toBeLessThan(frameCount);
      }),
    );
  });
});

const pipes = fc.record({
  frameSize: fc.integer({ min: KiB, max: 64 * MiB }),
  headerSize: fc.integer({ min: 100, max: 5000 }),
  partSize: fc.integer({ min: 5 * MiB, max: 256 * MiB }),
  mostPartSize: fc.integer({ min: 5 * MiB, max: 6 * GiB }),
});

describe('a pipe', () => {
  test('reaches 10,000 parts, or the last frame number, and no part is more than S3 takes', () => {
    fc.assert(
      fc.property(pipes, (input) => {
        const { plainSize, partCount, frameCount, frameSize } = planPipe(input);
        expect(plainSize).toBe((frameCount - 1) * frameSize);
        expect(partCount === MAX_PART_COUNT || frameCount === 2 ** 32 - 1).toBe(true);
        const last = partOf(planPipe(input), partCount);
        expect(last.sealedSize).toBeLessThanOrEqual(MAX_PART_SIZE);
        expect(last.plainSize).toBeLessThanOrEqual(Math.max(input.mostPartSize, input.partSize + frameSize));
      }),
    );
  });

  test('has the same parts wherever it ends, and they tile what it holds', () => {
    const where = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(pipes, where, (input, fraction) => {
        const longest = planPipe(input);
        const ended = endedAt(longest, Math.floor(longest.plainSize * fraction));
        const { partCount } = ended;
        for (const number of [1, 2, 1000, 1001, partCount - 1].filter((at) => at > 0 && at < partCount)) {
          expect(partOf(ended, number)).toEqual(partOf(longest, number));
        }
        const last = partOf(ended, partCount);
        expect(last.isLast).toBe(true);
        expect(last.plainOffset + last.plainSize).toBe(ended.plainSize);
        expect(last.sealedOffset + last.sealedSize).toBe(ended.sealedSize);
      }),
    );
  });

  const input = { frameSize: 256 * KiB, headerSize: 1024, partSize: 8 * MiB, mostPartSize: 64 * MiB };

  test('that is expected to be large begins with larger parts, where that reaches', () => {
    const sizes = [undefined, 500 * GiB, 580 * GiB].map((expectedSize) => {
      const longest = planPipe({ ...input, expectedSize });
      expect(longest.plainSize).toBeGreaterThanOrEqual(expectedSize ?? 0);
      return partOf(longest, 1).plainSize;
    });
    expect(sizes).toEqual([8 * MiB, 16 * MiB, 32 * MiB]);
  });

  test('that cannot reach what is expected is refused, with the way out', () => {
    const refused = () => planPipe({ ...input, expectedSize: TiB });
    expect(refused).toThrow(expect.objectContaining({ code: 'too-many-parts' }));
    expect(refused).toThrow(/625 GiB/);
  });
});
