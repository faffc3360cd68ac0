/**
 * All the way round: a directory of very many small files and a few large ones goes into a bucket, from there into another,
 * and back into a directory. The trees are equal, KMS is asked a handful of times each way, memory is what was allowed,
 * however many objects there are, and neither the small ones nor the large ones wait for the others.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KiB, MiB } from '../../src/units.ts';
import { type LogEntry, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';

const SMALL_COUNT = Number(process.env.SEALIFT_OBJECTS ?? 100_000);
const LARGE_COUNT = 5;
const LARGE_SIZE = Number(process.env.SEALIFT_LARGE_MIB ?? 1024) * MiB;
const MAX_MEMORY = 512 * MiB;
/** So many calls of KMS each way, whatever the number of objects. */
const MOST_CALLS = 10;
/** While there are both, no longer than this passes without a small object, or a part of a large one. */
const MOST_WAIT_MS = 5000;
/** How often the resident size is looked at. */
const LOOK_MS = 500;

let folder: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-round-'));
  const random = Buffer.alloc(64 * KiB, 'no two of a size alike');
  for (let number = 0; number < SMALL_COUNT; number++) {
    const parent = join(folder, 'tree', `${number % 101}`, `${number % 7}`);
    mkdirSync(parent, { recursive: true });
    random.writeUInt32LE(number, 0);
    writeFileSync(join(parent, `${number}`), random.subarray(0, KiB + ((number * 7919) % (63 * KiB))));
  }
  for (let number = 0; number < LARGE_COUNT; number++) {
    writeRandomFile(join(folder, 'tree', `large ${number}`), LARGE_SIZE);
  }
  sandbox = await startSandboxProcess(
    ['--https', '--bucket', 'first', '--bucket', 'second'],
    join(folder, 'requests.log'),
  );
}, 3_600_000);

afterAll(async () => {
  await sandbox?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 3_600_000);

/** One hash over all files of a tree, with their names, times and permissions. */
async function hashOf(root: string): Promise<{ count: number; digest: string }> {
  const lines: string[] = [];
  for await (const entry of await opendir(root, { recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode, mtimeMs, size } = lstatSync(path);
    const bytes = size > MiB ? await sha256Of(path) : createHash('sha256').update(readFileSync(path)).digest('hex');
    lines.push(`${path.slice(root.length)} ${mode & 0o777} ${Math.round(mtimeMs)} ${bytes}`);
  }
  const digest = createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  return { count: lines.length, digest };
}

/**
 * How long small objects, and parts of large ones, had no answer at most while both were under way: a listing may come to the
 * large ones late.
 */
function longestWaits(requests: readonly LogEntry[], operations: { small: string; part: string }): number[] {
  const answered = (operation: string, isLarge: boolean) =>
    requests
      .filter((each) => each.operation === operation && /large \d$/.test(each.key ?? '') === isLarge)
      .map(({ time, ms }) => time + ms)
      .sort((one, other) => one - other);
  const kinds = [answered(operations.small, false), answered(operations.part, true)];
  const begin = Math.max(...kinds.map((times) => times[0]!));
  const end = Math.min(...kinds.map((times) => times.at(-1)!));
  return kinds.map((times) => {
    const marks = [begin, ...times.filter((time) => time > begin && time < end), end];
    return Math.max(...marks.slice(1).map((time, index) => Math.round(time - marks[index]!)));
  });
}

/** Resident sizes in the four quarters of a run: the highest of each, in MiB. */
function quartersOf(sizes: readonly number[]): string {
  const quarters = [0, 1, 2, 3].map((quarter) =>
    sizes.slice((quarter * sizes.length) / 4, ((quarter + 1) * sizes.length) / 4),
  );
  return quarters.map((each) => Math.round(Math.max(...each) / MiB)).join(', ');
}

function residentSize(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib ?? 0) * 1024;
}

/** Moves all of it, and tells in a line what that took. */
async function move(source: string, target: string): Promise<void> {
  const known = sandbox.log().length;
  const isRestored = !target.startsWith('s3:');
  const key = isRestored ? [] : ['--kms-key', 'alias/sandbox'];
  const flags = ['--state-dir', join(folder, 'state'), '--max-memory', `${MAX_MEMORY}`, '--json'];
  const running = start(['migrate', source, target, ...key, ...flags], { env: sandbox.env });
  const sizes: number[] = [];
  const timer = setInterval(() => sizes.push(residentSize(running.child.pid!)), LOOK_MS);
  running.child.once('exit', () => clearInterval(timer));
  const { exit, last, stderr } = await running.ended;
  expect(exit, stderr).toBe(0);

  const requests = sandbox.log().slice(known);
  const calls = requests.filter(({ service }) => service === 'kms').length;
  const operations = isRestored
    ? { small: 'GetObject', part: 'GetObject' }
    : { small: 'PutObject', part: 'UploadPart' };
  const waits = longestWaits(requests, operations);
  const { seconds, cpuSeconds } = last as unknown as { seconds: number; cpuSeconds: number };
  const rate = Math.round((SMALL_COUNT + LARGE_COUNT) / seconds);
  console.log(
    `${target}: ${Math.round(seconds)} s, ${rate} objects/s, ${cpuSeconds.toFixed(1)} CPU s, ${calls} KMS calls, waited ${waits.join(' and ')} ms at most, ${quartersOf(sizes)} MiB`,
  );
  expect(last).toMatchObject({ objects: SMALL_COUNT + LARGE_COUNT, failed: 0, skipped: 0 });
  expect(last!.peakRssBytes).toBeLessThanOrEqual(MAX_MEMORY);
  expect(calls).toBeLessThanOrEqual(MOST_CALLS);
  expect(Math.max(...waits)).toBeLessThanOrEqual(MOST_WAIT_MS);
}

test('a directory, a bucket, another bucket, a directory: equal trees, few calls of KMS, memory as allowed', async () => {
  const ways = [join(folder, 'tree'), 's3://first/tree/', 's3://second/tree/', join(folder, 'back')];
  for (const [index, target] of ways.slice(1).entries()) await move(ways[index]!, target);
  const tree = await hashOf(ways[0]!);
  expect(tree.count).toBe(SMALL_COUNT + LARGE_COUNT);
  expect(await hashOf(ways[3]!)).toEqual(tree);
}, 7_200_000);
