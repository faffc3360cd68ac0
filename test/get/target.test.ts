/** Names a get writes to: long ones, links, and what stays of files that could not be made. */
import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createTemporary, publish, temporaryPathFor } from '../../src/get/target.ts';
import { runHere } from '../support/here.ts';

let parent: string;
let folder: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'sealift-test-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(parent, 'target-'));
});
afterAll(() => rm(parent, { recursive: true }));

test.each([
  ['letters', 'n'.repeat(255)],
  ['characters of three bytes each', '名'.repeat(85)],
])('a name as long as a file system takes, of %s', async (_what, name) => {
  const target = join(folder, name);
  const temporary = temporaryPathFor(target);
  expect(basename(temporary).length).toBeLessThan(40);
  await createTemporary(temporary, { target, size: 3 });
  await publish(temporary, target, { overwrite: false });
  expect(await readdir(folder)).toEqual([name]);
});

test('a file that cannot be as long as it must be is not left there', async () => {
  const target = join(folder, 'file');
  // More than any file system holds.
  const made = createTemporary(temporaryPathFor(target), { target, size: 2 ** 63 });
  await expect(made).rejects.toMatchObject({ code: 'target-unwritable', message: expect.stringContaining(target) });
  expect(await readdir(folder)).toEqual([]);
});

test('of a symbolic link the link is replaced, as the help says, not the file it leads to', async () => {
  const [pointed, target] = [join(folder, 'pointed'), join(folder, 'link')];
  await writeFile(pointed, 'precious');
  await symlink(pointed, target);
  const temporary = temporaryPathFor(target);
  await createTemporary(temporary, { target, size: 3 });
  await publish(temporary, target, { overwrite: true });
  expect(await readFile(pointed, 'utf8')).toBe('precious');
  expect((await lstat(target)).isFile()).toBe(true);
  const { stdout } = await runHere(['get', '--help']);
  expect(stdout.replace(/\s+/g, ' ')).toMatch(/--overwrite replace a file that exists; of a link, the link itself/);
});
