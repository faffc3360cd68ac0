/**
 * A million tiny files, listed and moved: what that takes of memory does not grow with their number. The sandbox keeps no
 * bytes, so that what is measured is what a migration does for an object, and not a disk.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';

const COUNT = Number(process.env.SEALIFT_OBJECTS ?? 1_000_000);
const PER_FOLDER = 1000;
/** Sizes are told, and compared, each time that so many more are done. */
const STEP = COUNT / 10;
const MAX_MEMORY = 512 * MiB;
/** What noise may add to the resident size from the second step to the last. */
const TOLERANCE = 1.15;
const LOOK_MS = 1000;

let folder: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-million-'));
  for (let number = 0; number < COUNT; number++) {
    const parent = join(folder, 'tree', `${Math.floor(number / PER_FOLDER)}`);
    if (number % PER_FOLDER === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `${number}`), `${number}`);
  }
  sandbox = await startSandboxProcess(['--bucket', 'bkt', '--discard'], join(folder, 'requests.log'));
}, 3_600_000);

afterAll(async () => {
  await sandbox?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 3_600_000);

/** Objects that are done so far, as it tells a Prometheus. */
async function doneOf(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return Number(/^sealift_objects\{state="done"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

function residentSize(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib ?? 0) * 1024;
}

test('a million files are moved within the memory that a tenth of them takes', async () => {
  const stateDir = join(folder, 'state');
  const flags = ['--kms-key', 'alias/sandbox', '--state-dir', stateDir, '--max-memory', `${MAX_MEMORY}`];
  const args = ['migrate', join(folder, 'tree'), 's3://bkt/to/', ...flags, '--metrics', '127.0.0.1:0'];
  const startedMs = Date.now();
  const running = start(args, { env: sandbox.env });
  const { child } = running;
  const told = Promise.withResolvers<string>();
  child.stderr!.on('data', (chunk) => {
    const [, url] = /Metrics: (\S+)/.exec(String(chunk)) ?? [];
    if (url !== undefined) told.resolve(url);
  });
  const url = await told.promise;
  /** The highest of each step. */
  const peaks: number[] = [];
  while (child.exitCode === null) {
    await sleep(LOOK_MS);
    // It may have ended meanwhile.
    const done = await doneOf(url).catch(() => undefined);
    if (done === undefined || child.exitCode !== null) break;
    const step = Math.min(Math.floor(done / STEP), 9);
    if (peaks[step] === undefined) console.log(`${done} done after ${Math.round((Date.now() - startedMs) / 1000)} s`);
    peaks[step] = Math.max(peaks[step] ?? 0, residentSize(child.pid!));
  }
  const { exit, stderr } = await running.ended;
  expect(exit, stderr).toBe(0);
  await using engine = createEngine({ stateDir });
  const [job] = engine.jobs();
  expect(job).toMatchObject({ state: 'done', objects: { done: { count: COUNT }, failed: { count: 0 } } });
  const ledgerSize = statSync(join(stateDir, `${job!.id}.db`)).size;
  const seconds = (Date.now() - startedMs) / 1000;
  console.log(
    `${Math.round(COUNT / seconds)} objects/s, ledger ${Math.round(ledgerSize / COUNT)} B an object, MiB by tenths: ${peaks.map((peak) => Math.round(peak / MiB)).join(', ')}`,
  );
  expect(Math.max(...peaks)).toBeLessThanOrEqual(MAX_MEMORY);
  expect(peaks.at(-1)! / peaks[1]!).toBeLessThanOrEqual(TOLERANCE);
}, 7_200_000);
