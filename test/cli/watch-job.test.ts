/** A running job as another terminal sees it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Output } from '../../src/cli/output.ts';
import { watchJob } from '../../src/cli/watch-job.ts';
import type { JobSummary } from '../../src/index.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => stage.close());

/** An output of which all that is said is kept. */
function outputTo(lines: string[], { onTerminal }: { onTerminal: boolean }): Output {
  const output = new Output({});
  vi.spyOn(output, 'hasStatusLine', 'get').mockReturnValue(onTerminal);
  vi.spyOn(output, 'statusWidth', 'get').mockReturnValue(100);
  vi.spyOn(output, 'say').mockImplementation((line) => void lines.push(line));
  vi.spyOn(output, 'status').mockImplementation((text) => void lines.push(text));
  return output;
}

test('a migration is shown while it runs, by another engine, and to its end', async () => {
  const source = join(stage.folder, 'watched');
  mkdirSync(source);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(source, name), name);
  const target = `s3://${BUCKET}/watched/`;
  const stateDir = join(stage.folder, 'state');
  const id = jobIdOf({ command: 'migrate', source, target });
  await using other = stage.engine({ stateDir });
  const [lines, seen]: [string[], JobSummary[]] = [[], []];
  const output = outputTo(lines, { onTerminal: true });
  const asked = { read: () => other.job(id), tell: (job: JobSummary) => seen.push(job), output };

  const watching = Promise.withResolvers<Promise<JobSummary>>();
  const held = Promise.withResolvers<void>();
  let migrated: Promise<unknown>;
  // The first request is held until the job has been seen, and then fails; the object is sent again.
  stage.strike('PutObject:1=503', () => {
    const pause = async () => {
      held.resolve();
      await migrated;
    };
    watching.resolve(watchJob({ ...asked, pause }));
    return held.promise;
  });
  migrated = stage.shared.migrate({ source, target });
  const last = await await watching.promise;
  await migrated;

  expect(lines).toEqual([expect.stringMatching(/^━*─+ {3}\d+ % .*\n\d of 3 objects( so far)? done$/)]);
  expect(seen.map(({ running }) => running)).toEqual([true, false]);
  expect(last).toMatchObject({ state: 'done', listing: false, objects: { done: { count: 3 } } });
});

test('where no line can change in place it is told every 30 seconds', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const counts = { pending: 3, sending: 1, done: 5, skipped: 0, failed: 1 };
    const objects = Object.fromEntries(Object.entries(counts).map(([state, count]) => [state, { count, bytes: 0 }]));
    const running = { running: true, bytesDone: 512, bytesTotal: 1024, objects, failures: { 'access-denied': 1 } };
    const lines: string[] = [];
    const asked = { output: outputTo(lines, { onTerminal: false }), tell: () => {} };
    const pauses: number[] = [];
    const pause = async (ms: number) => {
      pauses.push(ms);
      vi.advanceTimersByTime(ms);
    };
    // A ledger that takes two seconds to read is left alone for twenty.
    const read = () => {
      vi.advanceTimersByTime(pauses.length === 3 ? 2000 : 0);
      return { ...running, running: pauses.length < 60, listing: true } as unknown as JobSummary;
    };
    await watchJob({ ...asked, read, pause });
    expect(pauses.slice(0, 5)).toEqual([1000, 1000, 1000, 20_000, 1000]);
    const line = '512 B of 1 KiB; 5 of 10 objects so far done, 1 failed, 1 by access-denied';
    expect(lines).toEqual([line, line, line]);
  } finally {
    vi.useRealTimers();
  }
});
