/**
 * `--max-memory` is what the kernel counts, however large the object: the peak of the process's resident size stays
 * within it. And a large object costs no more CPU a byte than a small one. Files without content do: neither memory nor
 * the cipher looks at bytes. Without the compile cache, which is the worst case.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { formatSize, GiB, MiB } from '../../src/units.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { writeSparseFile } from '../support/files.ts';
import { type Cost, measure } from '../support/measure.ts';

const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
const folder = mkdtempSync(join(tmpdir(), 'sealift-memory-'));
const target = join(folder, 'target');
const DEFAULT_CAP = 512 * MiB;
/** The sandbox's copy, a target file, and as much again as elbow room. */
const ROOM_FOR_16_GIB = 40 * GiB;
/** What noise may add to the CPU time of a byte. */
const CPU_TOLERANCE = 1.25;

afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => rmSync(target, { force: true }));

interface Act {
  args: string[];
  size: number;
  cap: number;
  into?: string;
}

/** Runs one command under its cap, checks the peak, and says what it took. */
async function within({ args, size, cap, into = '' }: Act, sandbox: SandboxProcess): Promise<Cost> {
  const flags = cap === DEFAULT_CAP ? [] : ['--max-memory', String(cap)];
  const command = [process.execPath, bin, ...args, ...flags, '--state-dir', join(folder, 'jobs')];
  const cost = await measure(command, { env: { ...sandbox.env, NODE_DISABLE_COMPILE_CACHE: '1' }, into });
  expect(cost.exit, cost.stderr).toBe(0);
  const what = `${args[0]} of ${formatSize(size)}${args[2] === '-' ? ' to a pipe' : args[1] === '-' ? ' from a pipe' : ''}`;
  const cpuSeconds = (cost.cpuSeconds / (size / GiB)).toFixed(2);
  const peak = `peak ${formatSize(cost.peakRssBytes)} of ${formatSize(cap)}`;
  console.log(`${what}: ${peak}, ${cost.seconds.toFixed(1)} s, ${cpuSeconds} CPU s/GiB`);
  expect(cost.peakRssBytes).toBeLessThanOrEqual(cap);
  return cost;
}

function source(size: number): string {
  const path = join(folder, `${size}.bin`);
  writeSparseFile(path, size);
  return path;
}

const put = (size: number, cap: number): Act => ({
  args: ['put', source(size), `s3://bkt/${size}`, '--overwrite', '--fresh', '--kms-key', 'alias/sandbox'],
  size,
  cap,
});

const gets = (size: number, cap: number): Act[] => [
  { args: ['get', `s3://bkt/${size}`, target], size, cap },
  { args: ['get', `s3://bkt/${size}`, '-'], size, cap, into: '> /dev/null' },
];

describe('a sandbox that keeps no bytes', () => {
  let sandbox: SandboxProcess;
  beforeAll(async () => {
    sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'discarded.log'));
  });
  afterAll(() => sandbox.stop());

  test('put of 16 GiB within 256 MiB, for no more CPU a byte than 1 GiB', async () => {
    const before = await within(put(GiB, 256 * MiB), sandbox);
    const sixteen = await within(put(16 * GiB, 256 * MiB), sandbox);
    const after = await within(put(GiB, 256 * MiB), sandbox);
    const one = (before.cpuSeconds + after.cpuSeconds) / 2;
    expect(sixteen.cpuSeconds / 16).toBeLessThan(one * CPU_TOLERANCE);
  });

  test('signed put of 2 GiB within 256 MiB', async () => {
    const { args, ...rest } = put(2 * GiB, 256 * MiB);
    await within({ args: [...args, '--sign'], ...rest }, sandbox);
  });
});

describe('a pipe', () => {
  let sandbox: SandboxProcess;
  beforeAll(async () => {
    sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'piped.log'));
  });
  afterAll(() => sandbox.stop());

  const pipe = (size: number, cap: number): Act => {
    const from = ['--from-command', `head -c ${size} /dev/zero`];
    return { args: ['put', '-', `s3://bkt/${size}`, ...from, '--kms-key', 'alias/sandbox'], size, cap };
  };

  test('put of 1 GiB within 256 MiB', () => within(pipe(GiB, 256 * MiB), sandbox));

  test('put of 24 GiB within 256 MiB, in parts that grow', async () => {
    await within(pipe(24 * GiB, 256 * MiB), sandbox);
    const sizes = sandbox.log().flatMap(({ operation, bytesIn }) => (operation === 'UploadPart' ? [bytesIn] : []));
    const inMiB = new Set(sizes.map((size) => Math.floor(size / MiB)));
    for (const step of [8, 16]) expect(inMiB).toContain(step);
  });
});

describe('a sandbox on the disk', () => {
  let sandbox: SandboxProcess;
  beforeAll(async () => {
    sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'kept.log'));
  });
  afterAll(() => sandbox.stop());

  const caps = [DEFAULT_CAP, 190 * MiB].map((cap) => ({ cap, name: formatSize(cap) }));
  test.each(caps)('put and get of 2 GiB within $name', async ({ cap }) => {
    for (const act of [put(2 * GiB, cap), ...gets(2 * GiB, cap)]) await within(act, sandbox);
  });

  const { bavail, bsize } = statfsSync(tmpdir());
  const free = bavail * bsize;
  const why = `(skipped without ${formatSize(ROOM_FOR_16_GIB)} free in ${tmpdir()}: there are ${formatSize(free)})`;
  test.skipIf(free < ROOM_FOR_16_GIB)(`get of 16 GiB within 256 MiB ${why}`, async () => {
    const cap = 256 * MiB;
    for (const act of [put(16 * GiB, cap), ...gets(16 * GiB, cap)]) await within(act, sandbox);
  });
});
