/** Every cut of a long message, and ten thousand random ones: in parts or at once, the bytes are the same. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  anyCase,
  checkCase,
  openInParts,
  sealAtOnce,
  sealInParts,
  someKey,
  somePlain,
} from '../formats/gcm-message.ts';

const KiB = 1024;

test('every 16-byte cut of 256 KiB seals and opens as one call does', () => {
  const message = { key: someKey(), iv: Buffer.alloc(12, 1), additional: Buffer.from([0, 0x73]) };
  const plain = somePlain(256 * KiB);
  const expected = sealAtOnce(message, plain);
  let cutCount = 0;
  for (let cut = 0; cut <= plain.length; cut += 16) {
    const cuts = [cut];
    const sealed = sealInParts(message, plain, { cuts });
    const opened = openInParts(message, expected.sealed, { cuts });
    if (!sealed.sealed.equals(expected.sealed) || !sealed.tag.equals(expected.tag)) throw new Error(`sealing, ${cut}`);
    if (!opened.plain.equals(plain) || !opened.tag.equals(expected.tag)) throw new Error(`opening, ${cut}`);
    cutCount++;
  }
  expect(cutCount).toBe(16 * KiB + 1);
});

test('10,000 random cuts, orders, additional data and lengths', () => {
  fc.assert(
    fc.property(anyCase, ({ seed, size, iv, additional, ...how }) => {
      checkCase({ key: someKey(seed), iv, additional }, somePlain(size, seed), how);
    }),
    { numRuns: 10_000 },
  );
});
