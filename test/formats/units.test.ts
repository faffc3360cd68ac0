/** How the sealed bytes of a message are given to whoever opens them. */
import { expect, test } from 'vitest';
import { planLayout as planFrames } from '../../src/formats/esdk/plan.ts';
import { planLayout as planBlocks } from '../../src/formats/s3ec/layout.ts';
import { sliceSizeOf } from '../../src/formats/units.ts';
import { GiB, KiB, MiB } from '../../src/units.ts';

const partSize = 8 * MiB;
const plainSize = GiB;

test.each([
  { frameSize: KiB, count: 248 },
  { frameSize: 4 * KiB, count: 64 },
  { frameSize: 256 * KiB, count: 1 },
  { frameSize: 384 * KiB, count: 1 },
])('slices of frames of $frameSize bytes hold $count of them, whole', ({ frameSize, count }) => {
  const layout = planFrames({ plainSize, frameSize, partSize, headerSize: 400 });
  expect(sliceSizeOf({ format: 'esdk', layout })).toBe(count * (frameSize + 32));
});

test('larger frames are cut, and blocks are whole in any slice', () => {
  const layout = planFrames({ plainSize, frameSize: MiB, partSize, headerSize: 400 });
  expect(sliceSizeOf({ format: 'esdk', layout })).toBe(256 * KiB);
  expect(sliceSizeOf({ format: 's3ec', layout: planBlocks({ plainSize, partSize }) })).toBe(256 * KiB);
});
