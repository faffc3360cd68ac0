/** Every write is confirmed alike, by its answer and by HEAD; who may not look is told so; nobody waits for silence. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../src/engine.ts';
import type { PutRequest } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { BUCKET, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
/** One for all, because its thread takes longer to start than a test. */
let engine: Engine;
beforeAll(async () => {
  stage = await openStage();
  engine = stage.engine(stage.plot('all', 0));
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(async () => {
  await engine.close();
  await stage.close();
});

function put({ source, target }: Plot, request: Partial<PutRequest> = {}) {
  return engine.put({ source, target, partSize: PART_SIZE, ...request });
}

async function expectEqual({ target, source, back }: Plot): Promise<void> {
  await engine.get({ source: target, target: back });
  expect(readFileSync(back).equals(readFileSync(source))).toBe(true);
}

/** `looks` are the HEADs before the write. */
const KINDS: [what: string, size: number | undefined, write: string, looks: number][] = [
  ['a small file', MiB, 'PutObject', 1],
  ['an upload', undefined, 'CompleteMultipartUpload', 2],
];

describe.each(KINDS)('%s', (what, size, write) => {
  test('is looked at again once it is written', async () => {
    const plot = stage.plot(`seen ${what}`, size);
    await put(plot);
    expect(stage.operations(plot).slice(-2)).toEqual([write, 'HeadObject']);
  });

  test("tells the store's name for it, and the ledger keeps that", async () => {
    const plot = stage.plot(`named ${what}`, size);
    const result = await put(plot);
    const { ETag } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: plot.key }));
    expect(result.etag).toBe(ETag);
    expect(engine.job(result.job).answer).toMatchObject({ etag: ETag });
  });

  test('goes up for those who may only write, with a warning; they cannot replace', async () => {
    const plot = stage.plot(`blind ${what}`, size);
    stage.sandbox.setFaults('HeadObject:*=AccessDenied; GetObject:*=AccessDenied');
    const result = await put(plot);
    expect(result.warnings).toEqual([expect.stringContaining('HEAD is denied')]);
    await expect(put(plot)).rejects.toMatchObject({ code: 'target-exists' });
    await expect(put(plot, { overwrite: true })).rejects.toMatchObject({ code: 'access-denied' });
    stage.sandbox.setFaults('');
    await expectEqual(plot);
  });

  test('is not waited for beyond the grace, and HEAD decides on resume', async () => {
    const plot = stage.plot(`silent ${what}`, size);
    const stop = new AbortController();
    const held = Promise.withResolvers<void>();
    stage.strike(`${write}:1=stall`, held.resolve);
    const stopped = put(plot, { signal: stop.signal }).catch((thrown) => thrown);
    await held.promise;
    // Only the timer that the abort starts is ours to turn; everybody else's clock runs on.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    stop.abort();
    vi.advanceTimersByTime(10_000);
    vi.useRealTimers();
    expect(await Promise.race([stopped, sleep(3000, 'still waiting')])).toMatchObject({ code: 'interrupted', exit: 4 });

    stage.sandbox.setFaults('');
    const result = await put(plot);
    expect(result.partsReused).toBe(write === 'PutObject' ? 0 : 3);
    await expectEqual(plot);
  });
});

test('a small file of which no write was answered goes up again for those who may only write', async () => {
  const plot = stage.plot('blind again', MiB);
  const blind = 'HeadObject:*=AccessDenied; GetObject:*=AccessDenied';
  stage.sandbox.setFaults(`PutObject:1=500; ${blind}`);
  await expect(put(plot)).rejects.toMatchObject({ code: 'store-unavailable' });
  stage.sandbox.setFaults(blind);
  expect(await put(plot)).toMatchObject({ warnings: [expect.stringContaining('HEAD is denied')] });
});

test('an error is told as what it is, also to somebody who wants to stop', async () => {
  const plot = stage.plot('both', MiB);
  const stop = new AbortController();
  stage.sandbox.setFaults('PutObject:1=PreconditionFailed');
  const onEvent: PutRequest['onEvent'] = ({ type }) => type === 'start' && stop.abort();
  await expect(put(plot, { signal: stop.signal, onEvent })).rejects.toMatchObject({ code: 'target-exists' });
});

describe.each(KINDS)('%s whose answer was lost', (what, size, write, looks) => {
  test('is not taken for a file that changed meanwhile', async () => {
    const plot = stage.plot(`arrived ${what}`, size);
    // The object is written; neither the write's answer nor a HEAD says so.
    stage.sandbox.setFaults(`${write}:1=lose-answer; HeadObject:${looks + 1}-=503`);
    await expect(put(plot)).rejects.toMatchObject({ exit: 5 });
    stage.sandbox.setFaults('');
    writeFileSync(plot.source, Buffer.alloc(size ?? 3 * PART_SIZE, 'the file as it is now'));
    await expect(put(plot)).rejects.toMatchObject({
      code: 'source-changed',
      hint: expect.stringContaining('--overwrite'),
    });
    await put(plot, { overwrite: true });
    await expectEqual(plot);
  });

  test('and that met itself when it was tried again stays a job while HEAD cannot tell', async () => {
    vi.stubEnv('AWS_MAX_ATTEMPTS', '2');
    const plot = stage.plot(`met ${what}`, size);
    const { source, target } = plot;
    await using trying = stage.engine(plot);
    stage.sandbox.setFaults(`${write}:1=lose-answer; HeadObject:${looks + 1}-=503`);
    const failed = await trying.put({ source, target, partSize: PART_SIZE }).catch((thrown) => thrown);
    vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
    stage.sandbox.setFaults('');
    expect(failed).toMatchObject({ exit: 5 });
    await put(plot);
    await expectEqual(plot);
  });
});
