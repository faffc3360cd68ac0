/**
 * Does opening use a second thread as well as the cipher itself can? `node bench/open.ts` opens a `file://` object of
 * 2 GiB to /dev/null with one thread and with two, and lets the bare cipher open frames in memory for about as long, in
 * one thread and in two. What two threads gain over one varies from run to run on a shared machine, so all four are measured side
 * by side, round after round, and medians are compared. What it is held to: 0.9 of the cipher's gain. All threads have
 * started before anything counts, and what is opened is written at once, as Node writes to a standard output that is no pipe.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { release } from '../src/formats/release.ts';
import { createEngine, rawAesKeyring } from '../src/index.ts';
import { GiB, KiB } from '../src/units.ts';
import { writeSparseFile } from '../test/support/files.ts';

const SIZE = 2 * GiB;
const FRAME_SIZE = 256 * KiB;
/** The bare cipher is that much faster. */
const FRAME_COUNT = (4 * SIZE) / FRAME_SIZE;
const ROUND_COUNT = Number(process.argv[2] ?? 9);
const LEAST_SHARE = 0.9;

/** What a thread of the cipher alone does: opens frames, all of them the same one. */
function openFrames(count: number): void {
  const key = createSecretKey(Buffer.alloc(32, 1));
  const nonce = Buffer.alloc(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(Buffer.alloc(FRAME_SIZE)), cipher.final()]);
  const tag = cipher.getAuthTag();
  for (let index = 0; index < count; index++) {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 }).setAuthTag(tag);
    release(decipher.update(sealed));
    decipher.final();
  }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const spread = (values: number[]) =>
  `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-open-'));
  const source = join(folder, 'source');
  const object = `file://${join(folder, 'object')}`;
  writeSparseFile(source, SIZE);
  const keyring = rawAesKeyring({ namespace: 'bench', name: 'open', key: Buffer.alloc(32, 1) });
  const nowhere = openSync('/dev/null', 'w');
  const engines = [1, 2].map((threads) =>
    createEngine({ keyring, threads, stateDir: join(folder, `state-${threads}`) }),
  );
  const workers = [1, 2].map(() => new Worker(import.meta.filename));
  const get = (threads: number) =>
    engines[threads - 1]!.get({ source: object, target: async (bytes) => void writeSync(nowhere, bytes) });
  const cipher = (threads: number) =>
    Promise.all(
      workers.slice(0, threads).map((worker) => {
        worker.postMessage(FRAME_COUNT / threads);
        return once(worker, 'message');
      }),
    );
  const rows = {
    'cipher, 1 thread': [() => cipher(1), []],
    'cipher, 2 threads': [() => cipher(2), []],
    'get, 1 thread': [() => get(1), []],
    'get, 2 threads': [() => get(2), []],
  } as Record<string, [() => Promise<unknown>, number[]]>;
  try {
    await engines[0]!.put({ source, target: object });
    for (const [work] of Object.values(rows)) await work();
    for (let round = 0; round < ROUND_COUNT; round++) {
      for (const [work, seconds] of Object.values(rows)) seconds.push(await secondsOf(work));
    }
    for (const [name, [, seconds]] of Object.entries(rows)) console.log(`${name.padEnd(18)} ${spread(seconds)} s`);
    const [cipherGains, getGains] = ['cipher', 'get'].map((what) => {
      const two = rows[`${what}, 2 threads`]![1];
      return rows[`${what}, 1 thread`]![1].map((seconds, round) => seconds / two[round]!);
    }) as [number[], number[]];
    const share = median(getGains) / median(cipherGains);
    console.log(
      `gain of the cipher ${spread(cipherGains)}, of a get ${spread(getGains)}: a share of ${share.toFixed(2)}`,
    );
    console.log(share >= LEAST_SHARE ? 'It holds.' : `It should be ${LEAST_SHARE} at least.`);
  } finally {
    await Promise.all([...engines.map((engine) => engine.close()), ...workers.map((worker) => worker.terminate())]);
    closeSync(nowhere);
    rmSync(folder, { recursive: true });
  }
}

if (isMainThread) {
  await main();
} else {
  parentPort!.on('message', (count: number) => {
    openFrames(count);
    parentPort!.postMessage('done');
  });
}
