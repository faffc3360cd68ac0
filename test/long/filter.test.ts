/** Rules for names mean what they mean to rclone, wherever the two do not differ on purpose: random rules over one tree. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Filter } from '../../src/migrate/filter.ts';
import { runs } from '../sandbox/contract.ts';

const noRclone = !runs('rclone', 'version');

const FOLDERS = ['', 'a', 'b', 'a/a', 'a/b', 'b/ab', 'b/a/c', 'ab'];
const FILES = ['a', 'b', 'ab', 'c.txt', 'a.jpg', 'é1', 'x{y}', 'A'].map((name) => `f-${name}`);
const names = FOLDERS.flatMap((folder) => FILES.map((file) => join(folder, file)));

const part = fc.constantFrom(
  'a',
  'b',
  'f-*',
  'f-?',
  '*',
  '**',
  'f-[ab]',
  '{a,f-b}',
  '{a/f-a,b}',
  '*.{{(?i)JPE?G}}',
  'a*',
  '**b',
  '*\\d',
  '[[:upper:]]',
  'f-x\\{y\\}',
);
// An unanchored pattern with slashes, to take, finds less in rclone: it looks only where the pattern would begin at the top.
const pattern = (canFloat: boolean) =>
  fc
    .tuple(
      fc.constantFrom('/', ...(canFloat ? [''] : [])),
      fc.array(part, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '/**', '/'),
    )
    .map(([start, parts, end]) => start + parts.join('/') + end);
const floating = fc.constantFrom('f-a', '*.jpg', '*', '**', 'f-[^ab]*', '{f-a,f-b}');
const rule = fc.oneof(
  pattern(false).map((text) => `+ ${text}`),
  floating.map((text) => `+ ${text}`),
  pattern(true).map((text) => `- ${text}`),
);

test.skipIf(noRclone)('what rclone lists is what is taken (skipped without rclone)', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-filter-'));
  const tree = join(folder, 'tree');
  for (const name of names) {
    mkdirSync(join(tree, dirname(name)), { recursive: true });
    writeFileSync(join(tree, name), '');
  }
  const rules = join(folder, 'rules');
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 5 }), (lines) => {
      writeFileSync(rules, lines.join('\n'));
      const listed = execFileSync('rclone', ['lsf', '-R', '--files-only', '--filter-from', rules, tree], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const filter = new Filter({ rules: lines });
      expect(names.filter((name) => filter.takesName(name)).sort()).toEqual(listed.split('\n').filter(Boolean).sort());
    }),
    { numRuns: 300 },
  );
  rmSync(folder, { recursive: true });
});
