/** Small files are read whole, unless they keep the thread waiting, and only as they were planned. The clock here says what they took. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { SmallFiles } from '../../src/parts/small-files.ts';
import { lookAtSource } from '../../src/parts/source.ts';
import { KiB } from '../../src/units.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-small-files-'));

afterEach(() => vi.restoreAllMocks());
afterAll(() => rmSync(folder, { recursive: true }));

async function plan(size: number, name = 'file') {
  const path = join(folder, name);
  const bytes = randomBytes(size);
  writeFileSync(path, bytes);
  return { path, bytes, planned: await lookAtSource(path) };
}

function setClock(lookMs: number): void {
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    nowMs += lookMs;
    return nowMs;
  });
}

describe('a small file', () => {
  it.each([0, 1, 10 * KiB, 256 * KiB])('of %i bytes that does not wait is read whole', async (size) => {
    setClock(0);
    const { bytes, planned } = await plan(size);
    expect(Buffer.from(new SmallFiles().read(planned)!)).toEqual(bytes);
  });

  it('is the last one where it waits: the pool reads the others, and any that is larger', async () => {
    setClock(10);
    const files = new SmallFiles();
    const { planned } = await plan(5);
    expect(files.read(planned)).toHaveLength(5);
    expect(files.read(planned)).toBeUndefined();
    expect(new SmallFiles().read((await plan(256 * KiB + 1)).planned)).toBeUndefined();
  });

  it('does not wait where the disk is a fast one', async () => {
    setClock(0.15);
    const files = new SmallFiles();
    const { planned } = await plan(5);
    for (let count = 0; count < 1000; count++) expect(files.read(planned)).toHaveLength(5);
  });

  it.each<[string, (path: string) => void]>([
    ['written to', (path) => utimesSync(path, 1, 1)],
    ['cut off', (path) => truncateSync(path, 3)],
    ['grown', (path) => writeFileSync(path, 'more', { flag: 'a' })],
  ])('that was %s is refused, before it is read and while it is read', async (_how, change) => {
    const before = await plan(5);
    change(before.path);
    expect(() => new SmallFiles().read(before.planned)).toThrow(expect.objectContaining({ code: 'source-changed' }));

    const during = await plan(5);
    const { allocUnsafeSlow } = Buffer;
    // What it is to be read into is made when it was opened and found to be the planned one.
    const made = vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation((size) => {
      change(during.path);
      return allocUnsafeSlow(size);
    });
    expect(() => new SmallFiles().read(during.planned)).toThrow(expect.objectContaining({ code: 'source-changed' }));
    expect(made).toHaveBeenCalled();
  });

  it('whose place another one took is refused, and so is one that is gone', async () => {
    const { path, bytes, planned } = await plan(5);
    const other = join(folder, 'other');
    writeFileSync(other, bytes);
    renameSync(other, path);
    expect(() => new SmallFiles().read(planned)).toThrow(expect.objectContaining({ code: 'source-changed' }));
    rmSync(path);
    expect(() => new SmallFiles().read(planned)).toThrow(expect.objectContaining({ code: 'source-not-found' }));
  });
});
