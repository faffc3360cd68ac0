/** Names at the limits of what a file system and S3 take, and names that are not UTF-8: exactly, or not at all. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeKeyFile } from '../../src/index.ts';
import { run } from '../support/cli.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';

const MAX_NAME_SIZE = 255;
/** Linux takes one byte less than PATH_MAX. */
const MAX_PATH_SIZE = 4095;

let stage: Stage;
let folder: string;
beforeAll(async () => {
  stage = await openStage();
  folder = join(stage.folder, 'names');
  mkdirSync(folder);
});
afterAll(() => stage.close());

/** Puts a file of this path and gets it back into another. */
async function thereAndBack(source: string, key: string, back: string): Promise<void> {
  writeFileSync(source, key);
  const target = `s3://${BUCKET}/${key}`;
  await stage.shared.put({ source, target });
  await stage.shared.get({ source: target, target: back });
  expect(readFileSync(back, 'utf8')).toBe(key);
}

/** A path of exactly `size` bytes whose last name has `nameSize`, in folders that are there. */
function pathOf(size: number, nameSize: number): string {
  let path = folder;
  for (let left = size - nameSize - 1 - path.length; left > 0; left = size - nameSize - 1 - path.length) {
    // The last folder but one leaves room for a name of at least one byte.
    path = join(path, 'd'.repeat(left <= MAX_NAME_SIZE + 1 ? left - 1 : Math.min(MAX_NAME_SIZE, left - 3)));
  }
  mkdirSync(path, { recursive: true });
  return join(path, 'f'.repeat(nameSize));
}

describe('the longest', () => {
  test('names of files', async () => {
    const name = 'ä'.repeat(Math.floor(MAX_NAME_SIZE / 2));
    await thereAndBack(join(folder, `${name}s`), 'long-name', join(folder, `${name}b`));
  });

  test('key', async () => {
    await thereAndBack(join(folder, 'source'), 'ü'.repeat(512), join(folder, 'back'));
    const put = { source: join(folder, 'source'), target: `s3://${BUCKET}/${'ü'.repeat(512)}x` };
    await expect(stage.shared.put(put)).rejects.toMatchObject({
      code: 'bad-url',
      message: expect.stringContaining('1024'),
    });
  });

  test('path', async () => {
    await thereAndBack(pathOf(MAX_PATH_SIZE, 100), 'long-path', pathOf(MAX_PATH_SIZE, 99));
  });

  test('path, but no room for the hidden name beside it: refused, and nothing is left', async () => {
    const target = pathOf(MAX_PATH_SIZE, 3);
    const jobs = stage.shared.jobs();
    const refused = { code: 'target-unwritable', hint: expect.stringContaining('shorter path') };
    for (const path of [target, `${target}x`]) {
      const get = stage.shared.get({ source: `s3://${BUCKET}/long-path`, target: path });
      await expect(get).rejects.toMatchObject(refused);
    }
    expect(readdirSync(dirname(target))).toEqual([]);
    expect(stage.shared.jobs()).toEqual(jobs);
  });
});

describe.runIf(process.platform === 'linux')('a name that is not UTF-8', () => {
  const words: [name: string, words: string][] = [
    ['a source', `put $'bad\\xff' file://$PWD/object --raw-key key`],
    ['a target', `get file://$PWD/letter $'out\\xff' --raw-key key`],
    ['an object', `put letter s3://${BUCKET}/$'bad\\xff' --raw-key key`],
    ['a variable', `keygen new`],
  ];

  test.each(words)('is refused before anything is done: %s', async (name, typed) => {
    const cwd = join(stage.folder, name);
    mkdirSync(cwd);
    await writeKeyFile(join(cwd, 'key'));
    writeFileSync(join(cwd, 'letter'), 'letter');
    const before = readdirSync(cwd);
    const prefix = name === 'a variable' ? `SEALIFT_STATE_DIR=$'state\\xff' ` : '';
    const { exit, stderr } = await run([], { cwd, under: ['bash', '-c', `${prefix}"$@" ${typed}`, 'bash'] });
    expect(stderr).toMatch(
      /^sealift: The (argument ".*\ufffd"|value of SEALIFT_STATE_DIR) is not UTF-8 \(usage\)\nNames /,
    );
    expect(exit).toBe(2);
    expect(readdirSync(cwd)).toEqual(before);
  });

  test('is not the name that looks like it', async () => {
    const { exit } = await run(['keygen', 'looks-like-\ufffd'], { cwd: folder });
    expect(exit).toBe(0);
    expect(readdirSync(folder)).toContain('looks-like-\ufffd');
  });
});
