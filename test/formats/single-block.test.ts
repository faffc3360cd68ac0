/** Messages of a single block: old writers made them, and they are read like a message of one frame. */
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../src/errors.ts';
import { FrameOpener } from '../../src/formats/esdk/open-frames.ts';
import { KiB } from '../../src/units.ts';
import { chunksOf, errorOf, openMessage, sealBlock, sealMessage, somePlain } from './message.ts';

test.each([0, 1, 100, 256 * KiB - 1, 256 * KiB, 600 * KiB])('%i plain bytes open', (size) => {
  const { sealed, plain } = sealBlock({ plain: somePlain(size) });
  for (const chunkSize of [997, sealed.length]) expect(openMessage(sealed, { chunkSize }).equals(plain)).toBe(true);
});

test('with any nonce: it is read from the block', () => {
  for (const nonce of [Buffer.alloc(12), Buffer.alloc(12, 0xff)]) {
    const { sealed, plain } = sealBlock({ plain: somePlain(50), nonce });
    expect(openMessage(sealed, { chunkSize: 1 })).toEqual(plain);
  }
});

test('nothing counts as verified before its last byte', () => {
  const { sealed, plain, layout, keys, header } = sealBlock({ plain: Buffer.alloc(100, 'P') });
  const opened = Buffer.alloc(100, 0xaa);
  const { messageId } = header;
  const opener = new FrameOpener({ keys, messageId, layout, firstFrame: 1, lastFrame: 1, plain: opened, offset: 0 });
  const bytes = chunksOf(sealed.subarray(layout.headerSize), 1);
  const verified = bytes.map((byte) => opener.push(byte));
  expect(verified).toEqual([...Array<number>(bytes.length - 1).fill(0), 100]);
  expect(opened).toEqual(plain);
});

describe('damage is refused', () => {
  test('of any byte, by integrity errors', () => {
    const { sealed } = sealBlock({ plain: somePlain(20) });
    for (let index = 1; index < sealed.length; index++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(sealed);
        damaged[index]! ^= mask;
        expect(errorOf(() => openMessage(damaged)).exit).toBe(EXIT.integrity);
      }
    }
  });

  test('of its end: cut off anywhere, or with bytes behind it', () => {
    for (const plainSize of [0, 20]) {
      const { sealed } = sealBlock({ plain: somePlain(plainSize) });
      for (let size = 0; size < sealed.length; size++)
        expect(errorOf(() => openMessage(sealed.subarray(0, size))).code).toBe('truncated');
      for (let more = 1; more < 50; more++)
        expect(errorOf(() => openMessage(Buffer.concat([sealed, Buffer.alloc(more)]))).code).toBe('trailing-bytes');
    }
  });

  test('of the size it gives, however large', () => {
    const { sealed, layout } = sealBlock({ plain: somePlain(20) });
    for (const [size, code] of [
      [19n, 'trailing-bytes'],
      [21n, 'truncated'],
      [2n ** 32n + 20n, 'truncated'],
      [2n ** 64n - 1n, 'truncated'],
    ] as const) {
      sealed.writeBigUInt64BE(size, layout.headerSize + 12);
      expect(errorOf(() => openMessage(sealed)).code).toBe(code);
    }
  });

  test('of a frame in its place, and of a block in the place of a frame', () => {
    const block = sealBlock({ plain: somePlain(20) });
    const framed = sealMessage({ plain: somePlain(20), frameSize: 20 });
    const bodyOf = ({ sealed, layout }: typeof block) => sealed.subarray(layout.headerSize);
    const headOf = ({ sealed, layout }: typeof block) => sealed.subarray(0, layout.headerSize);
    for (const swapped of [
      [headOf(block), bodyOf(framed)],
      [headOf(framed), bodyOf(block)],
    ]) {
      expect(errorOf(() => openMessage(Buffer.concat(swapped))).exit).toBe(EXIT.integrity);
    }
  });
});
