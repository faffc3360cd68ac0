/** Where output goes that nobody takes, and what is never shown on a terminal. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { columns, visible } from '../../src/cli/output.ts';
import { run } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs keygen in a shell that tells its exit status on the third descriptor, which is this test's. */
async function keygen(name: string, script: string) {
  const command = ['keygen', join(folder, name), '--json'];
  const { stdout } = await run(command, { under: ['bash', '-c', `{ ${script}; } 3>&1`, 'bash'] });
  return stdout.split('\n').filter((line) => line !== '');
}
const TELL = 'echo "exit $?" >&3';

describe('a command goes on', () => {
  test('without anyone who reads what it says', async () => {
    const lines = await keygen('unheard', `{ sleep 0.1; "$@" 2>&1 1>&3; ${TELL}; } | true`);
    expect(lines).toEqual([expect.stringContaining('"result"'), 'exit 0']);
  });

  test('without anyone who reads what it found', async () => {
    expect(await keygen('unread', `{ sleep 0.1; "$@"; ${TELL}; } | true`)).toEqual(['exit 0']);
  });
});

test('what found no room on the disk was not told, and so the command failed', async () => {
  const lines = await keygen('untold', `"$@" 2>&3 >/dev/full; ${TELL}`);
  expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/Standard output: ENOSPC.*\(disk-full\)/)]));
  expect(lines.at(-1)).toBe('exit 1');
});

describe('what is shown on a terminal', () => {
  test.each([
    ['\x1b]0;owned\x07', '\\u001b]0;owned\\u0007'],
    ['\x9b2J\x7f\r', '\\u009b2J\\u007f\\u000d'],
    ['gnp.\u202eexe', 'gnp.\\u202eexe'],
    ['Größe 1\nGröße 2 😀', 'Größe 1\nGröße 2 😀'],
  ])('%j', (text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  test('a value that has no room beside its name stands below it, whole', () => {
    const rows = [
      ['key', 'aws-kms arn:aws:kms:us-east-1:000000000000:key/1'],
      ['signed', 'no'],
    ] as const;
    expect(columns(rows, 20)).toBe('key\n  aws-kms arn:aws:kms:us-east-1:000000000000:key/1\nsigned\n  no');
    expect(columns(rows, 80)).toBe('key     aws-kms arn:aws:kms:us-east-1:000000000000:key/1\nsigned  no');
  });

  test('a value stays on its line', () => {
    expect(columns([['key', 'a\nformat  forged\x1b[2K']])).toBe('key  a\\nformat  forged\\u001b[2K');
  });
});
