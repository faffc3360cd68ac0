/** A file is read to its end however long its reads take; the clock here says what they took. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { FileReader } from '../../src/parts/file-reader.ts';
import { MiB } from '../../src/units.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-file-reader-'));

afterEach(() => vi.restoreAllMocks());
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads a file of `size` bytes by a clock on which each look takes `lookMs`. Resolves to the reads that the pool made. */
async function readAll({ size, lookMs }: { size: number; lookMs: number }) {
  const bytes = randomBytes(size);
  const path = join(folder, String(size));
  await writeFile(path, bytes);
  await using file = await open(path);
  const pool = vi.spyOn(file, 'read');
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    nowMs += lookMs;
    return nowMs;
  });
  const reader = new FileReader(file);
  const buffer = Buffer.alloc(size + 1);
  const sizes: number[] = [];
  let done = 0;
  for (let read = -1; read !== 0; done += read) {
    read = await reader.read(buffer, { offset: done, size: buffer.length - done, position: done });
    sizes.push(read);
  }
  expect(buffer.subarray(0, done).equals(bytes)).toBe(true);
  return { poolReads: pool.mock.calls.length, sizes };
}

describe('a file', () => {
  it.each([0, 1, 256 * 1024, MiB, 3 * MiB + 5])(
    'of %i bytes whose reads do not wait is read without the pool',
    async (size) => {
      expect((await readAll({ size, lookMs: 0 })).poolReads).toBe(0);
    },
  );

  it('whose reads wait is read by the pool from then on, in larger pieces', async () => {
    const { poolReads, sizes } = await readAll({ size: 3 * MiB, lookMs: 10 });
    expect(sizes).toEqual([256 * 1024, MiB, MiB, 768 * 1024, 0]);
    expect(poolReads).toBe(4);
  });

  it('whose reads are slower than memory, and no slower than a fast disk, is read without the pool', async () => {
    expect((await readAll({ size: 40 * MiB, lookMs: 0.2 })).poolReads).toBe(0);
  });
});
