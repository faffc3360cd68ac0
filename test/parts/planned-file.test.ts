/** A file is read to its end however long its reads take; the clock here says what they took. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { PlannedFile } from '../../src/parts/planned-file.ts';
import { lookAtSource } from '../../src/parts/source.ts';
import { KiB, MiB } from '../../src/units.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-planned-file-'));

afterEach(() => vi.restoreAllMocks());
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads a file of `size` bytes by a clock on which each look takes `lookMs`. Resolves to the sizes of its reads. */
async function readAll({ size, lookMs }: { size: number; lookMs: number }): Promise<number[]> {
  const bytes = randomBytes(size);
  const path = join(folder, String(size));
  await writeFile(path, bytes);
  using file = new PlannedFile(await lookAtSource(path));
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    nowMs += lookMs;
    return nowMs;
  });
  const buffer = Buffer.alloc(size);
  const sizes: number[] = [];
  for (let done = 0; done < size; done += sizes.at(-1)!) {
    sizes.push(await file.read(buffer, { offset: done, size: size - done, position: done }));
  }
  expect(buffer.equals(bytes)).toBe(true);
  const past = file.read(Buffer.alloc(1), { offset: 0, size: 1, position: size });
  await expect(past).rejects.toMatchObject({ code: 'source-changed' });
  return sizes;
}

/** The pool's reads are larger. */
const areOurs = (sizes: readonly number[]) => sizes.every((size) => size <= 256 * KiB);

describe('a file', () => {
  it.each([0, 1, 256 * KiB, MiB, 3 * MiB + 5])(
    'of %i bytes whose reads do not wait is read without the pool',
    async (size) => {
      expect(await readAll({ size, lookMs: 0 })).toSatisfy(areOurs);
    },
  );

  it('lets in who waits for its thread, in pieces of whatever size it is read', async () => {
    const path = join(folder, 'odd');
    await writeFile(path, Buffer.alloc(3 * MiB));
    using file = new PlannedFile(await lookAtSource(path));
    vi.spyOn(performance, 'now').mockReturnValue(0);
    let isLetIn = false;
    const size = 100_000;
    setImmediate(() => {
      isLetIn = true;
    });
    for (let position = 0; position + size <= 2 * MiB; position += size) {
      await file.read(Buffer.alloc(size), { offset: 0, size, position });
    }
    expect(isLetIn).toBe(true);
  });

  it('whose reads wait is read by the pool from then on, in larger pieces', async () => {
    expect(await readAll({ size: 3 * MiB, lookMs: 10 })).toEqual([256 * KiB, MiB, MiB, 768 * KiB]);
  });

  it('whose reads are slower than memory, and no slower than a fast disk, is read without the pool', async () => {
    expect(await readAll({ size: 40 * MiB, lookMs: 0.2 })).toSatisfy(areOurs);
  });
});
