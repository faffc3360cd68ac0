import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../src/errors.ts';
import { headerBytes } from '../../src/formats/esdk/header.ts';
import { frameRange, partOf, sealedRangeOf } from '../../src/formats/esdk/layout.ts';
import { FrameOpener } from '../../src/formats/esdk/open-frames.ts';
import { PartSealer, sealFrames } from '../../src/formats/esdk/seal-frames.ts';
import { unitsCovering } from '../../src/formats/units.ts';
import { KiB } from '../../src/units.ts';
import { chunksOf, errorOf, openMessage, type SomeMessage, sealMessage, somePlain } from './message.ts';

const F = 32;
const FULL = F + 32;

function openerOf(message: SomeMessage, range: { firstFrame: number; lastFrame: number }) {
  const plain = Buffer.alloc(frameRange(message.layout, range).plainSize, 0xaa);
  const { keys, layout, header } = message;
  return { plain, opener: new FrameOpener({ keys, layout, messageId: header.messageId, ...range, plain, offset: 0 }) };
}

/** Seals 3 1/2 frames: the message that the tests below damage. */
function victim() {
  const message = sealMessage({ plain: somePlain(3 * F + 16), frameSize: F });
  const start = message.layout.headerSize;
  const frames = [0, 1, 2].map((index) => message.sealed.subarray(start + index * FULL, start + (index + 1) * FULL));
  frames.push(message.sealed.subarray(start + 3 * FULL));
  return { ...message, head: message.sealed.subarray(0, start), frames };
}

describe('one message', () => {
  const F1 = 1024;
  const P1 = 3 * F1;

  test.each([0, 1, F1 - 1, F1, F1 + 1, P1 - 1, P1, P1 + 1, 2 * P1])('of %i plain bytes opens again', (size) => {
    const { sealed, plain, layout } = sealMessage({ plain: somePlain(size), frameSize: F1, partSize: P1 });
    expect(openMessage(sealed)).toEqual(plain);
    expect(layout.frameCount).toBe(Math.floor(size / F1) + 1);
  });

  test('comes out of parts sealed in any order, from chunks of any size', () => {
    const shape = fc.record({
      size: fc.nat(20 * F),
      frameSize: fc.integer({ min: 1, max: 2 * F }),
      partFrames: fc.integer({ min: 1, max: 5 }),
      chunkSize: fc.integer({ min: 1, max: 3 * F }),
      fullFinalFrame: fc.boolean(),
      seed: fc.infiniteStream(fc.double({ noNaN: true })),
    });
    fc.assert(
      fc.property(shape, ({ size, frameSize, partFrames, chunkSize, fullFinalFrame, seed }) => {
        const frames = Math.max(1, Math.floor(size / frameSize));
        const plain = somePlain(fullFinalFrame ? frames * frameSize : size);
        const request = { plain, frameSize, fullFinalFrame };
        const whole = sealMessage({ ...request, partSize: 1000 * frameSize });
        const shuffle = (numbers: number[]) =>
          numbers
            .map((n) => ({ n, at: seed.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ n }) => n);
        const parted = sealMessage({ ...request, partSize: partFrames * frameSize, order: shuffle, chunkSize });
        expect(parted.sealed).toEqual(whole.sealed);
        expect(Buffer.concat(parted.tags)).toEqual(Buffer.concat(whole.tags));
        expect(openMessage(parted.sealed, { chunkSize })).toEqual(plain);
      }),
    );
  });

  test('with frames larger than a slice of the cipher, in chunks that straddle', () => {
    const plain = somePlain(1500 * KiB);
    const { sealed } = sealMessage({ plain, frameSize: 600 * KiB, partSize: 600 * KiB, chunkSize: 333_333 });
    expect(openMessage(sealed, { chunkSize: 77_777 }).equals(plain)).toBe(true);
  });

  test('has the tags that stand behind its frames', () => {
    const { tags, frames } = victim();
    expect(Buffer.concat(tags)).toEqual(Buffer.concat(frames.map((frame) => frame.subarray(-16))));
  });

  test('has its frames numbered in their nonces, from 1', () => {
    const { frames } = victim();
    expect(frames.slice(0, 3).map((frame) => frame.subarray(4, 16).toString('hex'))).toEqual(
      [1, 2, 3].map((number) => `${'00'.repeat(8)}${number.toString(16).padStart(8, '0')}`),
    );
    expect(frames[3]!.subarray(0, 24).toString('hex')).toBe(`ffffffff00000004${'00'.repeat(11)}0400000010`);
  });

  test('does not open under another data key', () => {
    expect(errorOf(() => openMessage(victim().sealed, { dataKey: Buffer.alloc(32, 1) })).code).toBe('bad-header');
  });
});

describe('a part', () => {
  test('is sealed where the caller says, and nowhere else', () => {
    const { layout, keys, header, plain, sealed } = victim();
    const part = partOf(layout, 1);
    const target = Buffer.alloc(part.sealedSize + 20, 0xee);
    const request = {
      keys,
      messageId: header.messageId,
      layout,
      frames: part.frames,
      plain: plain.subarray(0, part.plainSize),
    };
    const { size } = sealFrames({ ...request, sealed: target, offset: 10 });
    expect(size).toBe(part.sealedSize - layout.headerSize);
    expect(target.subarray(10, 10 + size)).toEqual(sealed.subarray(layout.headerSize, part.sealedSize));
    expect(Buffer.concat([target.subarray(0, 10), target.subarray(10 + size)]).every((byte) => byte === 0xee)).toBe(
      true,
    );
    expect(() => sealFrames({ ...request, sealed: Buffer.alloc(size + 9), offset: 10 })).toThrow(RangeError);
  });

  test('takes neither fewer nor more plain bytes than planned', () => {
    for (const emptyMessage of [false, true]) {
      const { layout, keys, header } = sealMessage({ plain: somePlain(emptyMessage ? 0 : 4 * F), frameSize: F });
      const part = partOf(layout, layout.partCount);
      const sealer = () =>
        new PartSealer({
          keys,
          messageId: header.messageId,
          layout,
          frames: part.frames,
          sealed: Buffer.alloc(500),
          offset: 0,
        });
      expect(() => sealer().push(somePlain(part.plainSize + 1))).toThrow(RangeError);
      if (part.plainSize === 0) continue;
      const short = sealer();
      short.push(somePlain(part.plainSize - 1));
      expect(() => short.finish()).toThrow(RangeError);
    }
  });

  test('never seals a frame of the next part, even where there is room', () => {
    const { layout, keys, header, plain } = victim();
    const sealed = Buffer.alloc(1000);
    const sealer = new PartSealer({
      keys,
      messageId: header.messageId,
      layout,
      frames: partOf(layout, 1).frames,
      sealed,
      offset: 0,
    });
    expect(() => sealer.push(plain)).toThrow(RangeError);
    expect(sealed.subarray(3 * FULL)).toEqual(Buffer.alloc(1000 - 3 * FULL));
  });

  test('opens alone, as every range of frames does', () => {
    const message = sealMessage({ plain: somePlain(7 * F + 3), frameSize: F });
    for (let first = 0; first < message.plain.length; first += 19) {
      for (let last = first; last < message.plain.length; last += 23) {
        const { firstUnit, lastUnit } = unitsCovering({ format: 'esdk', layout: message.layout }, { first, last });
        const range = frameRange(message.layout, { firstFrame: firstUnit, lastFrame: lastUnit });
        const bytes = sealedRangeOf(message.layout, range);
        const { plain, opener } = openerOf(message, range);
        expect(opener.push(message.sealed.subarray(bytes.first, bytes.last + 1))).toBe(plain.length);
        opener.finish();
        expect(plain).toEqual(message.plain.subarray(range.plainOffset, range.plainOffset + range.plainSize));
      }
    }
  });

  test('is refused in the place of another part', () => {
    const message = sealMessage({ plain: somePlain(9 * F), frameSize: F });
    const { opener } = openerOf(message, { firstFrame: 1, lastFrame: 3 });
    const { sealedOffset, sealedSize } = partOf(message.layout, 2);
    expect(errorOf(() => opener.push(message.sealed.subarray(sealedOffset, sealedOffset + sealedSize))).code).toBe(
      'bad-frame',
    );
  });

  test('is refused in another message, even of the same data key', () => {
    const [one, other] = [1, 2].map((byte) =>
      sealMessage({ plain: somePlain(9 * F), frameSize: F, random: Buffer.alloc(16, byte) }),
    );
    const { sealedOffset, sealedSize } = partOf(one!.layout, 2);
    other!.sealed.copy(one!.sealed, sealedOffset, sealedOffset, sealedOffset + sealedSize);
    expect(errorOf(() => openMessage(one!.sealed))).toMatchObject({
      code: 'bad-frame',
      message: expect.stringContaining('Frame 4 of 10'),
    });
  });
});

describe('damage is refused', () => {
  test('of any byte of header or frames, by integrity errors', () => {
    for (const fullFinalFrame of [false, true]) {
      const { sealed } = sealMessage({ plain: somePlain(2 * F), frameSize: F, fullFinalFrame });
      for (let index = 0; index < sealed.length; index++) {
        for (const mask of [0x01, 0x80, 0xff]) {
          const damaged = Buffer.from(sealed);
          damaged[index]! ^= mask;
          const error = errorOf(() => openMessage(damaged));
          expect(error.exit === EXIT.integrity || (index === 0 && error.code === 'not-sealed')).toBe(true);
        }
      }
    }
  });

  test('of frames, naming the frame', () => {
    const { sealed, layout } = victim();
    for (let index = layout.headerSize; index < layout.headerSize + 3 * FULL; index++) {
      const damaged = Buffer.from(sealed);
      damaged[index]! ^= 0x20;
      const number = Math.floor((index - layout.headerSize) / FULL) + 1;
      expect(errorOf(() => openMessage(damaged))).toMatchObject({
        code: 'bad-frame',
        message: expect.stringContaining(`Frame ${number} of 4`),
      });
    }
  });

  test('of their order: swapped, dropped, repeated', () => {
    const { head, frames, sealed } = victim();
    const joined = (...order: number[]) => Buffer.concat([head, ...order.map((index) => frames[index]!)]);
    expect(joined(0, 1, 2, 3)).toEqual(sealed);
    const cases: [string, Buffer, string][] = [
      ['1 and 2 swapped', joined(1, 0, 2, 3), 'bad-frame'],
      ['2 and 3 swapped', joined(0, 2, 1, 3), 'bad-frame'],
      ['3 and last swapped', joined(0, 1, 3, 2), 'trailing-bytes'],
      ['1 dropped', joined(1, 2, 3), 'bad-frame'],
      ['2 dropped', joined(0, 2, 3), 'bad-frame'],
      ['3 dropped', joined(0, 1, 3), 'bad-frame'],
      ['last dropped', joined(0, 1, 2), 'truncated'],
      ['1 repeated', joined(0, 0, 1, 2, 3), 'bad-frame'],
      ['3 repeated', joined(0, 1, 2, 2, 3), 'bad-frame'],
      ['last repeated', joined(0, 1, 2, 3, 3), 'trailing-bytes'],
      ['all repeated', joined(0, 1, 2, 3, 0, 1, 2, 3), 'trailing-bytes'],
    ];
    for (const [name, damaged, code] of cases)
      expect([name, errorOf(() => openMessage(damaged)).code]).toEqual([name, code]);
  });

  test('of their end: cut off anywhere, or with bytes behind it', () => {
    for (const fullFinalFrame of [false, true]) {
      const { sealed } = sealMessage({ plain: somePlain(3 * F), frameSize: F, fullFinalFrame });
      for (let size = 0; size < sealed.length; size++)
        expect(errorOf(() => openMessage(sealed.subarray(0, size))).code).toBe('truncated');
      for (let more = 1; more < 3 * FULL; more++) {
        const error = errorOf(() => openMessage(Buffer.concat([sealed, Buffer.alloc(more)])));
        expect(['trailing-bytes', 'truncated']).toContain(error.code);
      }
    }
  });
});

describe('the opener', () => {
  test('counts only what is verified, and wipes what fails', () => {
    const secret = Buffer.alloc(4 * F, 'P');
    const message = sealMessage({ plain: secret, frameSize: F });
    const { headerSize } = message.layout;
    message.sealed[headerSize + 3 * FULL - 1]! ^= 1;
    const { plain, opener } = openerOf(message, { firstFrame: 1, lastFrame: 4 });
    const body = message.sealed.subarray(headerSize);
    const verified = chunksOf(body.subarray(0, 3 * FULL - 1), 1).map((byte) => opener.push(byte));
    expect(verified).toEqual(verified.map((_, index) => Math.floor((index + 1) / FULL) * F));
    const error = errorOf(() => opener.push(body.subarray(3 * FULL - 1)));
    expect(error).toMatchObject({ code: 'bad-frame', message: expect.stringContaining('Frame 3 of 5') });
    expect(opener.verifiedSize).toBe(2 * F);
    expect(plain).toEqual(Buffer.concat([secret.subarray(0, 2 * F), Buffer.alloc(F), Buffer.alloc(F, 0xaa)]));
    expect(errorOf(() => opener.push(body))).toBe(error);
    expect(errorOf(() => opener.finish())).toBe(error);
  });

  test('wipes an unfinished frame at the end', () => {
    const message = sealMessage({ plain: Buffer.alloc(2 * F, 'P'), frameSize: F, fullFinalFrame: true });
    const { plain, opener } = openerOf(message, { firstFrame: 1, lastFrame: 2 });
    opener.push(message.sealed.subarray(message.layout.headerSize, -1));
    expect(errorOf(() => opener.finish()).code).toBe('truncated');
    expect(plain.subarray(F)).toEqual(Buffer.alloc(F));
  });

  test('takes nothing behind its last frame', () => {
    const message = sealMessage({ plain: somePlain(3 * F), frameSize: F });
    const { opener } = openerOf(message, { firstFrame: 1, lastFrame: 2 });
    const { first, last } = sealedRangeOf(message.layout, { firstFrame: 1, lastFrame: 2 });
    expect(errorOf(() => opener.push(message.sealed.subarray(first, last + 2))).code).toBe('trailing-bytes');
    expect(errorOf(() => opener.finish()).code).toBe('trailing-bytes');
  });

  test('reads the nonce from the frame: some writers do not use its number', () => {
    const message = sealMessage({ plain: somePlain(F), frameSize: F });
    expect(headerBytes(message.header)).toHaveLength(message.layout.headerSize);
    message.sealed[message.layout.headerSize + 8]! ^= 1;
    expect(errorOf(() => openMessage(message.sealed)).code).toBe('bad-frame');
  });
});
