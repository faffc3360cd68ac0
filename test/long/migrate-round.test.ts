/**
 * All the way round: a directory of very many small files and a few large ones goes into a bucket, from there into another,
 * and back into a directory. The trees are equal, KMS is asked a handful of times each way, and memory is what was allowed,
 * however many objects there are.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KiB, MiB } from '../../src/units.ts';
import { run, type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';

const SMALL_COUNT = Number(process.env.SEALIFT_OBJECTS ?? 100_000);
const LARGE_COUNT = 5;
const LARGE_SIZE = Number(process.env.SEALIFT_LARGE_MIB ?? 1024) * MiB;
const MAX_MEMORY = 512 * MiB;
/** So many calls of KMS each way, whatever the number of objects. */
const MOST_CALLS = 10;

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
});

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

test('a directory, a bucket, another bucket, a directory: equal trees, few calls of KMS, memory as allowed', async () => {
  const ways = [join(folder, 'tree'), 's3://first/tree/', 's3://second/tree/', join(folder, 'back')];
  const told: string[] = [];
  for (const [index, target] of ways.slice(1).entries()) {
    const calls = () => sandbox.log().filter(({ service }) => service === 'kms').length;
    const before = calls();
    const key = target.startsWith('s3:') ? ['--kms-key', 'alias/sandbox'] : [];
    const flags = ['--state-dir', join(folder, 'state'), '--max-memory', `${MAX_MEMORY}`, '--json'];
    const { exit, last, stderr } = await run(['migrate', ways[index]!, target, ...key, ...flags], { env: sandbox.env });
    expect(exit, stderr).toBe(0);
    expect(last).toMatchObject({ objects: SMALL_COUNT + LARGE_COUNT, failed: 0, skipped: 0 });
    expect(calls() - before).toBeLessThanOrEqual(MOST_CALLS);
    expect(last!.peakRssBytes).toBeLessThanOrEqual(MAX_MEMORY);
    const { seconds, cpuSeconds, peakRssBytes } = last as unknown as Record<string, number>;
    const rate = Math.round((SMALL_COUNT + LARGE_COUNT) / seconds!);
    told.push(`${target}: ${rate} objects/s, ${cpuSeconds!.toFixed(1)} CPU s, ${Math.round(peakRssBytes! / MiB)} MiB`);
  }
  console.log(told.join('\n'));
  const tree = await hashOf(ways[0]!);
  expect(tree.count).toBe(SMALL_COUNT + LARGE_COUNT);
  expect(await hashOf(ways[3]!)).toEqual(tree);
}, 7_200_000);
