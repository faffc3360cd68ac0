/**
 * Safety rule 3, seen from outside: nothing is released that was not authenticated. A file appears whole and verified
 * under its name or not at all; a pipe gets verified bytes in order.
 */

import { spawnSync } from 'node:child_process';
import crypto, { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CopyObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTemporary, temporaryPathFor } from '../../src/get/target.ts';
import type { GetRequest } from '../../src/get.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { DATA_KEY, SOME_KEYS, sealMessage, somePlain, wrapDataKey } from '../formats/message.ts';
import { run } from '../support/cli.ts';
import { BUCKET, ofType, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

const hasStrace = spawnSync('strace', ['-V']).status === 0;

let stage: Stage;
/** An object that is read in two pieces, for tests that only read it. */
let whole: Plot;
beforeAll(async () => {
  stage = await openStage();
  whole = stage.plot('whole');
  await stage.put(whole);
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

/** The whole object once more: another target, another job. */
let count = 0;
function again(): Plot & { folder: string } {
  const folder = join(stage.folder, `again-${++count}`);
  spawnSync('mkdir', [folder]);
  return { ...whole, folder, back: join(folder, 'back') };
}

async function get({ target: source, back }: Plot, request: Partial<GetRequest> = {}) {
  return await stage.shared.get({ source, target: back, ...request });
}

async function replace(key: string, Body: Uint8Array): Promise<void> {
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }));
}

/** Resolves after so many more GETs of an object: one for its header, one for each piece. */
async function untilGets(key: string, gets: number): Promise<void> {
  const seen = () =>
    stage.requests.filter((request) => request.key === key && request.operation === 'GetObject').length;
  const target = seen() + gets;
  while (seen() < target) await sleep(5);
}

const equals = (path: string) => readFileSync(path).equals(readFileSync(whole.source));

describe('a header', () => {
  const names = { namespace: 'test', name: 'story' };
  const wrapped = { dataKey: DATA_KEY, wrappingKey: Buffer.alloc(32, 'wrapping key'), ...names };

  test('that was changed where only its tag tells is refused', async () => {
    const plot = stage.plot('header', 1);
    const encryptedDataKeys = [
      wrapDataKey({ ...wrapped, encryptionContext: {}, nonce: randomBytes(12) }),
      ...SOME_KEYS,
    ];
    const { sealed } = sealMessage({
      plain: somePlain(100),
      frameSize: 1024,
      encryptionContext: {},
      encryptedDataKeys,
    });
    await replace(plot.key, sealed);
    expect(await get(plot)).toMatchObject({ plainBytes: 100 });
    // A byte of a wrapped key that is another's: nothing is derived from it.
    sealed[sealed.indexOf('wrapped', 0, 'latin1')]! ^= 1;
    await replace(plot.key, sealed);
    await expect(get(plot, { overwrite: true })).rejects.toMatchObject({ code: 'bad-header' });
  });

  test('of another name is refused, unless the mover says so', async () => {
    const moved = { ...again(), target: `s3://${BUCKET}/moved` };
    await stage.s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: 'moved', CopySource: `${BUCKET}/${whole.key}` }));
    await expect(get(moved)).rejects.toMatchObject({ code: 'object-relocated', exit: 6 });
    expect(existsSync(moved.back)).toBe(false);
    await get(moved, { allowRelocated: true });
    expect(equals(moved.back)).toBe(true);
  });
});

describe('to a file', () => {
  test('nothing has its name before all of it is verified; what there is meanwhile is for its owner alone', async () => {
    const plot = again();
    stage.sandbox.setFaults('GetObject:3=stall@300ms');
    const done = get(plot);
    await untilGets(plot.key, 2);
    const names = readdirSync(plot.folder);
    expect(names).toEqual([expect.stringMatching(/^\.sealift-[0-9a-f]{16}$/)]);
    expect(statSync(join(plot.folder, names[0]!)).mode & 0o777).toBe(0o600);
    await done;
    expect(readdirSync(plot.folder)).toEqual(['back']);
    expect(statSync(plot.back).mode & 0o777).toBe(0o600);
    expect(equals(plot.back)).toBe(true);
  });

  test('nothing is left of what did not verify', async () => {
    const plot = again();
    stage.sandbox.setFaults('GetObject:3=corrupt@1000');
    await expect(get(plot)).rejects.toMatchObject({ code: 'bad-frame', exit: 6 });
    expect(readdirSync(plot.folder)).toEqual([]);
  });

  test('a file that is there, or comes while we are at work, is left alone', async () => {
    const plot = again();
    stage.sandbox.setFaults('GetObject:3=stall@300ms');
    const done = get(plot).catch((thrown) => thrown);
    await untilGets(plot.key, 2);
    writeFileSync(plot.back, 'mine');
    expect(await done).toMatchObject({ code: 'target-exists' });
    expect(readFileSync(plot.back, 'utf8')).toBe('mine');
    expect(readdirSync(plot.folder)).toEqual(['back']);
    stage.requests.length = 0;
    await expect(get(plot)).rejects.toMatchObject({ code: 'target-exists' });
    expect(stage.requests).toEqual([]);
    expect(readFileSync(plot.back, 'utf8')).toBe('mine');
    await get(plot, { overwrite: true });
    expect(equals(plot.back)).toBe(true);
  });

  test('the temporary file is a new one, whatever lies under its name', async () => {
    const { back, folder } = again();
    expect(temporaryPathFor(back)).not.toBe(temporaryPathFor(back));
    // Somebody who could guess the name lays a link there.
    const original = crypto.randomBytes;
    crypto.randomBytes = ((size: number) => Buffer.alloc(size)) as typeof original;
    syncBuiltinESMExports();
    try {
      writeFileSync(join(folder, 'victim'), 'precious');
      symlinkSync(join(folder, 'victim'), join(folder, `.sealift-${'00'.repeat(8)}`));
      const create = createTemporary(temporaryPathFor(back), { target: back, size: 1 });
      await expect(create).rejects.toMatchObject({ code: 'target-unwritable' });
      expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('precious');
    } finally {
      crypto.randomBytes = original;
      syncBuiltinESMExports();
    }
  });

  test.skipIf(!hasStrace)(
    'is synced before its name, its folder after, its pieces before the ledger hears of them',
    async () => {
      const plot = again();
      const trace = join(stage.folder, 'get.trace');
      const calls = 'trace=pwrite64,fsync,fdatasync,link,linkat';
      const args = ['get', plot.target, plot.back, '--raw-key', rawKeyFile(), '--state-dir', plot.stateDir];
      const under = ['strace', '-f', '-y', '-e', calls, '-o', trace];
      expect(await run([...args, '--threads', '1', '--lanes', '1'], { under })).toMatchObject({ exit: 0 });
      const lines = readFileSync(trace, 'utf8').split('\n');
      const positions = (pattern: RegExp) => lines.flatMap((line, at) => (pattern.test(line) ? [at] : []));
      const link = positions(/ link(at)?\(.*"\S*\/back"/)[0]!;
      expect(positions(/ fsync\(\d+<[^>]*\.sealift-[^>]*>/).some((at) => at < link)).toBe(true);
      expect(positions(/ fsync\(\d+<[^>]*again-\d+>/).some((at) => at > link)).toBe(true);
      // The log's writes before the first piece are those of the job and its download.
      const written = positions(/ pwrite64\(\d+<[^>]*\.sealift-/);
      const synced = positions(/ fdatasync\(\d+<[^>]*\.sealift-/);
      const told = positions(/ pwrite64\(\d+<[^>]*\.db-wal>/);
      const firstTold = told.find((at) => at > written[0]!)!;
      expect(synced.some((at) => at > written[0]! && at < firstTold)).toBe(true);
    },
  );
});

let keyFile: string | undefined;
function rawKeyFile(): string {
  if (keyFile) return keyFile;
  keyFile = join(stage.folder, 'raw.key');
  const key = Buffer.alloc(32, 'wrapping key').toString('base64');
  writeFileSync(keyFile, JSON.stringify({ type: 'raw-aes', namespace: 'test', name: 'story', key }), { mode: 0o600 });
  return keyFile;
}

test('an object replaced after HEAD, after its header or between two pieces is object-changed', async () => {
  const other = stage.plot('other');
  await stage.put(other);
  const sealed = await stage.stored(other);
  const plots = [1, 2, 3].map((gets) => stage.plot(`replaced ${gets}`));
  for (const plot of plots) await stage.put(plot);
  for (const [index, plot] of plots.entries()) {
    stage.strike(`GetObject:${index + 1}=stall@1ms`, () => replace(plot.key, sealed));
    await expect(get(plot)).rejects.toMatchObject({ code: 'object-changed' });
  }
  expect(plots.filter(({ back }) => existsSync(back))).toEqual([]);
});

describe('a resumed get', () => {
  /** One of whose two pieces was written. The ledger hears of it only after the get has failed: a get waits for its disk. */
  async function unfinished(): Promise<Plot & { folder: string }> {
    const plot = again();
    const seen = stage.requests.length;
    const isRefused = () => stage.requests.slice(seen).some(({ status }) => status === 403);
    const { recordPieces } = Ledger.prototype;
    const slow = vi.spyOn(Ledger.prototype, 'recordPieces').mockImplementation(async function (this: Ledger, pieces) {
      await vi.waitUntil(isRefused, { timeout: 10_000 });
      // Long enough for a get that does not wait to be over.
      await sleep(50);
      await recordPieces.call(this, pieces);
    });
    stage.sandbox.setFaults('GetObject:3=AccessDenied');
    await expect(get(plot)).rejects.toMatchObject({ code: 'access-denied' });
    stage.sandbox.setFaults('');
    slow.mockRestore();
    return plot;
  }

  test('keeps what it had verified, and nothing of a temporary file that is another', async () => {
    const kept = await unfinished();
    expect(await get(kept)).toMatchObject({ partsReused: 1 });
    expect(equals(kept.back)).toBe(true);

    // Somebody may hold another open, whatever is in it now.
    const plot = await unfinished();
    const temporary = join(plot.folder, readdirSync(plot.folder)[0]!);
    copyFileSync(temporary, `${temporary}.new`);
    renameSync(`${temporary}.new`, temporary);
    expect(await get(plot)).toMatchObject({ partsReused: 0 });
    expect(equals(plot.back)).toBe(true);
  });

  test('keeps nothing that is not as it was written', async () => {
    const plot = await unfinished();
    writeFileSync(join(plot.folder, readdirSync(plot.folder)[0]!), 'evil', { flag: 'r+' });
    expect(await get(plot)).toMatchObject({ partsReused: 0 });
    expect(equals(plot.back)).toBe(true);
  });

  test('of an object that was replaced starts again', async () => {
    const plot = { ...again(), ...(({ source, key, target }) => ({ source, key, target }))(stage.plot('resumed')) };
    await stage.put(plot);
    stage.sandbox.setFaults('GetObject:3=AccessDenied');
    await expect(get(plot)).rejects.toMatchObject({ code: 'access-denied' });
    stage.sandbox.setFaults('');
    await stage.put(plot, { overwrite: true, partSize: PART_SIZE });
    const events: Parameters<NonNullable<GetRequest['onEvent']>>[0][] = [];
    await get(plot, { onEvent: (event) => events.push(event) });
    expect(readFileSync(plot.back).equals(readFileSync(plot.source))).toBe(true);
    expect(ofType(events, 'part').filter(({ kept }) => kept)).toEqual([]);
  });
});

describe('to a pipe', () => {
  /** What a sink was given by the end. */
  async function piped(plot: Plot, faults: string) {
    const chunks: Buffer[] = [];
    const sink = async (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes));
    await using engine = stage.engine(plot, { lanes: 3 });
    stage.sandbox.setFaults(faults);
    const error = await engine.get({ source: plot.target, target: sink }).catch((thrown) => thrown);
    stage.sandbox.setFaults('');
    return { error, bytes: Buffer.concat(chunks) };
  }

  test('bytes come in order, whatever order they arrive in', async () => {
    const { bytes } = await piped(again(), 'GetObject:2=stall@300ms');
    expect(bytes.equals(readFileSync(whole.source))).toBe(true);
  });

  test('of a damaged piece nothing is released, and what comes before it is verified', async () => {
    const { error, bytes } = await piped(again(), 'GetObject:3=corrupt@4000000; GetObject:2=stall@100ms');
    expect(error).toMatchObject({ code: 'bad-frame', exit: 6 });
    const plain = readFileSync(whole.source);
    expect(bytes.equals(plain.subarray(0, bytes.length))).toBe(true);
    expect(bytes.length).toBeLessThan(plain.length);
  });

  test('one that is stopped is no success', async () => {
    const plot = again();
    const controller = new AbortController();
    const { signal } = controller;
    // The reader has enough after the first piece.
    const sink = async () => controller.abort();
    await expect(stage.shared.get({ source: plot.target, target: sink, signal })).rejects.toMatchObject({
      code: 'interrupted',
      exit: 4,
    });
  });

  test('the command line says so, and exits 6', async () => {
    stage.sandbox.setFaults('GetObject:3=corrupt@1000');
    const args = ['get', whole.target, '-', '--raw-key', rawKeyFile(), '--threads', '1', '--lanes', '1'];
    const { exit, stderr } = await run([...args, '--state-dir', again().stateDir]);
    expect({ exit, stderr }).toMatchObject({ exit: 6, stderr: expect.stringContaining('(bad-frame)') });
  });
});
