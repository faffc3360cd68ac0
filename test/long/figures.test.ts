/** Figures of the whole: 1 GiB there and back over HTTPS, and the pace at KMS with a key for every object. Printed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEngine, kmsKeyring } from '../../src/index.ts';
import { runLanes } from '../../src/parts/lanes.ts';
import { formatSize, GiB } from '../../src/units.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { MEMORY_FOLDER, sha256Of, writeRandomFile } from '../support/files.ts';
import { type Cost, measure } from '../support/measure.ts';

const bin = join(import.meta.dirname, '../../src/cli/bin.ts');

describe('1 GiB over HTTPS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-figures-'));
  const source = join(folder, 'source');
  const object = 's3://bkt/object';
  let sandbox: SandboxProcess;

  beforeAll(async () => {
    writeRandomFile(source, GiB);
    sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'requests.log'));
  });

  afterAll(async () => {
    await sandbox.stop();
    rmSync(folder, { recursive: true });
  });

  async function sealift(args: string[], into = ''): Promise<Cost> {
    const command = [process.execPath, bin, ...args, '--state-dir', join(folder, 'jobs')];
    const cost = await measure(command, { env: sandbox.env, into });
    expect(cost.exit, cost.stderr).toBe(0);
    const { seconds, cpuSeconds, peakRssBytes } = cost;
    const what = `${args[0]} ${into}`.trim();
    console.log(`${what}: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(2)} CPU s, peak ${formatSize(peakRssBytes)}`);
    return cost;
  }

  test('there and back, equal, as a file and through a pipe', async () => {
    const target = join(folder, 'target');
    const put = await sealift(['put', source, object, '--kms-key', 'alias/sandbox', '--json']);
    const results = put.stdout.split('\n').filter((line) => line.startsWith('{"type":"result"'));
    expect(results.map((line) => JSON.parse(line))).toMatchObject([{ plainBytes: GiB, parts: 128, kmsCalls: 1 }]);
    const hash = await sha256Of(source);
    await sealift(['get', object, target]);
    expect(await sha256Of(target)).toBe(hash);
    expect((await sealift(['get', object, '-'], '| sha256sum')).stdout).toBe(`${hash}  -\n`);
  });
});

describe('small objects and KMS', () => {
  const RATE = 200;
  /** What the limiter lets through at once, in its own words. */
  const BURST = 50;
  const LEAST_RATE = 180;
  const SUSTAINED_MS = 5000;
  const OBJECT_COUNT = 1500;
  const TRY_COUNT = 3;

  const folder = mkdtempSync(join(MEMORY_FOLDER, 'sealift-figures-'));
  const source = join(folder, 'source');
  let sandbox: SandboxProcess;

  beforeAll(async () => {
    sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'requests.log'));
    for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
    writeFileSync(source, Buffer.alloc(1000, 'small'));
  });

  afterAll(async () => {
    await sandbox.stop();
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  afterEach(() => rmSync(join(folder, 'jobs'), { recursive: true }));

  test('1,000 puts of one engine cost one call', async () => {
    const cpu = process.cpuUsage();
    const started = performance.now();
    const before = callCount();
    const keyring = kmsKeyring({ keyIds: ['alias/sandbox'] });
    await using engine = createEngine({ keyring, stateDir: join(folder, 'jobs') });
    await runLanes({
      items: Array(1000).keys(),
      lanes: { count: 16 },
      work: async (index) => void (await engine.put({ source, target: `s3://bkt/many/${index}` })),
    });
    const { user, system } = process.cpuUsage(cpu);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`1,000 small puts: ${seconds} s, ${((user + system) / 1e6).toFixed(1)} CPU s in this process`);
    expect(callCount() - before).toBe(1);
    expect(engine.keyStats()).toEqual({ hits: 999, misses: 1 });
  });

  function callCount(): number {
    return sandbox.log().filter(({ service }) => service === 'kms').length;
  }

  /** With a key for every object: seals all of them and resolves to the times of the GenerateDataKey calls that the sandbox logged, in order. */
  async function callTimes(run: number): Promise<number[]> {
    const before = sandbox.log().length;
    const keyring = kmsKeyring({ keyIds: ['alias/sandbox'], ratePerSecond: RATE });
    await using engine = createEngine({ keyring, keyReuse: 'off', stateDir: join(folder, 'jobs') });
    await runLanes({
      items: Array(OBJECT_COUNT).keys(),
      lanes: { count: 32 },
      work: async (index) => void (await engine.put({ source, target: `s3://bkt/${run}/${index}` })),
    });
    const calls = sandbox.log().slice(before);
    return calls
      .flatMap(({ operation, time }) => (operation === 'GenerateDataKey' ? [time] : []))
      .sort((a, b) => a - b);
  }

  test(`never more than ${RATE + BURST} in a second, at least ${LEAST_RATE} a second over 5 s`, async () => {
    let sustained = 0;
    for (let run = 1; run <= TRY_COUNT && sustained < LEAST_RATE; run++) {
      const times = await callTimes(run);
      expect(times).toHaveLength(OBJECT_COUNT);
      const most = mostWithin(times, 1000);
      sustained = mostWithin(times, SUSTAINED_MS) / (SUSTAINED_MS / 1000);
      const busy = sustained < LEAST_RATE ? ': the machine was too busy' : '';
      console.log(`KMS at ${RATE} a second: at most ${most} in a second, ${sustained} a second over 5 s${busy}`);
      expect(most).toBeLessThanOrEqual(RATE + BURST);
    }
    expect(sustained).toBeGreaterThanOrEqual(LEAST_RATE);
  });

  /** The most of the ascending `times` that lie within any `windowMs`. */
  function mostWithin(times: readonly number[], windowMs: number): number {
    let first = 0;
    let most = 0;
    for (const [last, time] of times.entries()) {
      while (time - times[first]! >= windowMs) first++;
      most = Math.max(most, last - first + 1);
    }
    return most;
  }
});
