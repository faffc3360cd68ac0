/**
 * Parts of 1 GiB in 256 MiB of memory: sealed twice, within the cap, killed and resumed; and a source that changes
 * between the passes, behind the back of its times, sends no changed frame.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GiB, MiB } from '../../src/units.ts';
import { run, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';
import { changeQuietly, setRoundTimes, sha256Of, writeRandomFile, writeSparseFile } from '../support/files.ts';
import { checkRecords } from '../support/records.ts';

const CAP = 256 * MiB;
const FLAGS = ['--part-size', '1GiB', '--max-memory', '256MiB', '--json'];

let folder: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-huge-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function withSandbox(flags: string[], work: () => Promise<void>): Promise<void> {
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', ...flags], join(folder, 'requests.log'));
  try {
    await work();
  } finally {
    await sandbox.stop();
  }
}

function putArgs(source: string, target: string, state: string): string[] {
  return ['put', source, target, '--kms-key', sandbox.kmsKeyId, '--state-dir', join(folder, state), ...FLAGS];
}

test('16 GiB within the cap', async () => {
  const source = join(folder, 'sparse.bin');
  writeSparseFile(source, 16 * GiB);
  await withSandbox(['--discard'], async () => {
    const put = await run(putArgs(source, 's3://bkt/sparse', 'sparse'), { env: sandbox.env });
    expect(put.last, put.stderr).toMatchObject({ type: 'result', plainBytes: 16 * GiB, parts: 16 });
    console.log(`16 GiB in parts of 1 GiB: peak ${(put.last!.peakRssBytes as number) / MiB} MiB`);
    expect(put.last!.peakRssBytes).toBeLessThanOrEqual(CAP);
  });
});

test('killed and resumed, equal', async () => {
  const source = join(folder, 'killed.bin');
  writeRandomFile(source, 3 * GiB);
  const records = join(folder, 'records-killed');
  mkdirSync(records);
  await withSandbox([], async () => {
    const target = 's3://bkt/killed';
    const put = start(putArgs(source, target, 'killed'), { env: sandbox.env, records });
    await put.until(({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) >= GiB);
    put.child.kill('SIGKILL');
    await put.ended;
    const resumed = await run(['resume', '--state-dir', join(folder, 'killed'), '--json'], {
      env: sandbox.env,
      records,
    });
    expect(resumed.last, resumed.stderr).toMatchObject({ type: 'result', parts: 3 });
    expect(resumed.last!.partsReused).toBeGreaterThanOrEqual(1);
    expect(resumed.last!.peakRssBytes).toBeLessThanOrEqual(CAP + 64 * MiB); // The recorder takes some of it.
    const back = join(folder, 'killed.back');
    await run(['get', target, back, '--state-dir', join(folder, 'killed')], { env: sandbox.env });
    expect(await sha256Of(back)).toBe(await sha256Of(source));
    expect(checkRecords(records).violations).toEqual([]);
  });
});

test('a source that changes between the passes sends no changed frame', async () => {
  const size = 512 * MiB;
  const source = join(folder, 'changed.bin');
  writeRandomFile(source, size);
  setRoundTimes(source);
  const state = join(folder, 'changed');
  // Pass two crawls, so that there is time to change what it has not sealed again yet.
  await withSandbox(['--faults', 'UploadPart:1-2=slow@16MiB/s'], async () => {
    const args = putArgs(source, 's3://bkt/changed', 'changed').map((arg) => (arg === '1GiB' ? '256MiB' : arg));
    const put = start(args, { env: sandbox.env });
    await put.until(({ type }) => type === 'start');
    while (intentCount(state) < 2) await sleep(50);
    changeQuietly(source, [255 * MiB, 511 * MiB]);
    const { last } = await put.ended;
    expect(last).toMatchObject({ type: 'error', code: 'source-changed', exit: 1 });
    const parts = sandbox.log().filter(({ operation, key }) => operation === 'UploadPart' && key === 'changed');
    expect(parts.filter(({ status }) => status === 200)).toEqual([]);
    // The changed MiB is the last of its part: the sandbox never got as far.
    for (const { bytesIn } of parts) expect(bytesIn).toBeLessThan(255.5 * MiB);
  });
});

/** Intents the ledger has: pass one of so many parts is over. */
function intentCount(state: string): number {
  using ledger = new DatabaseSync(join(state, readdirSync(state).find((name) => name.endsWith('.db'))!), {
    readOnly: true,
  });
  return Number(ledger.prepare('SELECT count(*) AS count FROM intents').get()!.count);
}
