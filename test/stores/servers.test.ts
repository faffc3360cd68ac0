/** README's table of servers is the list that test/long/contract-servers.test.ts holds the servers to. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import list from './servers.json' with { type: 'json' };

const { guards, servers } = list;

it('README tells which guards each server lacks', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const lacking = Object.values<string[]>(servers);
  const rows = Object.entries(guards).map(([guard, text]) => {
    return [text, ...lacking.map((lacks) => (lacks.includes(guard) ? 'no' : 'yes'))];
  });
  const table = [['guard', ...Object.keys(servers)], ['---', ...lacking.map(() => '---')], ...rows];
  expect(readme).toContain(table.map((cells) => `| ${cells.join(' | ')} |\n`).join(''));
  expect(lacking.flat().filter((guard) => !Object.hasOwn(guards, guard))).toEqual([]);
});
