/** `--bwlimit` on a real clock: twenty seconds of each way, and the rate that came of it. Printed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatRate, MiB } from '../../src/units.ts';
import { run, type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { writeRandomFile } from '../support/files.ts';

const SECONDS = 20;
/** The start and the end of a command, on a busy machine, in which nothing moves. */
const MOST_IDLE_SECONDS = 1;
/** A rate below which parts have too little to do, and one that keeps a machine of two cores busy. */
const RATES = [4 * MiB, 40 * MiB];

const folder = mkdtempSync(join(tmpdir(), 'sealift-bandwidth-'));
const key = join(folder, 'raw.key');
let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'requests.log'));
  expect(await run(['keygen', key])).toMatchObject({ exit: 0 });
});
afterAll(async () => {
  await sandbox.stop();
  rmSync(folder, { recursive: true });
});

test.each(RATES)('%i bytes a second', async (rate) => {
  const source = join(folder, `source-${rate}`);
  const size = SECONDS * rate;
  writeRandomFile(source, size);
  const flags = ['--raw-key', key, '--bwlimit', formatRate(rate), '--state-dir', join(folder, 'jobs'), '--json'];
  const object = `s3://bkt/${rate}`;
  for (const args of [
    ['put', source, object],
    ['get', object, `${source}.back`],
  ]) {
    const { exit, last, stderr } = await run([...args, ...flags], { env: sandbox.env });
    expect(exit, stderr).toBe(0);
    const { seconds } = last as unknown as { seconds: number };
    console.log(
      `${args[0]}: asked ${formatRate(rate)}, achieved ${formatRate(size / seconds)} in ${seconds.toFixed(1)} s`,
    );
    expect(seconds / SECONDS).toBeGreaterThan(0.95);
    expect((seconds - MOST_IDLE_SECONDS) / SECONDS).toBeLessThan(1.05);
  }
});
