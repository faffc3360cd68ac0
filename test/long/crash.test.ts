/**
 * `kill -9` at random moments of a put over HTTPS, then `resume`: the object must be equal, no more than the parts in
 * flight may be sent again, and no nonce may ever have sealed two plaintexts.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../src/units.ts';
import { run, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { checkRecords } from '../support/records.ts';

const KILL_COUNT = Number(process.env['SEALIFT_KILLS'] ?? 50);
const SIZE = Number(process.env['SEALIFT_KILL_SIZE'] ?? GiB);
const PART_SIZE = 8 * MiB;
const LANE_COUNT = 4;

let folder: string;
let source: string;
let hash: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-crash-'));
  source = join(folder, 'source.bin');
  writeRandomFile(source, SIZE);
  hash = await sha256Of(source);
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'requests.log'));
});

afterAll(async () => {
  await sandbox?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Case {
  state: string;
  records: string;
  key: string;
  target: string;
}

function newCase(name: string): Case {
  const state = join(folder, `state-${name}`);
  const records = join(folder, `records-${name}`);
  mkdirSync(records);
  return { state, records, key: `crash/${name}`, target: `s3://bkt/crash/${name}` };
}

function putArgs({ state, target }: Case): string[] {
  const keys = ['--kms-key', sandbox.kmsKeyId];
  return ['put', source, target, ...keys, '--lanes', String(LANE_COUNT), '--state-dir', state, '--json'];
}

/** Starts a put, kills it some time after `ackedParts` parts were acknowledged, and says how many were by then. */
async function killedPut(one: Case, { ackedParts, delayMs }: { ackedParts: number; delayMs: number }): Promise<number> {
  const running = start(putArgs(one), { env: sandbox.env, records: one.records });
  await running.until(
    ({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) >= ackedParts * PART_SIZE,
  );
  await sleep(delayMs);
  running.child.kill('SIGKILL');
  const { lines } = await running.ended;
  return Math.max(...lines.filter(({ type }) => type === 'progress').map(({ ackedBytes }) => ackedBytes as number));
}

async function checkEqual(one: Case): Promise<void> {
  const back = join(folder, 'back.bin');
  const got = await run(['get', one.target, back, '--state-dir', one.state, '--json'], { env: sandbox.env });
  expect(got.last).toMatchObject({ type: 'result', plainBytes: SIZE });
  expect(await sha256Of(back)).toBe(hash);
  rmSync(back);
}

function checkNonces({ records }: Case): void {
  const { calls, violations } = checkRecords(records);
  expect(calls).toBeGreaterThan(SIZE / (256 * 1024) - 1);
  expect(violations).toEqual([]);
}

/** Part bytes of the case's object the sandbox received, whole or not, beyond the object's own. */
function bytesAgain({ key }: Case): number {
  const parts = sandbox.log().filter((entry) => entry.key === key && entry.operation === 'UploadPart');
  const whole = new Map<number, number>();
  for (const { partNumber, bytesIn, status } of parts) if (status === 200) whole.set(partNumber!, bytesIn);
  const needed = [...whole.values()].reduce((sum, size) => sum + size, 0);
  return parts.reduce((sum, { bytesIn }) => sum + bytesIn, 0) - needed;
}

describe(`kill -9 of a ${SIZE / MiB} MiB put`, () => {
  test(`${KILL_COUNT} random moments`, async () => {
    const partCount = SIZE / PART_SIZE;
    for (let index = 0; index < KILL_COUNT; index++) {
      const one = newCase(`random-${index}`);
      const ackedParts = 1 + Math.floor(Math.random() * (partCount - 8));
      await killedPut(one, { ackedParts, delayMs: Math.random() * 60 });
      const resumed = await run(['resume', '--state-dir', one.state, '--json'], {
        env: sandbox.env,
        records: one.records,
      });
      expect(resumed.last, resumed.stderr).toMatchObject({ type: 'result', plainBytes: SIZE });
      expect(resumed.last!['partsReused']).toBeGreaterThanOrEqual(ackedParts);
      expect(bytesAgain(one)).toBeLessThanOrEqual(LANE_COUNT * (PART_SIZE + MiB));
      await checkEqual(one);
      checkNonces(one);
      rmSync(one.records, { recursive: true });
    }
  });
});
