/** One engine, many jobs: they share threads, memory and keys, and leave nothing behind when it is closed. */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { kmsKeyring } from '../../src/engine/keys.ts';
import { createEngine, type Engine } from '../../src/engine.ts';
import { SealiftError } from '../../src/errors.ts';
import { runLanes } from '../../src/parts/lanes.ts';
import { MiB } from '../../src/units.ts';
import { sha256Of } from '../support/files.ts';
import { openScratch, type Scratch } from '../support/scratch.ts';

let scratch: Scratch;
let folder: string;
let source: string;

/** Two parts. */
const SIZE = 9 * MiB;

beforeAll(async () => {
  scratch = await openScratch({ sourceSize: SIZE });
  ({ folder, source } = scratch);
});

afterAll(() => scratch.close());

function newEngine(): Engine {
  const keyring = kmsKeyring({ keyIds: [scratch.sandbox.kmsKeyId] });
  return createEngine({ keyring, stateDir: join(folder, 'state') });
}

function connections(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}

describe('many jobs at once', () => {
  test('ten puts and ten gets of several parts each all end well', async () => {
    await using engine = newEngine();
    const urls = Array.from({ length: 10 }, (_, index) => `s3://bucket/many-${index}`);
    await Promise.all(urls.map((target) => engine.put({ source, target })));
    const files = urls.map((_, index) => join(folder, `back-${index}`));
    await Promise.all(urls.map((url, index) => engine.get({ source: url, target: files[index]! })));
    const hash = await sha256Of(source);
    for (const file of files) expect(await sha256Of(file)).toBe(hash);
    expect(engine.keyStats()).toEqual({ hits: expect.any(Number), misses: 2 });
  });

  test('a closed engine leaves no connection of its own', async () => {
    const before = connections();
    for (let count = 0; count < 3; count++) {
      await using engine = newEngine();
      await engine.put({ source, target: `s3://bucket/closed-${count}` });
    }
    await vi.waitFor(() => expect(connections()).toBeLessThanOrEqual(before), { timeout: 5000 });
  });

  test('a setting that was missing is asked for again', async () => {
    await using engine = newEngine();
    vi.stubEnv('AWS_REGION', '');
    vi.stubEnv('AWS_DEFAULT_REGION', '');
    const target = 's3://bucket/region';
    await expect(engine.put({ source, target })).rejects.toMatchObject({ code: 'no-region' });
    vi.stubEnv('AWS_REGION', 'us-east-1');
    expect(await engine.put({ source, target })).toMatchObject({ plainBytes: SIZE, parts: 2 });
  });
});

describe('lanes', () => {
  test('work that outlasts the grace is cut, and the job is told as interrupted', async () => {
    const stop = new AbortController();
    const cuts: string[] = [];
    const lanes = runLanes({
      items: ['slow', 'never begun'],
      lanes: { count: 1 },
      stop: stop.signal,
      graceMs: 200,
      work: (item, cut) =>
        new Promise((_, reject) => {
          cut.addEventListener('abort', () => {
            cuts.push(item);
            reject(SealiftError.interrupted(cut, item));
          });
        }),
    });
    stop.abort();
    await sleep(100);
    expect(cuts).toEqual([]);
    expect(await lanes).toBe(false);
    expect(cuts).toEqual(['slow']);
  });

  test('a real failure counts, whatever was cut beside it', async () => {
    const stop = new AbortController();
    const lanes = runLanes({
      items: ['fails', 'is cut'],
      lanes: { count: 2 },
      stop: stop.signal,
      graceMs: 50,
      work: async (item, cut) => {
        if (item === 'fails') throw new SealiftError('bad-frame', 'Frame 1 is damaged');
        stop.abort();
        await once(cut, 'abort');
        throw SealiftError.interrupted(cut, item);
      },
    });
    await expect(lanes).rejects.toMatchObject({ code: 'bad-frame' });
  });

  test('there are as many as may be, however that changes', async () => {
    const lanes = { count: 2 };
    const flying: number[] = [];
    const seen: number[] = [];
    await runLanes({
      items: [2, 2, 4, 4, 4, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3],
      lanes,
      work: async (count) => {
        flying.push(count);
        await sleep(1);
        // What is in flight when fewer are allowed may end; what is allowed beyond that begins at once.
        lanes.count = count;
        seen.push(flying.length);
        flying.pop();
      },
    });
    expect(seen).toHaveLength(15);
    expect(flying).toEqual([]);
    expect(Math.max(...seen)).toBe(4);
    expect(seen.slice(8, 11)).toEqual([1, 1, 1]);
    expect(seen.slice(12)).toEqual([3, 2, 1]);
  });

  test('the first failure ends the pulling and waits for what is in flight', async () => {
    const ended: number[] = [];
    const lanes = runLanes({
      items: [1, 2, 3, 4],
      lanes: { count: 2 },
      work: async (item) => {
        if (item === 1) throw new Error('first');
        await sleep(20);
        ended.push(item);
      },
    });
    await expect(lanes).rejects.toThrow('first');
    expect(ended).toEqual([2]);
  });
});
