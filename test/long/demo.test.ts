/** The guided tour comes out as it tells, and leaves nothing behind. `npm start` is this. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../support/cli.ts';

test('demo: every step as told, within 30 seconds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
  const startedMs = performance.now();
  const { exit, stdout, stderr } = await run(['demo'], { env: { TMPDIR: folder } });
  expect(stderr).toBe('');
  expect(exit).toBe(0);
  expect(stdout).toMatch(/^ {3}Parts? 1.*: kept, acknowledged, and the store has it\.$/m);
  expect(stdout).toContain('SHA-256 is the same');
  expect(stdout).toContain('Refused, exit 6 (bad-frame)');
  expect(performance.now() - startedMs).toBeLessThan(30_000);
  expect(readdirSync(folder).filter((name) => name.startsWith('sealift'))).toEqual([]);
  rmSync(folder, { recursive: true });
});
