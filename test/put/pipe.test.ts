/** A put from a stream: what it seals, and what is left of it when anything goes wrong. */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { layoutOf } from '../../src/formats/esdk/layout.ts';
import type { PutRequest } from '../../src/index.ts';
import type { JobEvent } from '../../src/job.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { BASE_SIZE, MemoryBudget, pipeLaneSizeOf } from '../../src/parts/memory.ts';
import { PipeReader } from '../../src/parts/pipe-reader.ts';
import { Progress } from '../../src/progress.ts';
import { piecesOf } from '../../src/put/pipe.ts';
import { KiB } from '../../src/units.ts';
import { BUCKET, ofType, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

/** Chunks of no particular size. */
async function* streamOf(bytes: Uint8Array, chunkSize = 700_001): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += chunkSize) yield bytes.subarray(offset, offset + chunkSize);
}

/** Gives so many bytes, and then what `end` does. */
async function* streamThen(size: number, end: () => Promise<unknown>): AsyncGenerator<Uint8Array> {
  yield* streamOf(randomBytes(size));
  await end();
}

const silence = () => new Promise<never>(() => {});

async function put(key: string, source: AsyncIterable<Uint8Array>, request: Partial<PutRequest> = {}) {
  const events: JobEvent[] = [];
  const target = `s3://${BUCKET}/${key}`;
  const onEvent = (event: JobEvent) => events.push(event);
  const result = await stage.shared.put({ source, target, partSize: PART_SIZE, onEvent, ...request });
  return { result, events };
}

async function bytesOf(key: string): Promise<Buffer> {
  const target = `${stage.folder}/back`;
  rmSync(target, { force: true });
  await stage.shared.get({ source: `s3://${BUCKET}/${key}`, target });
  return readFileSync(target);
}

/** Expects the put to fail so, and nothing of it to be left. */
async function expectGone(key: string, work: Promise<unknown>, error: Record<string, unknown>): Promise<void> {
  await expect(work).rejects.toMatchObject(error);
  const plot = { key } as Parameters<Stage['uploadIds']>[0];
  expect(await stage.uploadIds(plot)).toEqual([]);
  await expect(stage.stored(plot)).rejects.toMatchObject({ name: 'NoSuchKey' });
  const id = jobIdOf({ command: 'put', source: '-', target: `s3://${BUCKET}/${key}` });
  expect(stage.shared.jobs().filter((job) => job.id === id && job.state === 'running')).toEqual([]);
}

describe('a stream comes back', () => {
  test.each([
    ['empty', 0, 1],
    ['of one byte', 1, 1],
    ['of a part less a byte', PART_SIZE - 1, 1],
    ['of a part', PART_SIZE, 1],
    ['of a part and a byte', PART_SIZE + 1, 2],
    ['of three parts', 3 * PART_SIZE, 3],
    ['of three parts and a bit', 3 * PART_SIZE + 12_345, 4],
  ])('%s', async (name, size, parts) => {
    const bytes = randomBytes(size);
    const { result, events } = await put(name, streamOf(bytes));
    expect(result).toMatchObject({ plainBytes: size, parts, warnings: [] });
    expect((await bytesOf(name)).equals(bytes)).toBe(true);
    const [begun] = ofType(events, 'start');
    expect(begun).toMatchObject({ totalBytes: 0, resumed: false });
    expect(begun!.reachBytes).toBeGreaterThan(10_000 * PART_SIZE);
    expect(ofType(events, 'progress').at(-1)).toMatchObject({ ackedBytes: size, totalBytes: 0 });
    expect(stage.shared.job(result.job)).toMatchObject({
      state: 'done',
      bytesDone: result.sealedBytes,
      partsDone: parts,
    });
  });

  test('through a Node stream and a Web stream, several lanes wide', async () => {
    const bytes = randomBytes(4 * PART_SIZE + 7);
    await using engine = stage.engine({ stateDir: `${stage.folder}/wide` }, { threads: 2, lanes: 4 });
    const sources = { node: Readable.from(streamOf(bytes)), web: ReadableStream.from(streamOf(bytes)) };
    for (const [key, source] of Object.entries(sources)) {
      await engine.put({ source, target: `s3://${BUCKET}/${key}`, partSize: PART_SIZE });
      expect((await bytesOf(key)).equals(bytes)).toBe(true);
    }
  });

  test('without a time of modification, which it has not', async () => {
    await put('timeless', streamOf(randomBytes(10)));
    const { Metadata } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'timeless' }));
    expect(Object.keys(Metadata!)).toEqual(['sealift-id']);
  });
});

describe('nothing is left of a stream', () => {
  const twoParts = 2 * PART_SIZE + 5;
  const failing = () => Promise.reject(new Error('disk on fire'));

  test.each([
    ['in its first part', 5],
    ['after two parts', twoParts],
  ])('that fails %s', async (key, size) => {
    const error = { code: 'source-failed', exit: 1, message: 'The source failed: disk on fire' };
    await expectGone(key, put(key, streamThen(size, failing)), error);
  });

  test('that gives something else than bytes', async () => {
    const text = Readable.from(['text']) as AsyncIterable<Uint8Array>;
    await expectGone('text', put('text', text), { code: 'source-failed', message: expect.stringContaining('string') });
  });

  test.each([
    ['in its first part', 5],
    ['after two parts', twoParts],
  ])('that is stopped while it is silent %s', async (name, size) => {
    const key = `stopped ${name}`;
    const signal = AbortSignal.timeout(400);
    await expectGone(key, put(key, streamThen(size, silence), { signal }), { code: 'pipe-interrupted', exit: 1 });
  });

  test('whose end comes with the signal, as when Ctrl-C reaches its producer too', async () => {
    const stop = new AbortController();
    const end = async () => void setImmediate(() => stop.abort());
    const work = put('both', streamThen(5, end), { signal: stop.signal });
    await expectGone('both', work, { code: 'pipe-interrupted' });
  });

  test('that goes on while the store fails', async () => {
    stage.sandbox.setFaults('UploadPart:2-=500');
    const work = put('unavailable', streamThen(twoParts, silence));
    const hint = expect.stringContaining('run the whole command again');
    await expectGone('unavailable', work, { code: 'store-unavailable', hint });
  });

  test('whose object appears meanwhile, but the object', async () => {
    stage.sandbox.setFaults('CompleteMultipartUpload:1=PreconditionFailed');
    await expectGone('appeared', put('appeared', streamOf(randomBytes(twoParts))), { code: 'target-exists' });
  });
});

test('one part more than there may be is an error, and the last that may be is not handed out', async () => {
  const cut = { frameSize: KiB, headerSize: 100, partFrameCount: 2 };
  const layout = layoutOf({ ...cut, plainSize: 6 * KiB, frameCount: 6 });
  const longest = { format: 'esdk' as const, layout };
  const budget = new MemoryBudget({ maxMemory: BASE_SIZE + pipeLaneSizeOf(2 * KiB) });
  async function numbersOf(size: number): Promise<number[]> {
    const numbers: number[] = [];
    using reader = new PipeReader(streamOf(randomBytes(size)));
    try {
      const progress = new Progress({});
      for await (const { number, ...piece } of piecesOf({ tools: { budget }, progress }, reader, longest)) {
        numbers.push(number);
        piece[Symbol.dispose]();
      }
    } catch (error) {
      expect(error).toMatchObject({ code: 'pipe-too-long', exit: 1, message: expect.stringContaining('6 KiB') });
      expect(numbers).toEqual([1, 2]);
      return [];
    }
    return numbers;
  }
  expect(await numbersOf(6 * KiB)).toEqual([1, 2, 3]);
  expect(await numbersOf(6 * KiB + 1)).toEqual([]);
  // The ticket of the part that failed is back.
  using _ticket = await budget.take(pipeLaneSizeOf(2 * KiB));
});

test('a target that exists is told before a byte is read', async () => {
  await put('taken', streamOf(randomBytes(5)));
  let asked = false;
  async function* source() {
    asked = true;
    yield randomBytes(5);
  }
  await expect(put('taken', source())).rejects.toMatchObject({ code: 'target-exists' });
  expect(asked).toBe(false);
});

test('a lost answer to Complete is asked for once more', async () => {
  const bytes = randomBytes(2 * PART_SIZE);
  stage.sandbox.setFaults('CompleteMultipartUpload:1=lose-answer');
  await put('lost answer', streamOf(bytes));
  expect((await bytesOf('lost answer')).equals(bytes)).toBe(true);
});

test('a source is asked for no more than lanes hold while the store is slow', async () => {
  stage.sandbox.setFaults('UploadPart:1=stall@1s');
  let given = 0;
  async function* source() {
    for (let count = 0; count < 12; count++) {
      given += PART_SIZE;
      yield randomBytes(PART_SIZE);
    }
  }
  const work = put('slow', source());
  await sleep(500);
  expect(given).toBeLessThanOrEqual(3 * PART_SIZE);
  stage.sandbox.setFaults('');
  await work;
});
