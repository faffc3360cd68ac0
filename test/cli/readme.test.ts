/** README must not fall behind: it lists every error code with its exit status, and every flag of every command. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programFor } from '../../src/cli/main.ts';
import { Output } from '../../src/cli/output.ts';
import { CODES } from '../../src/errors.ts';

const root = join(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

test('the table of error codes is the table in errors.ts, each with a meaning and a remedy', () => {
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` \| (\d+) \| (.+?) \| (.+?) \|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, exit]) => [code, Number(exit)]))).toEqual(CODES);
  expect(rows.length).toBe(Object.keys(CODES).length);
});

test('every flag that a command takes is told', () => {
  const flags = programFor(new Output({})).commands.flatMap(({ options }) => options.map(({ long }) => long!));
  expect(flags.length).toBeGreaterThan(50);
  expect(flags.filter((flag) => !readme.includes(`\`${flag}`))).toEqual([]);
});

test('what it links to exists', () => {
  const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)].map(([, path]) => path!);
  expect(links.length).toBeGreaterThan(5);
  for (const path of links) expect(() => readFileSync(join(root, path)), path).not.toThrow();
});
