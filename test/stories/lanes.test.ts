/** Lanes that adapt: what a server's SlowDown does to a put and a get, and that lanes come back after it. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { JobEvent, LaneNeeds, Tools } from '../../src/job.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { Allowance } from '../../src/limits/allowance.ts';
import { BASE_SIZE, laneSizeOf, MemoryBudget, THREAD_SIZE } from '../../src/parts/memory.ts';
import { Threads } from '../../src/parts/threads.ts';
import { put } from '../../src/put.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { BUCKET, keyring, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

/** Both lanes are turned away at once, and one is left: which part ends first makes no difference. */
const LANES = { least: 1, start: 2, most: 4 };
const PART_COUNT = 5;

let stage: Stage;
let plot: Plot;
beforeAll(async () => {
  stage = await openStage();
  vi.stubEnv('AWS_MAX_ATTEMPTS', '8');
  plot = stage.plot('throttled', PART_COUNT * PART_SIZE);
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

/** What a job says about its lanes while `faults` strike. */
async function told(faults: string, job: (onEvent: (event: JobEvent) => void) => Promise<unknown>) {
  const events: JobEvent[] = [];
  stage.sandbox.setFaults(faults);
  await job((event) => events.push(event));
  return events.filter((event) => event.type === 'lanes');
}

test('a put halves its lanes when the server asks to slow down, and comes back', async () => {
  const access = await resolveS3Settings({ bucket: BUCKET });
  let slowDowns = 0;
  const threads = new Threads({ count: 1, laneCount: LANES.most, onRetry: () => slowDowns++ });
  // Every look at the clock finds that half a second has gone by.
  let ms = 0;
  const nowMs = () => {
    ms += 500;
    return ms;
  };
  const maxMemory = 512 * MiB;
  const budget = new MemoryBudget({ maxMemory });
  const plan = ({ partSize }: LaneNeeds) => ({
    plan: { maxMemory, threadCount: 1, lanes: LANES },
    held: true,
    laneSize: laneSizeOf(partSize),
  });
  const store = new S3Store(access);
  const tools: Tools = {
    stateDir: openStateDir(plot.stateDir),
    keyring,
    place: async (url) => ({ url, key: plot.key, store, ...access }),
    prefix: () => expect.unreachable('an object is named whole'),
    kmsPerSecond: () => undefined,
    change: () => {},
    plan,
    crew: async (needs, onChange) => {
      const lanes = new Allowance(LANES, { slowDowns: () => slowDowns, onChange, nowMs });
      return { ...plan(needs), threads, budget, lanes };
    },
    budget,
  };
  const changes = await told('UploadPart:1-2=SlowDown', (onEvent) =>
    put({ source: plot.source, target: plot.target, partSize: PART_SIZE, onEvent }, tools),
  );
  await threads.close();
  store.close();
  expect(changes.slice(0, 2)).toEqual([
    { type: 'lanes', from: 2, to: 1, reason: 'slow-down' },
    { type: 'lanes', from: 1, to: 2, reason: 'recovery' },
  ]);
});

test('so does a get; an engine hears of it from its threads', async () => {
  const maxMemory = BASE_SIZE + THREAD_SIZE + 3.5 * laneSizeOf(8 * MiB);
  await using engine = stage.engine(plot, { threads: 1, lanes: undefined, maxMemory });
  // The first one asks for the header.
  const changes = await told('GetObject:2-4=SlowDown', (onEvent) =>
    engine.get({ source: plot.target, target: plot.back, onEvent }),
  );
  expect(changes[0]).toEqual({ type: 'lanes', from: 3, to: 1, reason: 'slow-down' });
});
