/**
 * `equalParts`, on a server that takes no others. Frames straddle the parts: such a frame is sealed with both, and has
 * one plaintext all the same, or nothing of the second part leaves.
 */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Layout, partOf } from '../../src/formats/esdk/layout.ts';
import { DEFAULT_FRAME_SIZE } from '../../src/formats/esdk/plan.ts';
import { MiB } from '../../src/units.ts';
import { changeQuietly } from '../support/files.ts';
import { attemptOf, ofType, openStage, PART_2_FAILS, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

const EQUAL = { partSize: PART_SIZE, equalParts: true };

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ equalParts: true });
});
afterAll(() => stage.close());

/** The parts that reached the sandbox, by number and size. */
function sent({ key }: Plot): [number, number][] {
  const parts = stage.requests.filter((request) => request.operation === 'UploadPart' && request.key === key);
  return parts.map(({ partNumber, bytesIn }) => [partNumber!, bytesIn]);
}

/** Of parts of 20 frames the header pushes the twentieth into the second. */
const SHARED_FRAME = 20;
/** A plain byte of it, whose sealed form is sent with the first part. */
const SHARED_BYTE = (SHARED_FRAME - 1) * DEFAULT_FRAME_SIZE + 5;

function framesOf({ layout }: { layout: Layout }, number: number): number[] {
  const { firstFrame, frameCount } = partOf(layout, number).frames;
  return Array.from({ length: frameCount }, (_, index) => firstFrame + index);
}

describe('a server that wants equal parts', () => {
  test('refuses others, and the error names the flag', async () => {
    const plot = stage.plot('unequal');
    await expect(stage.put(plot)).rejects.toMatchObject({
      code: 'store-error',
      message: expect.stringContaining('same length'),
      hint: expect.stringContaining('--fresh --equal-parts'),
    });
    const { result } = await stage.put(plot, { ...EQUAL, fresh: true });
    expect(result).toMatchObject({ parts: 3, warnings: [] });
    await stage.expectEqual(plot);
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test.each([5 * MiB, 10 * MiB - 1, 10 * MiB, 17 * MiB + 3])('takes %i bytes', async (size) => {
    const plot = stage.plot(`of ${size}`, size);
    const { result, events } = await stage.put(plot, EQUAL);
    expect(result.plainBytes).toBe(size);
    expect(ofType(events, 'progress').at(-1)).toMatchObject({ ackedBytes: size, totalBytes: size });
    await stage.expectEqual(plot);
  });
});

describe('interrupted', () => {
  test('it goes on, and sends a part again as it was', async () => {
    const plot = stage.plot('again');
    await stage.failedPut(plot, 'UploadPart(part=2):*=lose-answer', 'store-unavailable', EQUAL);
    const { uploadId } = attemptOf(plot);
    const before = await stage.partEtags(plot, uploadId!);
    const { result } = await stage.put(plot, EQUAL);
    expect(result.partsReused).toBe(1);
    const [size] = sent(plot).map(([, bytes]) => bytes);
    expect(sent(plot).map(([number]) => number)).toEqual([1, 2, 2, 3]);
    expect(
      new Set(
        sent(plot)
          .slice(0, 3)
          .map(([, bytes]) => bytes),
      ),
    ).toEqual(new Set([size]));
    expect([...before.keys()]).toEqual([1, 2]);
    await stage.expectEqual(plot);
  });

  test('it is not gone on with by unequal parts', async () => {
    const plot = stage.plot('options');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    await expect(stage.put(plot, EQUAL)).rejects.toMatchObject({ code: 'options-differ' });
  });

  test('it starts under a new key where a frame of two parts has changed', async () => {
    const plot = stage.plot('changed');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', EQUAL);
    const before = attemptOf(plot);
    for (const number of [1, 2]) expect(framesOf(before, number)).toContain(SHARED_FRAME);
    changeQuietly(plot.source, [SHARED_BYTE]);
    const { events } = await stage.put(plot, EQUAL);
    expect(ofType(events, 'restart')).toHaveLength(1);
    expect(attemptOf(plot).message.messageId).not.toEqual(before.message.messageId);
    await stage.expectEqual(plot);
  });
});

test('a frame of two parts that changes between them: nothing of the second leaves', async () => {
  const plot = stage.plot('between');
  const { source, target } = plot;
  let changed = false;
  const put = stage.shared.put({
    ...{ source, target, ...EQUAL },
    onEvent({ type }) {
      if (type !== 'progress' || changed) return;
      changed = true;
      changeQuietly(source, [SHARED_BYTE]);
    },
  });
  await expect(put).rejects.toMatchObject({ code: 'source-changed' });
  expect(changed).toBe(true);
  expect(sent(plot).map(([number]) => number)).toEqual([1]);
  expect(await stage.uploadIds(plot)).toEqual([]);
});

test('what cannot be cut so is refused before it is read: a pipe, whose parts grow, and a signed object', async () => {
  const plot = stage.plot('refused');
  const { target } = plot;
  const refusal = { code: 'bad-option', hint: expect.stringContaining('--equal-parts') };
  const source = Readable.from([Buffer.alloc(10)]);
  await expect(stage.shared.put({ source, target, equalParts: true })).rejects.toMatchObject(refusal);
  await expect(stage.put(plot, { ...EQUAL, sign: true })).rejects.toMatchObject(refusal);
  expect(stage.requests.filter(({ key }) => key === plot.key)).toEqual([]);
});
