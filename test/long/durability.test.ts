/**
 * Intent before send, seen from outside: under strace no part's first socket write begins before a sync of the ledger
 * that covers its intent has returned. And power loss: at a kill the ledger is put back to the bytes that had been
 * synced by then; a resume must go on from it. Both fail with `synchronous = OFF` and with the intent moved behind the
 * send (test/long/mutants.test.ts proves it).
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MiB } from '../../src/units.ts';
import { run, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { checkRecords } from '../support/records.ts';
import { readTrace, straceCommand, syncedBytes, type TracedCall } from '../support/trace.ts';

const hasStrace = spawnSync('strace', ['-V']).status === 0;
const PART_COUNT = 12;
const PART_SIZE = 8 * MiB;

let folder: string;
let source: string;
let hash: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-durability-'));
  source = join(folder, 'source.bin');
  writeRandomFile(source, PART_COUNT * PART_SIZE);
  hash = await sha256Of(source);
  // Plain HTTP on the loopback, so that strace can read which part a request is for.
  sandbox = await startSandboxProcess(['--bucket', 'bkt'], join(folder, 'requests.log'));
});

afterAll(async () => {
  await sandbox?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function putArgs(target: string, state: string): string[] {
  return ['put', source, target, '--kms-key', sandbox.kmsKeyId, '--lanes', '4', '--state-dir', state, '--json'];
}

function ledgerPath(state: string): string {
  return join(state, readdirSync(state).find((name) => name.endsWith('.db'))!);
}

/** strace's child: killing strace itself would let it go on. */
function tracedPid(stracePid: number): number {
  return Number.parseInt(readFileSync(`/proc/${stracePid}/task/${stracePid}/children`, 'utf8'), 10);
}

/** Positions in the trace: when part `number`'s intent was safe, and when its first byte went out. */
function positionsOf(calls: TracedCall[], wal: string, fingerprint: Buffer, number: number) {
  const written = calls.find(
    ({ path, name, data }) => path === wal && name === 'pwrite64' && data.includes(fingerprint),
  );
  const synced = calls.find(({ path, name, begun }) => path === wal && /sync$/.test(name) && begun > written!.begun);
  const request = Buffer.from(`partNumber=${number}&`);
  const sent = calls.find(({ path, data }) => path.startsWith('socket:') && data.includes(request));
  return { synced: synced?.returned ?? Number.POSITIVE_INFINITY, sent: sent?.begun };
}

describe.skipIf(!hasStrace)('durability (needs strace)', () => {
  test('every part: its intent is synced before its first socket write', async () => {
    const state = join(folder, 'order');
    const traceFile = join(folder, 'order.trace');
    const put = await run(putArgs('s3://bkt/order', state), { env: sandbox.env, under: straceCommand(traceFile) });
    expect(put.last, put.stderr).toMatchObject({ type: 'result', parts: PART_COUNT });

    const calls = readTrace(traceFile);
    const db = ledgerPath(state);
    using ledger = new DatabaseSync(db, { readOnly: true });
    const intents = ledger.prepare('SELECT number, fingerprint FROM intents').all();
    expect(intents).toHaveLength(PART_COUNT);
    for (const { number, fingerprint } of intents) {
      const { synced, sent } = positionsOf(
        calls,
        `${db}-wal`,
        Buffer.from(fingerprint as Uint8Array),
        number as number,
      );
      expect(sent, `part ${number} was seen on a socket`).toBeDefined();
      expect(synced, `part ${number}`).toBeLessThan(sent!);
    }
  });

  test('power loss: resume from the ledger as last synced', async () => {
    for (const ackedParts of [1, 3, 5, 7]) {
      const name = `loss-${ackedParts}`;
      const state = join(folder, name);
      const records = join(folder, `records-${name}`);
      mkdirSync(records);
      const traceFile = join(folder, `${name}.trace`);
      const target = `s3://bkt/${name}`;
      // Slow enough that the power goes before the put has ended: a last progress may tell of many parts at once.
      const args = [...putArgs(target, state), '--bwlimit', '24MiB/s'];
      const put = start(args, { env: sandbox.env, records, under: straceCommand(traceFile) });
      await put.until(
        ({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) >= ackedParts * PART_SIZE,
      );
      process.kill(tracedPid(put.child.pid!), 'SIGKILL');
      expect((await put.ended).last, 'the put was under way').toBeUndefined();

      const db = ledgerPath(state);
      const calls = readTrace(traceFile);
      for (const path of [db, `${db}-wal`]) writeFileSync(path, syncedBytes(calls, path) ?? '');
      rmSync(`${db}-shm`, { force: true });
      const resumed = await run(['resume', '--state-dir', state, '--json'], { env: sandbox.env, records });
      expect(resumed.last, resumed.stderr).toMatchObject({ type: 'result', parts: PART_COUNT });
      expect(resumed.last!.partsReused).toBeGreaterThanOrEqual(ackedParts);

      const back = join(folder, `${name}.bin`);
      await run(['get', target, back, '--state-dir', state], { env: sandbox.env });
      expect(await sha256Of(back)).toBe(hash);
      expect(checkRecords(records).violations).toEqual([]);
    }
  });
});
