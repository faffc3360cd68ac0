/** Buffers are used again where they fit, shared ones for everybody. */
import { expect, test } from 'vitest';
import { BufferPool } from '../../src/parts/buffers.ts';
import { MiB } from '../../src/units.ts';

test.each([
  ['of its size', 2 * MiB, true],
  ['of half its size', MiB, true],
  ['larger', 2 * MiB + 1, false],
  ['much smaller', MiB / 4, false],
])('a buffer that was given back, for one %s', (_, size, isTaken) => {
  const pool = new BufferPool();
  const buffer = pool.take(2 * MiB);
  pool.give(buffer);
  expect(pool.take(size) === buffer).toBe(isTaken);
});

test('shared buffers are made for who needs them, and serve others too, also once the pool is cleared', () => {
  const pool = new BufferPool();
  const own = pool.take(MiB);
  pool.give(own);
  const shared = pool.take(MiB, { isShared: true });
  expect(shared.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(own.length).toBe(0);
  pool.give(shared);
  pool.give(pool.take(4 * MiB));
  pool.give(shared);
  pool.clear();
  expect(pool.take(MiB)).toBe(shared);
});
