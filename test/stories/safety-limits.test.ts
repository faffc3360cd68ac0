/**
 * Safety rules 6 and 7, seen from outside: a part is not read before its ticket is there, and an interrupted job is
 * one that waits, not one that is aborted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../../src/get.ts';
import type { LaneNeeds, Tools } from '../../src/job.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { BASE_SIZE, defaultMaxMemory, laneSizeOf, MemoryBudget, THREAD_SIZE } from '../../src/parts/memory.ts';
import { Threads } from '../../src/parts/threads.ts';
import { put } from '../../src/put.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { parseObjectUrl } from '../../src/stores/object-url.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { start } from '../support/cli.ts';
import { attemptOf, BUCKET, fixedLanes, keyring, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const MAX_MEMORY = BASE_SIZE + 64 * MiB;

describe('a ticket is taken before anything is read', () => {
  const threads = new Threads({ count: 1, laneCount: 1 });
  const budget = new MemoryBudget({ maxMemory: MAX_MEMORY });
  let tools: Tools;

  beforeAll(async () => {
    const { settings, credentials } = await resolveS3Settings({ bucket: BUCKET });
    const store = new S3Store({ settings, credentials });
    const plan = ({ partSize }: LaneNeeds) => ({
      plan: { maxMemory: MAX_MEMORY, threadCount: 1, lanes: { least: 1, start: 1, most: 1 } },
      held: true,
      laneSize: laneSizeOf(partSize),
    });
    tools = {
      stateDir: openStateDir(stage.plot('any', 0).stateDir),
      keyring,
      place: async (url) => ({ url, key: parseObjectUrl(url).key, store, settings, credentials }),
      prefix: () => expect.unreachable('an object is named whole'),
      kmsPerSecond: () => undefined,
      change: () => {},
      plan,
      crew: async (needs) => ({ ...plan(needs), threads, budget, lanes: fixedLanes(1) }),
      budget,
    };
    // From now on the thread is there, and what it does it does within milliseconds.
    await put(stage.plot('warm'), tools);
  });
  afterAll(() => threads.close());

  /** Runs `work` while others hold the whole budget; `check` sees what was done by then. */
  async function crowded(work: () => Promise<unknown>, check: () => void): Promise<void> {
    let done: Promise<unknown>;
    {
      using _all = await budget.take(MAX_MEMORY - BASE_SIZE);
      done = work();
      await sleep(600);
      check();
    }
    await done;
  }

  test.each([
    ['of a part', undefined, 'UploadPart'],
    ['of a whole file', MiB, 'PutObject'],
  ])('%s to seal', async (name, size, operation) => {
    const plot = stage.plot(`ticket ${name}`, size);
    const check = () => expect(stage.operations(plot)).not.toContain(operation);
    await crowded(() => put(plot, tools), check);
    expect(stage.operations(plot)).toContain(operation);
  });

  test.each([
    ['of several pieces', undefined],
    ['of one', MiB],
  ])('%s to open', async (name, size) => {
    const plot = stage.plot(`ticket ${name}`, size);
    await stage.put(plot);
    stage.requests.length = 0;
    // HEAD, and the first bytes for the header.
    const check = () => expect(stage.operations(plot)).toEqual(['HeadObject', 'GetObject']);
    await crowded(() => get({ source: plot.target, target: plot.back }, tools), check);
    expect(stage.operations(plot).length).toBeGreaterThan(2);
  });
});

test('threads take their share: what is left can be taken, and no byte more', async () => {
  const budget = new MemoryBudget({ maxMemory: MAX_MEMORY });
  budget.startThreads(1);
  const rest = await budget.take(MAX_MEMORY - BASE_SIZE - THREAD_SIZE);
  let isThere = false;
  const more = budget.take(1).then(() => {
    isThere = true;
  });
  await sleep(1);
  expect(isThere).toBe(false);
  rest[Symbol.dispose]();
  await more;
});

test('the default is 512 MiB, or three quarters of a smaller container', () => {
  const defaults = [0, 100 * MiB, 600 * MiB, 2 ** 63].map((constrained) => defaultMaxMemory(constrained) / MiB);
  expect(defaults).toEqual([512, 75, 450, 512]);
});

describe('interrupted', () => {
  test('no new part starts, the one in flight arrives, and the upload is kept', async () => {
    const plot = stage.plot('stopped');
    const controller = new AbortController();
    stage.strike('UploadPart(part=1):1=stall@1ms', () => controller.abort());
    const put = stage.put(plot, { partSize: PART_SIZE, signal: controller.signal });
    await expect(put).rejects.toMatchObject({ code: 'interrupted', exit: 4 });
    expect(stage.operations(plot)).toEqual(['HeadObject', 'CreateMultipartUpload', 'UploadPart']);
    expect(await stage.uploadIds(plot)).toEqual([attemptOf(plot).uploadId]);
    const { result } = await stage.put(plot);
    expect(result.partsReused).toBe(1);
    await stage.expectEqual(plot);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s: exit 4, and the job is kept', async (signal) => {
    const plot = stage.plot(signal);
    stage.sandbox.setFaults('UploadPart:*=stall@300ms');
    const args = ['put', plot.source, plot.target, '--kms-key', 'alias/sandbox', '--part-size', '5MiB', '--lanes', '1'];
    const running = start([...args, '--state-dir', plot.stateDir, '--json']);
    await running.until(({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) > 0);
    running.child.kill(signal);
    const outcome = await running.ended;
    expect(outcome).toMatchObject({ exit: 4, last: { code: 'interrupted' } });
    expect(outcome.stderr).toContain('sealift resume');
    expect(await stage.uploadIds(plot)).toEqual([attemptOf(plot).uploadId]);
  });
});
