/**
 * Where restored files may go: into the folder that was named, whatever an object is called and whatever lies in the
 * folder already.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filePartsOf } from '../../src/parts/file-names.ts';
import { Folders } from '../../src/parts/folders.ts';
import { writeRestored } from '../../src/parts/restored-file.ts';

describe('the name of an object as that of a file', () => {
  const refused: [name: string, why: RegExp][] = [
    ['', /empty/],
    ['/etc/passwd', /begins with a slash/],
    ['folder/', /ends with a slash/],
    ['a//b', /two slashes/],
    ['..', /".."/],
    ['a/../../b', /".."/],
    ['./a', /"\."/],
    ['a\0b', /zero byte/],
    ['a\ud800', /Unicode/],
    ['é'.repeat(128), /longer than 255 bytes/],
  ];

  test.each(refused)('%j is none', (name, why) => {
    expect(() => filePartsOf(name)).toThrow(
      expect.objectContaining({ code: 'bad-name', message: expect.stringMatching(why) }),
    );
  });

  test('others are taken as they stand, control characters and all', () => {
    expect(filePartsOf('a/...b/\u202etxt.exe\n')).toEqual(['a', '...b', '\u202etxt.exe\n']);
    expect(filePartsOf('CON/aux.txt', 'linux')).toEqual(['CON', 'aux.txt']);
  });

  test.each(['CON', 'a/aux.txt', 'com1', 'nul .x', 'a:b', 'a\\..\\b', 'dot.', 'blank ', 'C:'])(
    '%j is none on Windows',
    (name) => {
      expect(() => filePartsOf(name, 'win32')).toThrow(expect.objectContaining({ code: 'bad-name' }));
    },
  );

  test('no name leads out of the folder, and no two lead to one file', () => {
    const pieces = fc.constantFrom('a', '..', '.', '', '/', '\\', '\0', ' ', '..a');
    const names = fc.array(pieces, { maxLength: 7 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(names, (name) => {
        let path: string;
        try {
          path = join('/target', ...filePartsOf(name));
        } catch {
          return;
        }
        expect(path).toBe(`/target/${name}`);
      }),
    );
  });
});

describe('the folders that lead to it', () => {
  let root: string;
  let elsewhere: string;
  let folders: Folders;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sealift-test-'));
    elsewhere = mkdtempSync(join(tmpdir(), 'sealift-test-'));
    folders = new Folders(root);
  });
  afterEach(async () => {
    await folders.close();
    for (const folder of [root, elsewhere]) rmSync(folder, { recursive: true });
  });

  const write = async (name: string, { overwrite = false, text = 'restored' } = {}) => {
    const parts = filePartsOf(name);
    const own = parts.pop()!;
    const means = {
      hiddenName: '.sealift-0123456789abcdef',
      shown: name,
      mtime: 1_700_000_000,
      mode: 0o640,
      overwrite,
    };
    await writeRestored({ folder: await folders.folderOf(parts), name: own, bytes: Buffer.from(text), ...means });
  };

  test('are made where they are missing', async () => {
    await write('a/b/c');
    expect(readFileSync(join(root, 'a/b/c'), 'utf8')).toBe('restored');
    expect(readdirSync(join(root, 'a/b'))).toEqual(['c']);
  });

  test.each(['link/file', 'a/link/b/file', 'dangling/file', 'file/below'])(
    '%s leads through what is no folder',
    async (name) => {
      mkdirSync(join(root, 'a'));
      writeFileSync(join(root, 'file'), 'a file');
      symlinkSync(elsewhere, join(root, 'link'));
      symlinkSync(elsewhere, join(root, 'a/link'));
      symlinkSync(join(elsewhere, 'nowhere'), join(root, 'dangling'));
      await expect(write(name)).rejects.toMatchObject({ code: 'bad-name' });
      expect(readdirSync(elsewhere)).toEqual([]);
    },
  );

  test.runIf(process.platform === 'linux')(
    'one that is swapped for a link while we work leads nowhere else',
    async () => {
      await write('a/before');
      renameSync(join(root, 'a'), join(root, 'moved'));
      symlinkSync(elsewhere, join(root, 'a'));
      await write('a/after');
      expect(readdirSync(elsewhere)).toEqual([]);
      expect(readdirSync(join(root, 'moved')).sort()).toEqual(['after', 'before']);
    },
  );

  test('a link in the place of the file is not written through', async () => {
    const outside = join(elsewhere, 'outside');
    symlinkSync(outside, join(root, 'file'));
    await expect(write('file')).rejects.toMatchObject({ code: 'target-exists' });
    await write('file', { overwrite: true });
    expect(existsSync(outside)).toBe(false);
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('restored');
  });

  test('a file stays unless it is to be replaced, and a folder stays in any case', async () => {
    mkdirSync(join(root, 'folder'));
    writeFileSync(join(root, 'file'), 'older');
    await expect(write('file')).rejects.toMatchObject({ code: 'target-exists' });
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('older');
    await write('file', { overwrite: true });
    for (const overwrite of [false, true]) {
      await expect(write('folder', { overwrite })).rejects.toMatchObject({ code: 'bad-name' });
    }
    expect(readdirSync(root).sort()).toEqual(['file', 'folder']);
  });
});
