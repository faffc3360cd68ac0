import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { combineCrc32 } from '../../src/formats/crc32.ts';
import { chunksOf, somePlain } from './message.ts';

const bytes = () => fc.uint8Array({ maxLength: 300 });
const crc = () => fc.nat({ max: 0xffffffff });
const size = () => fc.nat({ max: 2 ** 46 });

test('two parts give the CRC32 of the whole', () => {
  fc.assert(
    fc.property(bytes(), bytes(), (a, b) => {
      expect(combineCrc32(crc32(a), crc32(b), b.length)).toBe(crc32(Buffer.concat([a, b])));
    }),
  );
});

test('10,000 parts give the CRC32 of the whole', () => {
  const whole = somePlain(10_000 * 100 - 7);
  const combined = chunksOf(whole, 100).reduce((sum, part) => combineCrc32(sum, crc32(part), part.length), 0);
  expect(combined).toBe(crc32(whole));
});

test('parts of any size combine in any grouping, far beyond 4 GiB', () => {
  fc.assert(
    fc.property(crc(), crc(), crc(), size(), size(), (a, b, c, sizeOfB, sizeOfC) => {
      const left = combineCrc32(combineCrc32(a, b, sizeOfB), c, sizeOfC);
      const right = combineCrc32(a, combineCrc32(b, c, sizeOfC), sizeOfB + sizeOfC);
      expect(left).toBe(right);
    }),
  );
});
