/**
 * Large pipes: what goes in comes out, within `--max-memory`, in parts that grow; and a producer that fails leaves
 * nothing. Zeros do where nobody reads them back: neither memory nor the cipher looks at bytes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../src/units.ts';
import { type Act, DEFAULT_CAP, within } from '../support/cap.ts';
import { run, type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { measure } from '../support/measure.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-pipes-'));
const flags = ['--kms-key', 'alias/sandbox', '--state-dir', join(folder, 'jobs')];
/** Parts of one size, but for the header in the first and what the frames add: see formats/esdk/ladder.ts. */
const STEP = 1000;

let sandbox: SandboxProcess;
afterAll(() => rmSync(folder, { recursive: true }));

function start(name: string, more: string[] = []): Promise<SandboxProcess> {
  return startSandboxProcess(['--https', '--bucket', 'bkt', ...more], join(folder, `${name}.log`));
}

const zeros = (size: number, cap: number, how = flags, key = String(size)): Act => ({
  args: ['put', '-', `s3://bkt/${key}`, '--from-command', `head -c ${size} /dev/zero`, ...how],
  ...{ size, cap, env: sandbox.env },
});

/** How many parts of each size reached the sandbox for an object, in MiB. */
function ladderOf(object: number): Map<number, number> {
  const parts = sandbox.log().filter(({ operation, key }) => operation === 'UploadPart' && key === String(object));
  const ladder = new Map<number, number>();
  for (const { bytesIn } of parts) {
    const size = Math.floor(bytesIn / MiB);
    ladder.set(size, (ladder.get(size) ?? 0) + 1);
  }
  return ladder;
}

describe('into a sandbox that keeps no bytes', () => {
  beforeAll(async () => {
    sandbox = await start('discarded', ['--discard']);
  });
  afterAll(() => sandbox.stop());

  test('1 GiB within 256 MiB', () => within(zeros(GiB, 256 * MiB)));

  test('2 GiB that are not sealed within 256 MiB, 320 MiB, and 512 MiB', async () => {
    const unsealed = ['--seal', 'none', '--state-dir', join(folder, 'jobs')];
    for (const cap of [256 * MiB, 320 * MiB, DEFAULT_CAP]) await within(zeros(2 * GiB, cap, unsealed, `plain-${cap}`));
  });

  test('24 GiB within 256 MiB, in parts that grow', async () => {
    await within(zeros(24 * GiB, 256 * MiB));
    const ladder = ladderOf(24 * GiB);
    expect(ladder.get(8)).toBe(STEP);
    expect(ladder.get(16)).toBe(STEP);
  });

  test('64 GiB within 512 MiB, in parts of 8 MiB, 16, 32, and 64', async () => {
    await within(zeros(64 * GiB, DEFAULT_CAP));
    const ladder = ladderOf(64 * GiB);
    for (const size of [8, 16, 32]) expect(ladder.get(size), `${size} MiB`).toBe(STEP);
    const rest = (64 * GiB - STEP * (8 + 16 + 32) * MiB) / (64 * MiB);
    expect(ladder.get(64)).toBe(Math.floor(rest));
  });
});

describe('into a sandbox on the disk', () => {
  beforeAll(async () => {
    sandbox = await start('kept');
  });
  afterAll(() => sandbox.stop());

  test('5 GiB in and out, equal', async () => {
    const size = 5 * GiB;
    const key = '0'.repeat(64);
    const producer = `head -c ${size} < <(openssl enc -aes-256-ctr -K ${key} -iv ${key.slice(32)} -in /dev/zero 2> /dev/null)`;
    const expected = await measure(['bash', '-c', producer], { into: '| sha256sum' });
    const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
    const command = [process.execPath, bin, 'put', '-', 's3://bkt/five', ...flags];
    const put = await measure(['bash', '-c', `"$@" < <(${producer})`, 'bash', ...command], { env: sandbox.env });
    expect(put.exit, put.stderr).toBe(0);
    const get = ['get', 's3://bkt/five', '-', '--state-dir', join(folder, 'jobs')];
    const back = await within({ args: get, size, cap: DEFAULT_CAP, env: sandbox.env, into: '| sha256sum' });
    expect(back.stdout).toBe(expected.stdout);
  });

  test('a command that fails leaves no object and no upload', async () => {
    for (const command of ['false', `head -c ${64 * MiB} /dev/zero; false`]) {
      const put = await run(['put', '--from-command', command, 's3://bkt/failed', ...flags, '--json'], sandbox);
      expect(put.last, put.stderr).toMatchObject({ code: 'source-failed', exit: 1 });
    }
    const calls = sandbox.log().filter(({ key }) => key === 'failed');
    const count = (name: string) => calls.filter(({ operation, status }) => operation === name && status < 300).length;
    expect(count('CreateMultipartUpload')).toBe(1);
    expect(count('AbortMultipartUpload')).toBe(1);
    expect(count('CompleteMultipartUpload') + count('PutObject')).toBe(0);
  });
});
