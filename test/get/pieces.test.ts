/** The pieces of a get: whatever range of whatever object, to 48.8 TiB, they hold every byte of it once and in order. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_PART_SIZE, layoutOfObject } from '../../src/formats/esdk/layout.ts';
import { DEFAULT_FRAME_SIZE, maxPlainSize, planLayout } from '../../src/formats/esdk/plan.ts';
import { type ByteRange, piecesOf } from '../../src/get/pieces.ts';
import { KiB, MiB } from '../../src/units.ts';

const F = DEFAULT_FRAME_SIZE;
const P = DEFAULT_PART_SIZE;
const headerSize = 500;

/** An object as a get finds it: of its layout only the size is known. */
function objectOf(plainSize: number, frameSize: number) {
  const { sealedSize } = planLayout({ plainSize, frameSize, headerSize });
  return { format: 'esdk', layout: layoutOfObject({ sealedSize, headerSize, frameSize }) } as const;
}

/** Objects and ranges of them, with the boundaries of frames and parts among both ends. */
const ranges = () =>
  fc.constantFrom(KiB, F, MiB).chain((frameSize) => {
    const most = maxPlainSize({ frameSize, headerSize });
    const near = fc.tuple(fc.constantFrom(1, frameSize, P, 3 * P, most), fc.integer({ min: -2, max: 2 }));
    const sizes = fc.oneof(
      near.map(([size, step]) => Math.max(1, Math.min(most, size + step))),
      fc.double({ min: 0, max: 1, noNaN: true }).map((fraction) => Math.max(1, Math.floor(most * fraction))),
    );
    const edges = fc.tuple(fc.constantFrom(0, frameSize, P, 2 * P), fc.integer({ min: -2, max: 2 }));
    return fc
      .record({
        plainSize: sizes,
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        before: edges.map(([edge, step]) => edge + step),
        length: edges.map(([edge, step]) => Math.max(1, edge + step)),
        toEnd: fc.boolean(),
      })
      .map(({ plainSize, at, before, length, toEnd }) => {
        const boundary = Math.floor((plainSize * at) / P) * P;
        const start = toEnd ? plainSize - length : boundary + before;
        const first = Math.max(0, Math.min(plainSize - 1, start));
        const last = toEnd ? plainSize - 1 : Math.min(plainSize - 1, first + length - 1);
        return { frameSize, plainSize, range: { first, last } };
      });
  });

describe('properties, to 48.8 TiB', () => {
  test('pieces tile the range, of the fewest frames, and the end of the object is proven by its last frame', () => {
    fc.assert(
      fc.property(ranges(), ({ frameSize, plainSize, range }) => {
        const message = objectOf(plainSize, frameSize);
        const pieces = piecesOf({ message, range });
        const all = [...pieces];
        expect(all.length).toBe(pieces.count);
        expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => pieces.firstNumber + index));
        let offset = 0;
        for (const piece of all) {
          const begin = (piece.firstUnit - 1) * frameSize;
          const end = Math.min(piece.lastUnit * frameSize, plainSize);
          const ok =
            piece.plainOffset === offset &&
            begin <= range.first + piece.plainOffset &&
            end >= range.first + piece.plainOffset + piece.plainSize &&
            (piece.lastUnit - piece.firstUnit) * frameSize < P + frameSize;
          if (!ok) expect.fail(JSON.stringify({ frameSize, plainSize, range, piece }));
          offset += piece.plainSize;
        }
        expect(offset).toBe(range.last - range.first + 1);
        expect(all[0]!.firstUnit).toBe(Math.floor(range.first / frameSize) + 1);
        const { frameCount } = message.layout;
        const lastFrame = Math.floor(range.last / frameSize) + 1;
        expect(all.at(-1)!.lastUnit).toBe(range.last === plainSize - 1 ? frameCount : lastFrame);
      }),
    );
  });

  test('the millions of the largest object are not all made before the first is wanted', () => {
    const plainSize = maxPlainSize({ frameSize: F, headerSize });
    const range: ByteRange = { first: 0, last: plainSize - 1 };
    const pieces = piecesOf({ message: objectOf(plainSize, F), range });
    expect(pieces.count).toBe(Math.ceil(plainSize / P));
    const [first] = pieces;
    expect(first).toMatchObject({ number: 1, plainOffset: 0, plainSize: P });
  });
});
