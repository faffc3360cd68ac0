/** Compiled code is kept where nobody else can put any, or not at all. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { run } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
/** A folder for caches, and the one of ours in it. */
function place() {
  const base = join(folder, String(count++));
  mkdirSync(base, { mode: 0o700 });
  return { base, ours: join(base, 'sealift') };
}

async function runWith(base: string): Promise<void> {
  const env = { XDG_CACHE_HOME: base, NODE_COMPILE_CACHE: undefined };
  expect(await run(['--version'], { env })).toMatchObject({ exit: 0 });
}

test('in a folder of our own', async () => {
  const { base, ours } = place();
  await runWith(base);
  expect(statSync(ours).mode & 0o777).toBe(0o700);
  expect(readdirSync(ours)).toHaveLength(1);
});

test.each<[what: string, prepare: (at: { base: string; ours: string }) => void]>([
  ['is open to others', ({ ours }) => mkdirWith(ours, 0o777)],
  ['is in one that others can write to', ({ base, ours }) => [mkdirWith(ours, 0o700), chmodSync(base, 0o777)]],
  ['is a link', ({ ours }) => symlinkSync(mkdirWith(`${ours}-elsewhere`, 0o700), ours)],
])('not where it %s', async (_what, prepare) => {
  const { base, ours } = place();
  prepare({ base, ours });
  await runWith(base);
  expect(existsSync(ours)).toBe(true);
  expect(readdirSync(ours)).toEqual([]);
});

function mkdirWith(path: string, mode: number): string {
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

test('a command that the sandbox runs hears nothing of it', async () => {
  const script = 'console.log(String(process.env.NODE_COMPILE_CACHE))';
  const env = { NODE_COMPILE_CACHE: undefined };
  const { stdout } = await run(['sandbox', '--', process.execPath, '-e', script], { env });
  expect(stdout).toBe('undefined\n');
});
