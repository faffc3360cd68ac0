/**
 * `--max-memory` is what the kernel counts, however large the object: the peak of the process's resident size stays
 * within it. And a large object costs no more CPU a byte than a small one. Files without content do: neither memory nor
 * the cipher looks at bytes. Without the compile cache, which is the worst case.
 */
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readKeyFile } from '../../src/index.ts';
import { writeKeyFile } from '../../src/keys/key-file.ts';
import { formatSize, GiB, MiB } from '../../src/units.ts';
import { type Act, DEFAULT_CAP, within } from '../support/cap.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { writeSparseFile } from '../support/files.ts';
import { serveZeros } from '../support/zeros.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-memory-'));
const target = join(folder, 'target');
const state = ['--state-dir', join(folder, 'jobs')];
/** The sandbox's copy, a target file, and as much again as elbow room. */
const ROOM_FOR_16_GIB = 40 * GiB;
/** What noise may add to the CPU time of a byte. */
const CPU_TOLERANCE = 1.25;
/** What an object of 64 GiB may take of memory beyond one of 1 GiB. */
const SIZE_TOLERANCE = 1.1;

afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => rmSync(target, { force: true }));

function source(size: number): string {
  const path = join(folder, `${size}.bin`);
  writeSparseFile(path, size);
  return path;
}

function put(size: number, cap: number, { env }: SandboxProcess): Act {
  const key = ['--kms-key', 'alias/sandbox'];
  return {
    args: ['put', source(size), `s3://bkt/${size}`, '--overwrite', '--fresh', ...key, ...state],
    size,
    cap,
    env,
  };
}

function gets(size: number, cap: number, { env }: SandboxProcess): Act[] {
  return [
    { args: ['get', `s3://bkt/${size}`, target, ...state], size, cap, env },
    { args: ['get', `s3://bkt/${size}`, '-', ...state], size, cap, env, into: '> /dev/null' },
  ];
}

describe('a sandbox that keeps no bytes', () => {
  let sandbox: SandboxProcess;
  beforeAll(async () => {
    sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'discarded.log'));
  });
  afterAll(() => sandbox.stop());

  test('put of 16 GiB within 256 MiB, for no more CPU a byte than 1 GiB', async () => {
    const before = await within(put(GiB, 256 * MiB, sandbox));
    const sixteen = await within(put(16 * GiB, 256 * MiB, sandbox));
    const after = await within(put(GiB, 256 * MiB, sandbox));
    const one = (before.cpuSeconds + after.cpuSeconds) / 2;
    expect(sixteen.cpuSeconds / 16).toBeLessThan(one * CPU_TOLERANCE);
  });

  test('signed put of 2 GiB within 256 MiB', async () => {
    const { args, ...rest } = put(2 * GiB, 256 * MiB, sandbox);
    await within({ args: [...args, '--sign'], ...rest });
  });
});

describe('64 GiB take no more memory than 1 GiB', () => {
  test('put', async () => {
    const flags = ['--https', '--bucket', 'bkt', '--discard'];
    const sandbox = await startSandboxProcess(flags, join(folder, 'large.log'));
    try {
      const small = await within(put(GiB, DEFAULT_CAP, sandbox));
      const large = await within(put(64 * GiB, DEFAULT_CAP, sandbox));
      expect(large.peakRssBytes).toBeLessThanOrEqual(small.peakRssBytes * SIZE_TOLERANCE);
    } finally {
      await sandbox.stop();
    }
  });

  test('get', async () => {
    const key = join(folder, 'key');
    await writeKeyFile(key);
    await using server = await serveZeros(await readKeyFile(key));
    const authority = join(folder, 'authority.pem');
    writeFileSync(authority, server.ca);
    const env = {
      ...{ AWS_ENDPOINT_URL_S3: server.url, AWS_CA_BUNDLE: authority, NODE_EXTRA_CA_CERTS: authority },
      ...{ AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'anybody', AWS_SECRET_ACCESS_KEY: 'anything' },
    };
    const get = (size: number): Act => ({
      args: ['get', `s3://bkt/zeros/${size}`, '-', '--raw-key', key, ...state],
      ...{ size, cap: DEFAULT_CAP, env, into: '> /dev/null' },
    });
    const small = await within(get(GiB));
    const large = await within(get(64 * GiB));
    expect(large.peakRssBytes).toBeLessThanOrEqual(small.peakRssBytes * SIZE_TOLERANCE);
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
    for (const act of [put(2 * GiB, cap, sandbox), ...gets(2 * GiB, cap, sandbox)]) await within(act);
  });

  test('put and get of 2 GiB of the S3 Encryption Client within 190 MiB', async () => {
    const [size, cap] = [2 * GiB, 190 * MiB];
    const { args, ...rest } = put(size, cap, sandbox);
    await within({ args: [...args, '--format', 's3ec'], ...rest });
    for (const act of gets(size, cap, sandbox)) await within(act);
  });

  const { bavail, bsize } = statfsSync(tmpdir());
  const free = bavail * bsize;
  const why = `(skipped without ${formatSize(ROOM_FOR_16_GIB)} free in ${tmpdir()}: there are ${formatSize(free)})`;
  test.skipIf(free < ROOM_FOR_16_GIB)(`get of 16 GiB within 256 MiB ${why}`, async () => {
    const cap = 256 * MiB;
    for (const act of [put(16 * GiB, cap, sandbox), ...gets(16 * GiB, cap, sandbox)]) await within(act);
  });
});
