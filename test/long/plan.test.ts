/**
 * Plans of two jobs at full size, and the jobs: counts are exact, the time is right within a factor of two. Ledgers are
 * where a sync costs nothing: how long one takes on a busy disk is another matter every time.
 */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine, kmsKeyring, type Plan, type PutRequest } from '../../src/index.ts';
import { GiB, KiB } from '../../src/units.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { MEMORY_FOLDER } from '../support/files.ts';

const OBJECT_COUNT = 20_000;
const TIMEOUT_MS = 3_600_000;
const LOOK_SECONDS = 10;
/** The machine is measured before the job, and others may be at work on it at the one time and not at the other. */
const TRY_COUNT = 3;

let folder: string;
let stateDir: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-plan-'));
  stateDir = mkdtempSync(join(MEMORY_FOLDER, 'sealift-plan-'));
  const args = ['--https', '--discard', '--bucket', 'bucket'];
  sandbox = await startSandboxProcess(args, join(folder, 'requests.log'));
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
});

afterAll(async () => {
  await sandbox.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
  rmSync(stateDir, { recursive: true });
});

/** Plans, and moves, by a put or a migration, and compares what was counted. Returns real seconds for each planned one. */
async function compare(source: string, target: string, more: Pick<PutRequest, 'sse'> = {}): Promise<number> {
  const engineOf = () => createEngine({ keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }), stateDir });
  await using planner = engineOf();
  const plan = await planner.plan({ source, target, ...more });
  await using mover = engineOf();
  const before = sandbox.log().length;
  const startMs = performance.now();
  const { kmsCalls } = await (target.endsWith('/')
    ? mover.migrate({ source, target, ...more })
    : mover.put({ source, target, ...more }));
  const seconds = (performance.now() - startMs) / 1000;
  const requests = sandbox.log().slice(before);
  tell(plan, seconds);
  // Where it takes long enough, a migration looks after its key, no more often than this.
  const looks = Math.floor(seconds / LOOK_SECONDS);
  expect(kmsCalls).toBeGreaterThanOrEqual(plan.kms!.calls);
  expect(kmsCalls).toBeLessThanOrEqual(plan.kms!.calls + (target.endsWith('/') ? looks : 0));
  const counted = Object.fromEntries(Object.keys(plan.requests!).map((name) => [name, 0]));
  let callsOfS3 = 0;
  for (const { service, operation, kmsCalls: calls } of requests) {
    if (service === 's3') counted[operation] = (counted[operation] ?? 0) + 1;
    callsOfS3 += calls;
  }
  expect(counted).toEqual(plan.requests);
  expect(callsOfS3).toBe(plan.atRest!.kmsCalls);
  return seconds / plan.time.seconds;
}

function tell({ objects, parts, time }: Plan, seconds: number): void {
  const { limitedBy } = time;
  console.log(
    `${objects} objects, ${parts} parts: ${time.seconds.toFixed(1)} s planned (${limitedBy}), ${seconds.toFixed(1)} s real`,
  );
}

async function withinTwo(ratioOf: (number: number) => Promise<number>): Promise<void> {
  const ratios: number[] = [];
  for (let number = 1; number <= TRY_COUNT; number++) {
    ratios.push(await ratioOf(number));
    if (ratios.at(-1)! > 1 / 2 && ratios.at(-1)! < 2) return;
  }
  expect.fail(`real seconds for each planned one: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}`);
}

test(`${OBJECT_COUNT} objects of 10 KiB`, { timeout: TIMEOUT_MS }, async () => {
  const source = join(folder, 'small');
  mkdirSync(source);
  const files = Array.from({ length: OBJECT_COUNT }, (_, index) => join(source, String(index)));
  for (const file of files) writeFileSync(file, Buffer.alloc(10 * KiB, file));
  await withinTwo((number) => compare(source, `s3://bucket/small-${number}/`));

  await using engine = createEngine({ keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }), stateDir });
  const before = sandbox.log().length;
  const { objects, reading } = await engine.plan({ source: 's3://bucket/small-1/', target: 's3://bucket/anew/' });
  const listings = sandbox.log().filter(({ operation }, index) => index >= before && operation === 'ListObjectsV2');
  expect([objects, reading!.requests.ListObjectsV2]).toEqual([OBJECT_COUNT, listings.length]);
});

test('one object of 5 GiB, under SSE-KMS without a bucket key', { timeout: TIMEOUT_MS }, async () => {
  const more = { sse: { algorithm: 'aws:kms' } };
  const source = join(folder, 'large');
  writeFileSync(source, '');
  truncateSync(source, 5 * GiB);
  await withinTwo((number) => compare(source, `s3://bucket/large-${number}`, more));
});
