/** Parts of one sealed size: where they are cut, which frames they share, and that the message is the same. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Layout, partOf } from '../../src/formats/esdk/layout.ts';
import {
  MAX_FRAME_SIZE,
  MAX_PART_COUNT,
  MAX_PART_SIZE,
  MIN_PART_SIZE,
  maxPlainSize,
  planLayout,
} from '../../src/formats/esdk/plan.ts';
import { KiB, MiB, TiB } from '../../src/units.ts';
import { errorOf } from './message.ts';

const F = 256 * KiB;
const FULL = F + 32;
const headerSize = 300;

const equal = (plainSize: number, partSize?: number) =>
  planLayout({ plainSize, partSize, frameSize: F, headerSize, equalParts: true });

/** A message that fits one object, with the boundaries of frames, parts and the largest object among them. */
const messages = () =>
  fc
    .record({
      frameSize: fc.oneof(fc.constantFrom(KiB, 4096, F, MAX_FRAME_SIZE), fc.integer({ min: KiB, max: MAX_FRAME_SIZE })),
      headerSize: fc.integer({ min: 120, max: 128 * KiB }),
      equalParts: fc.constant(true as const),
    })
    .chain((cut) => {
      const max = maxPlainSize(cut);
      const near = fc
        .tuple(fc.constantFrom(0, cut.frameSize, 8 * MiB, 16 * MiB, max), fc.integer({ min: -200, max: 200 }))
        .map(([size, step]) => Math.max(0, Math.min(max, size + step)));
      const any = fc.double({ min: 0, max: 1, noNaN: true }).map((fraction) => Math.floor(max * fraction));
      return fc.oneof(near, fc.integer({ min: 0, max: 200 * MiB }), any).map((plainSize) => ({ ...cut, plainSize }));
    });

describe('boundaries', () => {
  test('the cut lies the size of the header further to the left, within a frame of both parts', () => {
    const layout = equal(40 * F, 20 * F);
    expect(layout).toMatchObject({ partFrameCount: 20, partCount: 3, frameCount: 41 });
    const [one, two, three] = [1, 2, 3].map((number) => partOf(layout, number)) as [Part, Part, Part];
    expect(one).toMatchObject({ sealedOffset: 0, sealedSize: 20 * FULL, frames: { firstFrame: 1, lastFrame: 20 } });
    expect(two).toMatchObject({ sealedOffset: 20 * FULL, sealedSize: 20 * FULL, frames: { firstFrame: 20 } });
    expect(three).toMatchObject({ sealedSize: headerSize + 40, frames: { firstFrame: 40, lastFrame: 41 } });
    // A frame in two parts counts in the latter.
    expect([one, two, three].map(({ plainSize }) => plainSize / F)).toEqual([19, 20, 1]);
  });

  test('what fits one part with its header is one part', () => {
    const whole = 20 * FULL - headerSize - 20 * 32 - 8;
    expect(equal(whole, 20 * F).partCount).toBe(1);
    expect(equal(whole + 1, 20 * F).partCount).toBe(2);
  });

  test('the header takes room: 10,000 parts hold a frame less', () => {
    expect(maxPlainSize({ frameSize: F, headerSize, equalParts: true })).toBe(
      maxPlainSize({ frameSize: F, headerSize }) - F,
    );
    expect(equal(Math.floor(48.8 * TiB)).partCount).toBeLessThanOrEqual(MAX_PART_COUNT);
    expect(errorOf(() => equal(200_000 * F, 20 * F)).code).toBe('too-many-parts');
    expect(equal(200_000 * F - F, 20 * F).partCount).toBe(MAX_PART_COUNT);
  });
});

type Part = ReturnType<typeof partOf>;

/** Fails unless parts `number` and the one after it are cut as they must be. */
function checkCut(layout: Layout, number: number): void {
  const part = partOf(layout, number);
  const next = partOf(layout, number + 1);
  const end = part.sealedOffset + part.sealedSize;
  const framesEnd = part.frames.sealedOffset + part.frames.sealedSize;
  const isShared = framesEnd > end;
  const ok =
    part.sealedSize === partOf(layout, 1).sealedSize &&
    part.sealedSize >= MIN_PART_SIZE &&
    part.sealedSize <= MAX_PART_SIZE &&
    next.sealedOffset === end &&
    next.plainOffset === part.plainOffset + part.plainSize &&
    next.frames.firstFrame === part.frames.lastFrame + (isShared ? 0 : 1) &&
    (isShared || framesEnd === end) &&
    part.plainSize >= 0;
  if (!ok) expect.fail(JSON.stringify({ layout, part, next }));
}

describe('properties, to 48.8 TiB', () => {
  test('equal parts tile the message, and share a frame where it lies across the cut', () => {
    fc.assert(
      fc.property(messages(), fc.array(fc.nat(), { maxLength: 40 }), (input, picks) => {
        const layout = planLayout(input);
        const { partCount } = layout;
        expect(partCount).toBeLessThanOrEqual(MAX_PART_COUNT);
        const first = partOf(layout, 1);
        expect([first.sealedOffset, first.plainOffset]).toEqual([0, 0]);
        const near = [1, 2, partCount - 2, partCount - 1, ...picks.map((pick) => 1 + (pick % partCount))];
        for (const number of near.filter((at) => at >= 1 && at < partCount)) checkCut(layout, number);
        const last = partOf(layout, partCount);
        expect(last.sealedOffset + last.sealedSize).toBe(layout.sealedSize);
        expect(last.plainOffset + last.plainSize).toBe(layout.plainSize);
        expect(last.frames.lastFrame).toBe(layout.frameCount);
        expect(last.sealedSize).toBeLessThanOrEqual(first.sealedSize);
        expect(last.sealedSize).toBeGreaterThan(0);
      }),
    );
  });

  test('the message is the same one, and no frame lies in more than three parts', () => {
    fc.assert(
      fc.property(messages(), (input) => {
        const layout = planLayout(input);
        const { equalParts, ...whole } = input;
        const { frameCount, sealedSize } = planLayout({
          ...whole,
          plainSize: Math.min(input.plainSize, maxPlainSize(whole)),
        });
        expect(layout).toMatchObject({ frameCount, sealedSize });
        for (const number of [4, layout.partCount].filter((at) => at >= 4 && at <= layout.partCount)) {
          const { firstFrame } = partOf(layout, number).frames;
          expect(partOf(layout, number - 3).frames.lastFrame).toBeLessThan(firstFrame);
        }
      }),
    );
  });
});
