/** `profileStages`: put and get tell where the time of their parts went, and nobody else does. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobEvent, JobResult } from '../../src/job.ts';
import { STAGES, type Stage } from '../../src/parts/stopwatch.ts';
import { ofType, openStage, PART_SIZE, type Stage as Scene } from '../support/stage.ts';

let stage: Scene;

beforeAll(async () => {
  stage = await openStage();
});

afterAll(() => stage.close());

/** Stages that took time, most of them too short to be foretold. */
function taken({ stages }: JobResult): Stage[] {
  return STAGES.filter((name) => stages![name] > 0);
}

function sumOf(events: JobEvent[], name: Stage): number {
  return ofType(events, 'stages').reduce((sum, { stages }) => sum + stages[name], 0);
}

test('of three parts, on their way up and down', async () => {
  const plot = stage.plot('profiled');
  const { result, events } = await stage.put(plot, { partSize: PART_SIZE, profileStages: true });
  expect(ofType(events, 'stages').length).toBe(3);
  expect(taken(result)).toEqual([...STAGES]);
  // The threads' own: the rest is the job's.
  for (const name of ['disk', 'cipher', 'checksum', 'network'] as const) {
    expect(result.stages![name]).toBeCloseTo(sumOf(events, name), 9);
  }
  expect(result.stages!.ledger).toBeGreaterThan(sumOf(events, 'ledger'));
  expect(sumOf(events, 'kms')).toBe(0);

  const got: JobEvent[] = [];
  const onEvent = (event: JobEvent) => got.push(event);
  const back = await stage.shared.get({ source: plot.target, target: plot.back, profileStages: true, onEvent });
  expect(back.parts).toBeGreaterThan(1);
  expect(ofType(got, 'stages').length).toBe(back.parts);
  expect(taken(back)).toEqual([...STAGES]);
  expect(readFileSync(plot.back).equals(readFileSync(plot.source))).toBe(true);
});

test('of one part, which no thread moves', async () => {
  const plot = stage.plot('profiled whole', 100_000);
  const { result, events } = await stage.put(plot, { profileStages: true });
  expect(ofType(events, 'stages').length).toBe(1);
  expect(taken(result)).toEqual([...STAGES]);
  const back = await stage.shared.get({ source: plot.target, target: plot.back, profileStages: true });
  expect(taken(back)).toEqual([...STAGES]);
});

test('of a pipe, and of a signed message in order', async () => {
  const plot = stage.plot('profiled pipe');
  const { target } = plot;
  const source = new Blob([readFileSync(plot.source)]).stream();
  const { stages } = await stage.shared.put({ source, target, sign: true, partSize: PART_SIZE, profileStages: true });
  expect(stages!.disk).toBeGreaterThan(0);
  const back = await stage.shared.get({ source: target, target: plot.back, profileStages: true });
  // No ledger keeps what cannot be gone on with, and the checksum is the cipher's own.
  expect(taken(back)).toEqual(['disk', 'cipher', 'network', 'kms']);
});

test('nothing is told where nobody asks', async () => {
  const plot = stage.plot('not profiled');
  const { result, events } = await stage.put(plot);
  expect(result.stages).toBeUndefined();
  expect(ofType(events, 'stages')).toEqual([]);
});
