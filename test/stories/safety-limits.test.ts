/**
 * Safety rules 6 and 7, seen from outside: a part is not read before its ticket is there, and an interrupted job is
 * one that waits, not one that is aborted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../../src/get.ts';
import type { LaneNeeds, Tools } from '../../src/job.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { BASE_SIZE, defaultMaxMemory, laneSizeOf, MemoryBudget } from '../../src/parts/memory.ts';
import { Threads } from '../../src/parts/threads.ts';
import { put } from '../../src/put.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { start } from '../support/cli.ts';
import { attemptOf, BUCKET, keyring, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const MAX_MEMORY = BASE_SIZE + 64 * MiB;

describe('a ticket is taken before anything is read', () => {
  /** Tools with a budget in which others hold everything until `release`. */
  async function crowded({ stateDir, key }: Plot) {
    const { settings, credentials } = await resolveS3Settings({ bucket: BUCKET });
    const place = {
      url: `s3://${BUCKET}/${key}`,
      key,
      store: new S3Store({ settings, credentials }),
      settings,
      credentials,
    };
    const budget = new MemoryBudget({ maxMemory: MAX_MEMORY });
    const ticket = await budget.take(64 * MiB);
    const threads = new Threads({ count: 1, laneCount: 1 });
    const plan = ({ partSize }: LaneNeeds) => ({
      plan: { maxMemory: MAX_MEMORY, threadCount: 1, laneCount: 1 },
      held: true,
      laneSize: laneSizeOf(partSize),
    });
    const tools: Tools = {
      stateDir: openStateDir(stateDir),
      keyring,
      kmsCalls: () => 0,
      place: async () => place,
      plan,
      crew: async (needs) => ({ ...plan(needs), threads, budget }),
      budget,
    };
    return { tools, release: () => ticket[Symbol.dispose](), close: () => threads.close() };
  }

  test.each([
    ['of a part', undefined, 'UploadPart'],
    ['of a whole file', MiB, 'PutObject'],
  ])('%s to seal', async (name, size, operation) => {
    const plot = stage.plot(`ticket ${name}`, size);
    const { tools, release, close } = await crowded(plot);
    const done = put(plot, tools);
    await sleep(600);
    expect(stage.operations(plot)).not.toContain(operation);
    release();
    await done;
    expect(stage.operations(plot)).toContain(operation);
    await close();
  });

  test.each([
    ['of several pieces', undefined],
    ['of one', MiB],
  ])('%s to open', async (name, size) => {
    const plot = stage.plot(`ticket ${name}`, size);
    await stage.put(plot);
    const { tools, release, close } = await crowded({ ...plot, stateDir: `${plot.stateDir}-get` });
    stage.requests.length = 0;
    const done = get({ source: plot.target, target: plot.back }, tools);
    await sleep(600);
    // HEAD, and the first bytes for the header.
    expect(stage.operations(plot)).toEqual(['HeadObject', 'GetObject']);
    release();
    await done;
    await close();
  });
});

test('the default is 512 MiB, or three quarters of a smaller container', () => {
  const defaults = [0, 100 * MiB, 600 * MiB, 2 ** 63].map((constrained) => defaultMaxMemory(constrained) / MiB);
  expect(defaults).toEqual([512, 75, 450, 512]);
});

describe('interrupted', () => {
  test('no new part starts, the one in flight arrives, and the upload is kept', async () => {
    const plot = stage.plot('stopped');
    const controller = new AbortController();
    stage.sandbox.setFaults('UploadPart(part=1):1=stall@500ms');
    const put = stage.put(plot, { partSize: PART_SIZE, signal: controller.signal }).catch((thrown) => thrown);
    while (!stage.operations(plot).includes('CreateMultipartUpload')) await sleep(10);
    // Part 1 is sealed within milliseconds of its thread's start, and then waits half a second for its answer.
    await sleep(400);
    controller.abort();
    expect(await put).toMatchObject({ code: 'interrupted', exit: 4 });
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
    expect(await running.ended).toMatchObject({ exit: 4, last: { code: 'interrupted' } });
    expect(await stage.uploadIds(plot)).toEqual([attemptOf(plot).uploadId]);
  });
});
