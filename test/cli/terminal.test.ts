/** On a terminal: what fits into twenty columns, what a dumb one gets, and no colour where none is wanted. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeKeyFile } from '../../src/index.ts';

const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const key = join(folder, 'key');
const source = join(folder, 'source');

beforeAll(async () => {
  await writeKeyFile(key);
  writeFileSync(source, Buffer.alloc(1024 ** 2));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** All that a put writes to a terminal of so many columns. It shows its line at least once, at its end. */
async function putOn({ columns, env }: { columns: number; env: Record<string, string> }): Promise<string> {
  const target = `file://${folder}/on-${columns}`;
  const command = `stty cols ${columns} rows 24; ${process.execPath} ${bin} put ${source} ${target} --raw-key ${key} --state-dir ${folder}/state`;
  const { NO_COLOR, FORCE_COLOR, ...rest } = process.env;
  const script = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { ...rest, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [written, [status]] = await Promise.all([text(script.stdout), once(script, 'close')]);
  expect(status).toBe(0);
  return written;
}

const lacksTerminal = spawnSync('script', ['--version']).error !== undefined;

describe.skipIf(lacksTerminal)('a terminal (skipped where script is not there)', () => {
  test.concurrent('of twenty columns shows on one line how far it is, without colour', async ({ expect }) => {
    const written = await putOn({ columns: 20, env: { TERM: 'xterm', NO_COLOR: '1' } });
    expect(stripVTControlCharacters(written).split(/[\r\n]+/)).toContain('100 %');
    expect(written).not.toMatch(/\[[0-9;]*m/);
  });

  test.concurrent('that is dumb gets text and nothing else', async ({ expect }) => {
    const written = await putOn({ columns: 80, env: { TERM: 'dumb' } });
    expect(stripVTControlCharacters(written)).toBe(written);
    expect(written).toMatch(/^Sealed .* into file:/);
  });
});
