import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_PART_SIZE,
  frameRange,
  type Layout,
  layoutOfObject,
  MAX_BLOCK_SIZE,
  MAX_FRAME_COUNT,
  partOf,
  plainSizeOfFrame,
  sealedRangeOf,
} from '../../src/formats/esdk/layout.ts';
import {
  checkFrameSize,
  DEFAULT_FRAME_SIZE,
  MAX_FRAME_SIZE,
  MAX_PART_COUNT,
  MAX_PART_SIZE,
  MIN_FRAME_SIZE,
  MIN_PART_SIZE,
  maxPlainSize,
  planLayout,
} from '../../src/formats/esdk/plan.ts';
import { MAX_FOOTER_SIZE } from '../../src/formats/esdk/signature.ts';
import { unitsCovering } from '../../src/formats/units.ts';
import { GiB, KiB, MiB, TiB } from '../../src/units.ts';
import { errorOf } from './message.ts';

const F = DEFAULT_FRAME_SIZE;
const P = DEFAULT_PART_SIZE;
const headerSize = 300;

const cut = () =>
  fc.record({
    frameSize: fc.oneof(
      fc.constantFrom(MIN_FRAME_SIZE, 4096, F, MiB, MAX_FRAME_SIZE),
      fc.integer({ min: KiB, max: MAX_FRAME_SIZE }),
    ),
    headerSize: fc.integer({ min: 120, max: 128 * KiB }),
  });

/** A cut and a plain size that fits one object, with the boundaries of frames and of the largest object among them. */
const plannable = () =>
  cut().chain((some) => {
    const max = maxPlainSize(some);
    const near = fc
      .tuple(fc.constantFrom(some.frameSize, P, 2 * P, 5 * MiB, 9500 * P, max), fc.integer({ min: -2, max: 2 }))
      .map(([size, step]) => Math.max(0, Math.min(max, size + step)));
    return fc
      .oneof(
        near,
        fc.integer({ min: 0, max: 100 * MiB }),
        fc.maxSafeInteger().map((n) => Math.abs(n) % (max + 1)),
      )
      .map((plainSize) => ({ ...some, plainSize }));
  });

describe('boundaries', () => {
  test.each([
    // plain size, frames, parts, frames in the last part
    [0, 1, 1, 1],
    [1, 1, 1, 1],
    [F - 1, 1, 1, 1],
    [F, 2, 1, 2],
    [F + 1, 2, 1, 2],
    [P - 1, 32, 1, 32],
    [P, 33, 1, 33],
    [P + 1, 33, 2, 1],
    [2 * P, 65, 2, 33],
    [2 * P + 1, 65, 3, 1],
  ])('%i plain bytes are %i frames in %i parts', (plainSize, frameCount, partCount, lastPartFrames) => {
    const layout = planLayout({ plainSize, frameSize: F, headerSize });
    expect(layout).toMatchObject({ plainSize, frameCount, partCount, partFrameCount: 32 });
    expect(layout.sealedSize).toBe(headerSize + plainSize + 32 * frameCount + 8);
    expect(partOf(layout, partCount).frames.frameCount).toBe(lastPartFrames);
  });

  test('the first part begins with the header, the last ends with the final frame', () => {
    const layout = planLayout({ plainSize: 2 * P + 5, frameSize: F, headerSize });
    const full = P + 32 * 32;
    expect(partOf(layout, 1)).toEqual({
      number: 1,
      index: 0,
      frames: {
        firstFrame: 1,
        lastFrame: 32,
        frameCount: 32,
        plainOffset: 0,
        plainSize: P,
        sealedOffset: headerSize,
        sealedSize: full,
      },
      plainOffset: 0,
      plainSize: P,
      sealedOffset: 0,
      sealedSize: headerSize + full,
      isFirst: true,
      isLast: false,
    });
    expect(partOf(layout, 2)).toMatchObject({
      frames: { firstFrame: 33, lastFrame: 64 },
      plainOffset: P,
      sealedOffset: headerSize + full,
      sealedSize: full,
    });
    expect(partOf(layout, 3)).toMatchObject({
      frames: { firstFrame: 65, lastFrame: 65 },
      plainSize: 5,
      sealedSize: 45,
      isLast: true,
    });
    for (const number of [0, 4, 1.5]) expect(() => partOf(layout, number)).toThrow(RangeError);
  });

  test.each([
    ['8 MiB parts while 9,500 of them suffice', 9500 * P, F, 32, 9500],
    ['larger parts beyond', 9500 * P + 1, F, 33, 9213],
    ['9,500 parts of nearly 5 GiB', 9500 * 20477 * F, F, 20477, 9500],
    ['more than 9,500 parts where 5 GiB would not hold a 9,500th', 10_000 * 20477 * F, F, 20477, 10_000],
  ])('%s', (_, plainSize, frameSize, partFrameCount, partCount) => {
    expect(planLayout({ plainSize, frameSize, headerSize })).toMatchObject({ partFrameCount, partCount });
  });
});

describe('properties, to 48.8 TiB', () => {
  test('parts tile the message on both sides, within the limits of S3', () => {
    fc.assert(
      fc.property(plannable(), (input) => {
        const layout = planLayout(input);
        expect(layout.partCount).toBeLessThanOrEqual(MAX_PART_COUNT);
        let plainOffset = 0;
        let sealedOffset = 0;
        let frame = 1;
        for (let number = 1; number <= layout.partCount; number++) {
          const part = partOf(layout, number);
          const within = part.sealedSize <= MAX_PART_SIZE && (part.isLast || part.sealedSize >= MIN_PART_SIZE);
          const tiles =
            part.plainOffset === plainOffset && part.sealedOffset === sealedOffset && part.frames.firstFrame === frame;
          if (!within || !tiles || part.isLast !== (number === layout.partCount))
            expect.fail(JSON.stringify({ layout, part }));
          plainOffset += part.plainSize;
          sealedOffset += part.sealedSize;
          frame += part.frames.frameCount;
        }
        expect([plainOffset, sealedOffset, frame - 1]).toEqual([
          layout.plainSize,
          layout.sealedSize,
          layout.frameCount,
        ]);
      }),
      { numRuns: 60 },
    );
  });

  test('sizes are exact: the same in integers of any size', () => {
    fc.assert(
      fc.property(plannable(), (input) => {
        const { sealedSize, frameCount } = planLayout(input);
        const [plain, frame] = [BigInt(input.plainSize), BigInt(input.frameSize)];
        const frames = plain / frame + 1n;
        expect(BigInt(frameCount)).toBe(frames);
        expect(BigInt(sealedSize)).toBe(BigInt(input.headerSize) + plain + 32n * frames + 8n);
      }),
    );
  });

  test('layoutOfObject is the inverse of planLayout', () => {
    fc.assert(
      fc.property(plannable(), (input) => {
        const planned = planLayout(input);
        const { frameSize, headerSize: header, sealedSize } = planned;
        const read = layoutOfObject({
          sealedSize,
          frameSize,
          headerSize: header,
          partSize: planned.partFrameCount * frameSize,
        });
        expect(read).toEqual(planned);
      }),
    );
  });

  test('every sealed size is either refused or the size of the layout it gives', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(2000), (frameSize, sealedSize) => {
        let layout: Layout;
        try {
          layout = layoutOfObject({ sealedSize, frameSize, headerSize });
        } catch (error) {
          expect(error).toMatchObject({ code: 'truncated' });
          return;
        }
        const sizes = Array.from({ length: layout.frameCount }, (_, index) => plainSizeOfFrame(layout, index + 1));
        expect(sizes.slice(0, -1).every((size) => size === frameSize)).toBe(true);
        expect(sizes.at(-1)).toBeGreaterThanOrEqual(0);
        expect(sizes.at(-1)).toBeLessThanOrEqual(frameSize);
        expect(headerSize + sizes.reduce((sum, size) => sum + 32 + size, 8)).toBe(sealedSize);
      }),
    );
  });

  test('a range is covered by the fewest frames', () => {
    const range = plannable()
      .filter(({ plainSize }) => plainSize > 0)
      .chain((input) => fc.tuple(fc.constant(input), fc.maxSafeInteger(), fc.maxSafeInteger()));
    fc.assert(
      fc.property(range, ([input, a, b]) => {
        const layout = planLayout(input);
        const [first, last] = [Math.abs(a) % input.plainSize, Math.abs(b) % input.plainSize].sort((x, y) => x - y) as [
          number,
          number,
        ];
        const { firstUnit, lastUnit } = unitsCovering({ format: 'esdk', layout }, { first, last });
        const cover = frameRange(layout, { firstFrame: firstUnit, lastFrame: lastUnit });
        const end = cover.plainOffset + cover.plainSize;
        expect(cover.plainOffset).toBeLessThanOrEqual(first);
        expect(end).toBeGreaterThan(last);
        expect(first - cover.plainOffset).toBeLessThan(input.frameSize);
        expect(end - last).toBeLessThanOrEqual(input.frameSize);
        expect(sealedRangeOf(layout, cover)).toEqual({
          first: cover.sealedOffset,
          last: cover.sealedOffset + cover.sealedSize - 1,
        });
      }),
    );
  });
});

describe('what other writers write', () => {
  test('an empty final frame after full ones', () => {
    const layout = layoutOfObject({
      sealedSize: headerSize + 2 * (100 + 32) + 40,
      headerSize,
      frameSize: 100,
      partSize: 200,
    });
    expect(layout).toMatchObject({ plainSize: 200, frameCount: 3, partFrameCount: 2, partCount: 1 });
    expect(plainSizeOfFrame(layout, 3)).toBe(0);
    expect(partOf(layout, 1)).toMatchObject({ plainSize: 200, frames: { frameCount: 3 }, isLast: true });
  });

  test('frames of one byte, and frames larger than a part', () => {
    expect(layoutOfObject({ sealedSize: headerSize + 33 + 41, headerSize, frameSize: 1 })).toMatchObject({
      frameCount: 2,
      plainSize: 2,
    });
    expect(layoutOfObject({ sealedSize: headerSize + 45, headerSize, frameSize: GiB })).toMatchObject({
      partFrameCount: 1,
      plainSize: 5,
    });
  });

  test.each([0, headerSize - 1, headerSize, headerSize + 39, headerSize + 40 + 101, headerSize + 40 + 131])(
    'no message is %i bytes long',
    (sealedSize) => {
      expect(errorOf(() => layoutOfObject({ sealedSize, headerSize, frameSize: 100 })).code).toBe('truncated');
    },
  );

  test.each([0, 1, 5 * GiB, MAX_BLOCK_SIZE])(
    'a single block of %i bytes: one frame that is all there is',
    (plainSize) => {
      const sealedSize = headerSize + 36 + plainSize;
      const layout = layoutOfObject({ sealedSize, headerSize, frameSize: 0 });
      expect(layout).toMatchObject({ plainSize, sealedSize, frameCount: 1, partCount: 1, singleBlock: true });
      expect(partOf(layout, 1)).toMatchObject({ plainOffset: 0, plainSize, sealedOffset: 0, sealedSize });
      expect(sealedRangeOf(layout, { firstFrame: 1, lastFrame: 1 })).toEqual({
        first: headerSize,
        last: sealedSize - 1,
      });
      if (plainSize > 0) {
        const last = { first: plainSize - 1, last: plainSize };
        expect(unitsCovering({ format: 'esdk', layout }, last)).toEqual({ firstUnit: 1, lastUnit: 1 });
      }
    },
  );

  test.each([0, headerSize, headerSize + 35, headerSize + 36 + MAX_BLOCK_SIZE + 1])(
    'no single block is %i bytes long',
    (sealedSize) => {
      expect(errorOf(() => layoutOfObject({ sealedSize, headerSize, frameSize: 0 })).code).toBe('truncated');
    },
  );

  test('no message has more than 2^32 - 1 frames', () => {
    const sealedSize = headerSize + 33 * MAX_FRAME_COUNT + 8;
    expect(layoutOfObject({ sealedSize, headerSize, frameSize: 1 }).frameCount).toBe(MAX_FRAME_COUNT);
    expect(errorOf(() => layoutOfObject({ sealedSize: sealedSize + 33, headerSize, frameSize: 1 })).code).toBe(
      'truncated',
    );
  });
});

describe('limits', () => {
  test('the largest object, exactly', () => {
    fc.assert(
      fc.property(cut(), (some) => {
        const max = maxPlainSize(some);
        const layout = planLayout({ ...some, plainSize: max });
        const fullest = layout.partFrameCount * (some.frameSize + 32) + some.headerSize + 40 + MAX_FOOTER_SIZE;
        const spent =
          layout.frameCount === MAX_FRAME_COUNT ||
          (layout.partCount === MAX_PART_COUNT && fullest + some.frameSize + 32 > MAX_PART_SIZE);
        expect(spent).toBe(true);
        expect(['too-many-parts', 'too-many-frames']).toContain(
          errorOf(() => planLayout({ ...some, plainSize: max + 1 })).code,
        );
      }),
    );
    expect(maxPlainSize({ frameSize: F, headerSize }) / TiB).toBeCloseTo(48.82, 2);
    expect(maxPlainSize({ frameSize: KiB, headerSize })).toBe(4 * TiB - KiB - 1);
  });

  test('a part stays within 5 GiB with the header before it, a final frame and a signature behind', () => {
    const frameSize = 16 * KiB;
    const mostFrames = Math.floor(MAX_PART_SIZE / (frameSize + 32));
    const room = MAX_PART_SIZE - mostFrames * (frameSize + 32);
    for (const [header, partFrameCount] of [
      [room - 40 - MAX_FOOTER_SIZE, mostFrames],
      [room - 39 - MAX_FOOTER_SIZE, mostFrames - 1],
    ] as const) {
      const plainSize = partFrameCount * frameSize;
      const layout = planLayout({ plainSize, frameSize, headerSize: header, partSize: plainSize });
      expect(layout).toMatchObject({ partFrameCount, partCount: 1 });
      expect(layout.sealedSize + MAX_FOOTER_SIZE).toBeLessThanOrEqual(MAX_PART_SIZE);
      expect(maxPlainSize({ frameSize, headerSize: header })).toBe(10_000 * plainSize);
    }
  });

  test('too many frames: names the least frame size that works, and it works', () => {
    const plainSize = 30 * TiB;
    const error = errorOf(() => planLayout({ plainSize, frameSize: KiB, headerSize }));
    expect(error.code).toBe('too-many-frames');
    const named = Number(/--frame-size that works is (\d+) bytes/.exec(error.hint)?.[1]);
    expect(planLayout({ plainSize, frameSize: named, headerSize }).frameCount).toBeLessThanOrEqual(MAX_FRAME_COUNT);
    expect(errorOf(() => planLayout({ plainSize, frameSize: named - 1, headerSize })).code).toBe('too-many-frames');
  });

  test('too many parts: names the least part size that works, and it works', () => {
    const plainSize = 10_000 * P + 1;
    const error = errorOf(() => planLayout({ plainSize, frameSize: F, headerSize, partSize: P }));
    expect(error.code).toBe('too-many-parts');
    const named = Number(/--part-size that works is (\d+) bytes/.exec(error.hint)?.[1]);
    expect(named).toBe(P + F);
    expect(planLayout({ plainSize, frameSize: F, headerSize, partSize: named }).partCount).toBeLessThanOrEqual(
      MAX_PART_COUNT,
    );
    expect(planLayout({ plainSize: plainSize - 1, frameSize: F, headerSize, partSize: P }).partCount).toBe(
      MAX_PART_COUNT,
    );
  });

  test('part sizes: 5 MiB to 5 GiB sealed, in whole frames', () => {
    const plan = (partSize: number) => planLayout({ plainSize: GiB, frameSize: F, headerSize, partSize });
    expect(plan(MIN_PART_SIZE).partFrameCount).toBe(20);
    expect(plan(MIN_PART_SIZE + 1).partFrameCount).toBe(21);
    expect(plan(20477 * F).partFrameCount).toBe(20477);
    for (const partSize of [0, -1, MIN_PART_SIZE - 1, 5.5 * MiB + 0.5, 20477 * F + 1, 5 * GiB, Number.NaN]) {
      expect(errorOf(() => plan(partSize)).code).toBe('bad-size');
    }
  });

  test('frame sizes: 1 KiB to 64 MiB', () => {
    for (const frameSize of [KiB, KiB + 1, F, 64 * MiB]) checkFrameSize(frameSize);
    for (const frameSize of [0, 1, KiB - 1, 64 * MiB + 1, 4096.5, Number.NaN]) {
      expect(errorOf(() => checkFrameSize(frameSize)).code).toBe('bad-size');
      expect(errorOf(() => planLayout({ plainSize: 1, frameSize, headerSize })).code).toBe('bad-size');
    }
  });

  test('plain sizes are whole bytes', () => {
    for (const plainSize of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => planLayout({ plainSize, frameSize: F, headerSize })).toThrow(RangeError);
    }
  });

  test('ranges: clamped at the end, and the end takes in the frame that ends it', () => {
    const cut = (plainSize: number) => ({
      format: 'esdk' as const,
      layout: planLayout({ plainSize, frameSize: F, headerSize }),
    });
    const units = (plainSize: number, first: number, last: number) => unitsCovering(cut(plainSize), { first, last });
    expect(units(3 * F + 10, F, F)).toEqual({ firstUnit: 2, lastUnit: 2 });
    expect(units(3 * F + 10, F - 1, F)).toEqual({ firstUnit: 1, lastUnit: 2 });
    expect(units(3 * F + 10, 0, 1e15)).toEqual({ firstUnit: 1, lastUnit: 4 });
    expect(units(3 * F + 10, 3 * F + 9, 3 * F + 9)).toEqual({ firstUnit: 4, lastUnit: 4 });
    expect(units(3 * F, 0, 3 * F - 2)).toEqual({ firstUnit: 1, lastUnit: 3 });
    expect(units(3 * F, 0, 3 * F - 1)).toEqual({ firstUnit: 1, lastUnit: 4 });
    expect(units(0, 0, -1)).toEqual({ firstUnit: 1, lastUnit: 1 });
  });
});
