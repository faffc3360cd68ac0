/**
 * The house keeps itself tidy: imports point down the floors, files stay one screen or few, and nothing is left lying
 * about. What this file holds is written down in words in README's "How the code is laid out".
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Change } from './support/mutation.ts';

const root = join(import.meta.dirname, '..');
const MAX_LINES = 300;

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => /^(src|workers|bench|test)\/.*\.ts$/.test(path));
const sources = tracked.filter((path) => path.startsWith('src/') || path.startsWith('workers/'));

/** Folder or file to floor; what is not listed is a story, on floor 4. */
const FLOORS: [prefix: string, floor: number][] = [
  ['src/errors.ts', 0],
  ['src/mode.ts', 0],
  ['src/mtime.ts', 0],
  ['src/network.ts', 0],
  ['src/random.ts', 0],
  ['src/units.ts', 0],
  ['src/formats/', 1],
  ['src/sandbox/', 1],
  ['src/keys/', 2],
  ['src/stores/', 2],
  ['src/ledger/', 2],
  ['src/limits/', 2],
  ['src/parts/', 3],
  ['workers/', 3],
  ['src/engine', 5],
  ['src/index.ts', 6],
  ['src/cli/', 7],
];

function floorOf(path: string): number {
  return FLOORS.find(([prefix]) => path.startsWith(prefix))?.[1] ?? 4;
}

/** Files that belong together and may import each other freely. */
function roomOf(path: string): string {
  const floor = floorOf(path);
  if (floor === 0) return 'ground';
  if (floor === 4) return 'stories';
  if (floor === 3) return 'parts';
  return FLOORS.find(([prefix]) => path.startsWith(prefix))![0];
}

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

function importsOf(path: string): Import[] {
  const text = readFileSync(join(root, path), 'utf8');
  const found = text.matchAll(
    /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'(\.[^']+)'|import\('(\.[^']+)'\)/gm,
  );
  return [...found].map(([, type, named, dynamic]) => ({
    from: path,
    to: normalize(join(dirname(path), (named ?? dynamic)!)),
    typeOnly: type !== undefined,
  }));
}

const imports = sources.flatMap(importsOf);
const show = ({ from, to }: Import) => `${from} imports ${to}`;

describe('floors', () => {
  test('there are imports to look at', () => {
    expect(imports.length).toBeGreaterThan(50);
  });

  test('imports point down, or stay in their room; types may be shared across one floor', () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      if (roomOf(from) === roomOf(to) || to.startsWith('src/sandbox/')) return false;
      return floorOf(to) > floorOf(from) || (floorOf(to) === floorOf(from) && !typeOnly);
    });
    expect(wrong.map(show)).toEqual([]);
  });

  test('only the command line imports the sandbox', () => {
    const wrong = imports.filter(({ from, to }) => {
      return to.startsWith('src/sandbox/') && !from.startsWith('src/sandbox/') && !from.startsWith('src/cli/');
    });
    expect(wrong.map(show)).toEqual([]);
  });

  test('formats do no I/O, have no clock and no randomness of their own', () => {
    const formats = sources.filter((path) => path.startsWith('src/formats/'));
    const impure =
      /from 'node:(fs|net|http|https|tls|timers|worker_threads|child_process|os)|randomBytes|randomUUID|Math\.random|Date\.now|performance\.now/;
    expect(formats.filter((path) => impure.test(readFileSync(join(root, path), 'utf8')))).toEqual([]);
  });

  test('nothing imports tests or benchmarks', () => {
    expect(imports.filter(({ to }) => /^(test|bench)\//.test(to)).map(show)).toEqual([]);
  });
});

describe('files', () => {
  test(`no source is longer than ${MAX_LINES} lines`, () => {
    const lengths = sources.map(
      (path) => [path, readFileSync(join(root, path), 'utf8').split('\n').length - 1] as const,
    );
    expect(lengths.filter(([, length]) => length > MAX_LINES)).toEqual([]);
  });

  test('every source opens by saying what it is', () => {
    const silent = sources.filter((path) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(root, path), 'utf8')));
    expect(silent).toEqual([]);
  });

  test('nothing is left lying about', () => {
    const leftover = /\b(TODO|FIXME|XXX|HACK)\b|@ts-ignore|@ts-nocheck|catch *(\([^)]*\))? *\{ *\}/;
    expect(sources.filter((path) => leftover.test(readFileSync(join(root, path), 'utf8')))).toEqual([]);
    const tests = tracked.filter((path) => path.startsWith('test/') && path !== 'test/tidy.test.ts');
    const silenced = /\b(describe|it|test)\.(only|skip|todo)\(/;
    expect(tests.filter((path) => silenced.test(readFileSync(join(root, path), 'utf8')))).toEqual([]);
  });

  test('every mutant of the long suites applies: what it changes stands once in its file', async () => {
    const tables = tracked.filter((path) => path.startsWith('test/support/mutants/'));
    const modules = await Promise.all(tables.map((path) => import(join(root, path))));
    const changes = modules.flatMap((table) => Object.values<Change[]>(table).flat());
    expect(changes.length).toBeGreaterThan(200);
    const stale = changes.filter(({ file, find }) => readFileSync(join(root, file), 'utf8').split(find).length !== 2);
    expect(stale.map(({ file, breaks }) => `${file}: ${breaks}`)).toEqual([]);
  });
});
