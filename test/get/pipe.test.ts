/** A get to a pipe: what is said when it breaks off, and the memory it counts. */
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import { cannotGoOn } from '../../src/get/pipe.ts';
import { type GetRequest, get } from '../../src/get.ts';
import type { LaneNeeds, Tools } from '../../src/job.ts';
import { BASE_SIZE, laneSizeOf, MemoryBudget, THREAD_SIZE } from '../../src/parts/memory.ts';
import { Threads } from '../../src/parts/threads.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { BUCKET, fixedLanes, keyring, openStage, type Plot, type Stage } from '../support/stage.ts';

const PIECE_SIZE = 8 * MiB;

let stage: Stage;
let threads: Threads;
let one: Plot;
let many: Plot;
beforeAll(async () => {
  stage = await openStage();
  threads = new Threads({ count: 1, laneCount: 3, onRetry: () => {} });
  one = stage.plot('one', MiB);
  many = stage.plot('many', 4 * PIECE_SIZE + 1);
  for (const plot of [one, many]) await stage.put(plot, {});
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(async () => {
  await threads.close();
  await stage.close();
});

/** Tools with room for so many pieces, and as many lanes as are wanted. */
async function toolsWith({ ticketCount, laneCount }: { ticketCount: number; laneCount: number }): Promise<Tools> {
  const settings = await resolveS3Settings({ bucket: BUCKET });
  const store = new S3Store(settings);
  const maxMemory = BASE_SIZE + THREAD_SIZE + ticketCount * laneSizeOf(PIECE_SIZE);
  const budget = new MemoryBudget({ maxMemory });
  budget.startThreads(1);
  const plan = ({ partSize }: LaneNeeds) => {
    return {
      plan: { maxMemory, threadCount: 1, lanes: { least: 1, start: laneCount, most: laneCount } },
      held: true,
      laneSize: laneSizeOf(partSize),
    };
  };
  return {
    stateDir: '',
    keyring,
    place: async (url) => ({ url, key: url.split('/').at(-1)!, store, ...settings }),
    prefix: () => expect.unreachable('an object is named whole'),
    kmsPerSecond: () => undefined,
    change: () => {},
    plan,
    crew: async (needs) => ({ ...plan(needs), threads, budget, lanes: fixedLanes(laneCount) }),
    budget,
  };
}

describe('an error after output', () => {
  test('says how much is out, and is otherwise the same', async () => {
    const tools = await toolsWith({ ticketCount: 1, laneCount: 1 });
    let released = 0;
    const target: GetRequest['target'] = async ({ length }) => {
      released += length;
    };
    stage.sandbox.setFaults('GetObject:4=AccessDenied');
    const error = await get({ source: many.target, target }, tools).catch((thrown) => thrown);
    expect(released).toBe(2 * PIECE_SIZE);
    expect(error).toMatchObject({ code: 'access-denied', hint: expect.stringContaining('s3:GetObject') });
    expect(error.message).toMatch(/AccessDenied.*, after 16777216 verified bytes were written out$/);
  });

  test.each([
    [0, 'Slow down'],
    [7, 'Slow down, after 7 verified bytes were written out'],
  ])('that may pass promises nothing that a pipe cannot keep, after %i bytes', (ackedBytes, message) => {
    const hint = 'Run the same command again later; it goes on where it stopped.';
    const told = cannotGoOn(new SealiftError('store-throttled', 'Slow down', { hint }), { ackedBytes, isProven: true });
    expect(told).toMatchObject({ code: 'store-throttled', message, hint: expect.stringMatching(/begins anew\.$/) });
  });

  test('that a full disk caused promises nothing either', () => {
    const hint = 'Free some space and run the same command again: it goes on where it stopped.';
    const told = cannotGoOn(new SealiftError('disk-full', 'No space left', { hint }), 'nothing');
    expect(told).toMatchObject({ code: 'disk-full', message: 'No space left', hint: expect.stringMatching(/anew\.$/) });
  });

  test.each<[where: string, source: () => Promise<GetRequest['source']>]>([
    ['of an object', async () => one.target],
    ['of a message that comes through a pipe', async () => Readable.from([await stage.stored(one)])],
  ])('of another, the sink, is told as of the target, whatever the signal says: %s', async (_where, source) => {
    const controller = new AbortController();
    const broken = new Error('enough');
    const target = () => {
      controller.abort();
      return Promise.reject(broken);
    };
    const tools = await toolsWith({ ticketCount: 1, laneCount: 1 });
    const request = { source: await source(), target, signal: controller.signal, allowRelocated: true };
    await expect(get(request, tools)).rejects.toMatchObject({ code: 'target-failed', cause: broken });
  });
});

describe('memory', () => {
  test.each([
    ['one piece', 1, () => one],
    ['many', 1, () => many],
    ['many, whose buffers are handed on', 2, () => many],
  ])('is counted until the sink has taken it: %s', async (_what, count, plot) => {
    const tools = await toolsWith({ ticketCount: count, laneCount: count });
    const all = count * laneSizeOf(PIECE_SIZE);
    const isFree = async () => {
      let free = false;
      const ticket = tools.budget.take(all).then((given) => {
        free = true;
        return given;
      });
      await turn();
      return { free, ticket };
    };
    const target: GetRequest['target'] = async () => {
      const { free, ticket } = await isFree();
      expect(free).toBe(false);
      // Whoever waits gets it in the end, and gives it back.
      ticket.then((given) => given[Symbol.dispose]());
    };
    await get({ source: plot().target, target }, tools);
    expect((await isFree()).free).toBe(true);
  });

  test('two gets with less room than lanes do not wait for each other for ever', async () => {
    const tools = await toolsWith({ ticketCount: 2, laneCount: 3 });
    const sizes = [0, 0];
    const both = sizes.map((_, index) => {
      const target: GetRequest['target'] = async ({ length }) => {
        sizes[index]! += length;
        await turn();
      };
      return get({ source: many.target, target }, tools);
    });
    await Promise.all(both);
    expect(sizes).toEqual([4 * PIECE_SIZE + 1, 4 * PIECE_SIZE + 1]);
  });
});
