/** What is taken by name, size and time: rclone's own examples, and that folders are left out only where nothing is missed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Filter, type FilterRequest } from '../../src/migrate/filter.ts';
import { parseGlob } from '../../src/migrate/glob.ts';

describe("rclone's examples of patterns", () => {
  test.each<[pattern: string, meant: string[], others: string[]]>([
    ['file.jpg', ['file.jpg', 'directory/file.jpg'], ['afile.jpg', 'directory/afile.jpg', 'file.jpg/x']],
    ['/file.jpg', ['file.jpg'], ['afile.jpg', 'directory/file.jpg']],
    ['*.jpg', ['file.jpg', 'dir/file.jpg', '.jpg'], ['file.png', 'dir/file.png', 'filejpg']],
    ['/*.jpg', ['file.jpg', 'file2.jpg'], ['file.png', 'dir/file.jpg']],
    ['*.{jpg,png}', ['file.jpg', 'dir/file.png'], ['file.gif', 'dir/file.gif']],
    ['dir/**', ['dir/anyfile', 'subdir/dir/subsubdir/anyfile'], ['file.png', 'subdir/file.png']],
    ['*.t?t', ['file.txt', 'dir/file.tzt'], ['file.qxt', 'file.t/t']],
    ['*.[a-z]', ['file.a', 'dir/file.b'], ['file.0', 'dir/file.1']],
    ['*.\\?\\?\\?', ['file.???', 'dir/file.???'], ['file.abc']],
    ['*.\\d\\d\\d', ['file.012', 'dir/file.345'], ['file.abc']],
    ['*.{{jpe?g}}', ['file.jpeg', 'dir/file.jpg'], ['file.png', 'dir/file.jpeeg']],
    ['/{{.*\\.jpe?g}}', ['file.jpeg', 'file.jpg', 'dir/file.jpg'], ['file.png']],
    ['*.{{(?i)jpg}}', ['file.jpg', 'file.JPG'], ['file.png']],
    ['{{start[^/]*end\\.jpg}}', ['start-end.jpg', 'x/startend.jpg'], ['start/end.jpg']],
    ['??[^[:punct:]]*', ['abc', 'wheat/abcd'], ['ab.c', 'ab']],
    ['*\\[{JP,KR,HK}\\]*', ['a[JP].rom', '[KR]'], ['aJP', '[US]']],
    ['potato', ['potato'], ['POTATO']],
    // And what its manual does not show.
    ['a{b,c{d,e}}', ['ab', 'acd', 'ace'], ['ac', 'a']],
    ['x{{a{2}}}', ['xaa'], ['xa', 'xaa}']],
    ['a[^b]c', ['axc'], ['abc', 'a/c']],
    ['a\\Dc', ['axc'], ['a1c', 'a/c']],
    ['[]-z]', [], []],
    ['a**b', ['ab', 'a/x/b', 'a\nb'], ['ba']],
    ['a\\,{b\\,c,d}', ['a,b,c', 'a,d'], ['a,c']],
    ["'.' '+' '(' ')' '|' '^' '$'", ["'.' '+' '(' ')' '|' '^' '$'"], ["'x' '+' '(' ')' '|' '^' '$'"]],
    ['é?', ['éß', 'x/é😀'], ['e']],
  ])('%s', (pattern, meant, others) => {
    const parse = () => parseGlob(pattern);
    if (meant.length + others.length === 0) return expect(parse).toThrow(/no partner/);
    const glob = parse();
    expect(meant.filter((name) => !glob.matches(name))).toEqual([]);
    expect(others.filter((name) => glob.matches(name))).toEqual([]);
  });

  test.each([
    ['***', /two stars/],
    ['ab]c', /\] has no partner/],
    ['ab[c', /\[ has no partner/],
    ['ab}c', /\} has no partner/],
    ['ab{c', /\{ is not closed/],
    ['ab{{cd', /\{ is not closed/],
    ['ab{}}cd', /\} has no partner/],
    ['[z-a]', /no regular expression/],
    ['{{a)|(b}}', /no regular expression/],
    ['{{(}}', /no regular expression/],
    ['\\é', /means nothing/],
    ['\\q', /means nothing/],
    ['[!a]', /write \[\^…\]/],
  ])('%s is refused', (pattern, message) => {
    expect(() => parseGlob(pattern)).toThrow(message);
    expect(() => parseGlob(pattern)).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });
});

describe("rclone's examples of rules", () => {
  const taken = (request: FilterRequest, names: string[]) => {
    const filter = new Filter(request);
    return names.filter((name) => filter.takesName(name));
  };
  const names = [
    'file1.jpg',
    'file2.avi',
    'file3.png',
    'secret17.jpg',
    'x.txt',
    'dir/y.txt',
    'dir/Trash/z.jpg',
    '42.doc',
  ];

  test.each<[what: string, request: FilterRequest, taken: string[]]>([
    [
      'a file of rules',
      {
        rules: [
          '# a sample',
          '- secret*.jpg',
          '+ *.jpg',
          '+ *.png',
          '+ file2.avi',
          '',
          '- /dir/Trash/**',
          '+ /dir/**',
          '- *',
        ],
      },
      ['file1.jpg', 'file2.avi', 'file3.png', 'dir/y.txt', 'dir/Trash/z.jpg'],
    ],
    [
      'another',
      { rules: ['- secret*.jpg', '+ *.jpg', '+ *.png', '+ file2.avi', '; end', '- *'] },
      ['file1.jpg', 'file2.avi', 'file3.png', 'dir/Trash/z.jpg'],
    ],
    ['rules that are forgotten', { rules: ['+ *.jpg', '+ *.gif', ' ! ', '+ 42.doc', '- *'] }, ['42.doc']],
    ['what no rule means is taken', { rules: ['- *.jpg'] }, ['file2.avi', 'file3.png', 'x.txt', 'dir/y.txt', '42.doc']],
    ['folders left out', { rules: ['- dir/', '+ *.jpg', '- **'] }, ['file1.jpg', 'secret17.jpg']],
    ['only these', { include: ['*.{avi,png}', '/dir/*'] }, ['file2.avi', 'file3.png', 'dir/y.txt']],
    ['all but these', { exclude: ['*.jpg', 'dir/**'] }, ['file2.avi', 'file3.png', 'x.txt', '42.doc']],
    ['none', {}, names],
  ])('%s', (_what, request, expected) => {
    expect(taken(request, names)).toEqual(expected);
  });

  test('what would be taken for something else is refused', () => {
    const refused = (request: FilterRequest) => expect(() => new Filter(request));
    refused({ include: ['a'], exclude: ['b'] }).toThrow(/only one kind/);
    refused({ exclude: ['a'], rules: ['- b'] }).toThrow(/only one kind/);
    refused({ include: ['photos/'] }).toThrow(/names a folder/);
    refused({ rules: ['- a', '-b'] }).toThrow(/Line 2 .*"-b"/);
  });
});

test('sizes and times belong to what is taken, both ends of them', () => {
  const filter = new Filter({ minSize: 10, maxSize: 20, minAgeMs: 1000, maxAgeMs: 2000 }, 3000);
  const taken = (size: number, ms?: number) =>
    filter.takes({ size, lastModified: ms === undefined ? undefined : new Date(ms) });
  expect([9, 10, 20, 21].map((size) => taken(size, 1500))).toEqual([false, true, true, false]);
  expect([999, 1000, 2000, 2001, undefined].map((ms) => taken(15, ms))).toEqual([false, true, true, false, false]);
  expect(filter.takes({ size: 15, mtimeNs: '999999999' })).toBe(false);
  expect(filter.takes({ size: 15, mtimeNs: '1000000001' })).toBe(true);
  expect(new Filter({ minSize: 1 }).takes({ size: 1 })).toBe(true);
  expect(filter.takes({ size: 0, refusal: { code: 'bad-name', message: '' } })).toBe(true);
});

describe('folders', () => {
  test.each<[request: FilterRequest, entered: string[], others: string[]]>([
    [{ include: ['/a/b/*.jpg'] }, ['a/', 'a/b/'], ['b/', 'a/c/', 'a/b/c/', 'x/a/']],
    [{ include: ['/a/**'] }, ['a/', 'a/b/', 'a/b/c/'], ['b/']],
    [{ include: ['/a**/z'] }, ['a/', 'ab/', 'a/b/c/'], ['b/', 'ba/']],
    [{ include: ['/a/{b/c,d}/e'] }, ['a/', 'a/b/', 'a/b/c/', 'a/x/'], ['b/']],
    [{ include: ['/*'] }, [], ['a/']],
    [{ include: ['*.jpg'] }, ['a/', 'a/b/'], []],
    [{ include: ['a/*.jpg'] }, ['a/', 'x/'], []],
    [{ exclude: ['/a/', 'tmp/**'] }, ['b/', 'b/a/'], ['a/', 'a/b/', 'tmp/', 'x/tmp/']],
    [{ exclude: ['/a/*'] }, ['a/', 'a/b/'], []],
    [{ rules: ['+ /a/b/keep', '- /a/'] }, ['a/', 'a/b/'], ['a/c/']],
    [{ rules: ['+ *.jpg', '- *'] }, ['a/'], []],
    [{ rules: ['- *'] }, [], ['a/']],
  ])('%j', (request, entered, others) => {
    const filter = new Filter(request);
    expect(entered.filter((folder) => !filter.enters(folder))).toEqual([]);
    expect(others.filter((folder) => filter.enters(folder))).toEqual([]);
  });

  const word = fc.constantFrom('a', 'b', 'ab', 'c.d');
  const part = fc.constantFrom('a', 'b', 'ab', '*', '**', '?', '[^a]', '{a,b}', '{a/b,c.d}', '{{a|b/.*}}', 'a*', '**b');
  const pattern = fc
    .tuple(
      fc.constantFrom('', '/'),
      fc.array(part, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '', '/**', '/'),
    )
    .map(([start, parts, end]) => start + parts.join('/') + end);
  const rule = fc.tuple(fc.constantFrom('+ ', '- '), pattern).map(([sign, text]) => sign + text);
  const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('/'));

  test('what is taken lies in folders that are entered', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), name, (rules, name) => {
        const filter = new Filter({ rules: [...rules, '- **'] });
        if (!filter.takesName(name)) return;
        taken += 1;
        for (const { index } of name.matchAll(/\//g)) expect(filter.enters(name.slice(0, index + 1))).toBe(true);
      }),
      { numRuns: 2000 },
    );
    expect(taken).toBeGreaterThan(100);
  });
});
