/** Frames that are opened many at once must come to what they come to one by one: bytes, errors, and what is proven. */
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AuthenticatedData, gcmOf } from '../../src/formats/esdk/frame.ts';
import { layoutOf } from '../../src/formats/esdk/layout.ts';
import { FrameOpener } from '../../src/formats/esdk/open-frames.ts';
import { MIN_RUN_COUNT, RunOpener } from '../../src/formats/esdk/open-run.ts';
import { KiB } from '../../src/units.ts';
import { errorOf } from './message.ts';

const HEAD = 16;
const OVERHEAD = 32;

interface Shape {
  frameSize: number;
  /** Regular frames; a final one would follow. */
  count: number;
  keySize?: number;
  messageIdSize?: number;
  nonceOf?: (number: number) => Buffer;
}

function numberNonce(number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(number, 8);
  return nonce;
}

/** Regular frames as the specification has them, written with one call of GCM each. */
function sealFrames({ frameSize, count, keySize = 32, messageIdSize = 32, nonceOf = numberNonce }: Shape) {
  const frameKey = createSecretKey(randomBytes(keySize));
  const messageId = randomBytes(messageIdSize);
  const plain = randomBytes(count * frameSize);
  const frames = Array.from({ length: count }, (_, index) => {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(index + 1);
    const size = Buffer.alloc(8);
    size.writeUInt32BE(frameSize, 4);
    const nonce = nonceOf(index + 1);
    const cipher = createCipheriv(gcmOf(frameKey), frameKey, nonce, { authTagLength: 16 });
    cipher.setAAD(Buffer.concat([messageId, Buffer.from('AWSKMSEncryptionClient Frame'), number, size]));
    const body = cipher.update(plain.subarray(index * frameSize, (index + 1) * frameSize));
    cipher.final();
    return Buffer.concat([number, nonce, body, cipher.getAuthTag()]);
  });
  const frameCount = count + 1;
  const layout = layoutOf({
    plainSize: plain.length,
    headerSize: 0,
    frameCount,
    partFrameCount: frameCount,
    frameSize,
  });
  return { keys: { frameKey }, messageId, layout, plain, sealed: Buffer.concat(frames) };
}

/** What takes them as they come, all at once or in chunks. The target's bytes are 0xaa before. */
function openerOf(message: Omit<ReturnType<typeof sealFrames>, 'plain'>, { chunkSize = Infinity, offset = 0 } = {}) {
  const { sealed, layout, keys, messageId } = message;
  const lastFrame = layout.frameCount - 1;
  const plain = Buffer.alloc(offset + layout.plainSize, 0xaa);
  const opener = new FrameOpener({ keys, messageId, layout, firstFrame: 1, lastFrame, plain, offset });
  const take = () => {
    for (let start = 0; start < sealed.length; start += chunkSize) {
      opener.push(sealed.subarray(start, start + chunkSize));
    }
    opener.finish();
  };
  return { plain: plain.subarray(offset), opener, take };
}

test('frames of any size, key and nonce open as they were sealed, from chunks of any size', () => {
  const shape = fc.record({
    frameSize: fc.oneof(fc.integer({ min: 1, max: 80 }), fc.constantFrom(512, 4 * KiB, 8 * KiB, 8 * KiB + 16)),
    count: fc.integer({ min: 1, max: 40 }),
    keySize: fc.constantFrom(16, 24, 32),
    messageIdSize: fc.constantFrom(16, 32),
    nonceOf: fc.constantFrom(numberNonce, () => randomBytes(12)),
    chunkSize: fc.integer({ min: 1, max: 100_000 }),
    offset: fc.nat(9),
  });
  fc.assert(
    fc.property(shape, ({ chunkSize, offset, ...rest }) => {
      const message = sealFrames(rest);
      const { plain, take } = openerOf(message, { chunkSize: Math.max(chunkSize, rest.frameSize >> 4), offset });
      take();
      expect(plain.equals(message.plain)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

describe('a run', () => {
  const frameSize = 32;
  const full = frameSize + OVERHEAD;
  const count = 2 * MIN_RUN_COUNT;

  test('is refused at the frame that was changed, whatever bit of it: those before it are proven, it and the others are not given', () => {
    const message = sealFrames({ frameSize, count });
    for (let position = 0; position < message.sealed.length; position++) {
      const sealed = Buffer.from(message.sealed);
      sealed[position]! ^= 1 << (position % 8);
      const { take, opener, plain } = openerOf({ ...message, sealed });
      expect(errorOf(take).code, `byte ${position}`).toBe('bad-frame');
      const { verifiedSize } = opener;
      expect(verifiedSize).toBe(Math.floor(position / full) * frameSize);
      expect(plain.subarray(0, verifiedSize).equals(message.plain.subarray(0, verifiedSize))).toBe(true);
      const behind = plain.subarray(verifiedSize);
      expect(behind.every((byte) => byte === 0xaa || byte === 0)).toBe(true);
    }
  });

  const body = (number: number) => (number - 1) * full + HEAD;
  const tag = (number: number) => number * full - 16;
  test.each([
    ['two tags', [tag(2), tag(3)]],
    ['two bodies', [body(2), body(3)]],
    ['a tag and the body behind it', [tag(2), body(3)]],
    ['a tag and its body', [body(2), tag(2)]],
    ['all tags', Array.from({ length: count }, (_, index) => tag(index + 1))],
  ])('is refused where the same change is made to %s, which would cancel out in a sum', (_what, places) => {
    const message = sealFrames({ frameSize, count });
    const change = randomBytes(16);
    const sealed = Buffer.from(message.sealed);
    for (const place of places) for (const [index, byte] of change.entries()) sealed[place + index]! ^= byte;
    const { take, opener } = openerOf({ ...message, sealed });
    expect(errorOf(take).code).toBe('bad-frame');
    expect(opener.verifiedSize).toBe(Math.floor(places[0]! / full) * frameSize);
  });

  test.each(['body', 'tag', 'body and tag'])('is refused where two frames have exchanged their %s', (what) => {
    const message = sealFrames({ frameSize, count });
    const sealed = Buffer.from(message.sealed);
    const first = what === 'tag' ? tag(2) : body(2);
    const last = what === 'body' ? tag(2) : tag(2) + 16;
    message.sealed.copy(sealed, first, first + full, last + full);
    message.sealed.copy(sealed, first + full, first, last);
    const { take, opener } = openerOf({ ...message, sealed });
    expect(errorOf(take).code).toBe('bad-frame');
    expect(opener.verifiedSize).toBe(frameSize);
  });

  test('of which one frame is not genuine writes nothing', () => {
    const { keys, messageId, layout, sealed, plain } = sealFrames({ frameSize, count });
    const authenticated = new AuthenticatedData(messageId, layout);
    const runs = new RunOpener({ frameKey: keys.frameKey, authenticated, frameSize });
    const target = Buffer.alloc(plain.length, 0xaa);
    const run = { firstFrame: 1, count, sealed, start: 0, plain: target, position: 0 };
    sealed[body(count)]! ^= 1;
    expect(runs.open(run)).toBe(false);
    expect(target.every((byte) => byte === 0xaa)).toBe(true);
    sealed[body(count)]! ^= 1;
    expect(runs.open(run)).toBe(true);
    expect(target.equals(plain)).toBe(true);
  });
});
