/** A job goes on only as it was begun: under its key, with its options, also where the next call leaves them out. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../src/engine.ts';
import type { PutRequest } from '../../src/index.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { MiB } from '../../src/units.ts';
import { writeRandomFile } from '../support/files.ts';
import { openScratch, type Scratch } from '../support/scratch.ts';

let scratch: Scratch;
let folder: string;
let source: string;

beforeAll(async () => {
  scratch = await openScratch({ sourceSize: 40 * MiB });
  ({ folder, source } = scratch);
});

afterAll(() => scratch.close());

function engineWith(key: number): Engine {
  const keyring = rawAesKeyring({ namespace: 'test', name: 'test', key: Buffer.alloc(32, key) });
  return createEngine({ keyring, stateDir: join(folder, 'state'), lanes: 1 });
}

/** Stops a put once its first part is acknowledged. */
async function interrupted(request: Omit<PutRequest, 'source'>): Promise<void> {
  await using engine = engineWith(1);
  const stop = new AbortController();
  const onEvent: PutRequest['onEvent'] = ({ type }) => type === 'progress' && stop.abort();
  const put = engine.put({ ...request, source, signal: stop.signal, onEvent });
  await expect(put).rejects.toMatchObject({ code: 'interrupted', exit: 4, hint: expect.stringContaining('resume') });
}

describe('an unfinished job', () => {
  const target = 's3://bucket/object';
  const begun = { target, context: { purpose: 'test' }, metadata: { owner: 'us' }, frameSize: 128 * 1024 };

  test('refuses another key and other options, and goes on without them named again', async () => {
    await interrupted(begun);
    await using other = engineWith(2);
    await expect(other.put({ source, target })).rejects.toMatchObject({
      code: 'options-differ',
      message: expect.stringContaining('another key'),
      exit: 2,
    });
    await using engine = engineWith(1);
    await expect(engine.put({ source, target, frameSize: 64 * 1024 })).rejects.toMatchObject({
      code: 'options-differ',
      message: expect.stringContaining('frameSize 131072, not 65536'),
    });
    const { partsReused } = await engine.put({ source, target });
    expect(partsReused).toBeGreaterThan(0);
    expect(await engine.inspect(target)).toMatchObject({
      frameSize: 128 * 1024,
      encryptionContext: { purpose: 'test' },
      metadata: { owner: 'us' },
    });
  });

  test('keeps its options where it has to start over', async () => {
    await interrupted({ ...begun, target: `${target}-2` });
    writeRandomFile(source, 40 * MiB);
    await using engine = engineWith(1);
    const { partsReused } = await engine.put({ source, target: `${target}-2` });
    expect(partsReused).toBe(0);
    expect(await engine.inspect(`${target}-2`)).toMatchObject({
      frameSize: 128 * 1024,
      encryptionContext: { purpose: 'test' },
      metadata: { owner: 'us' },
    });
  });

  test('starts again with other options where --fresh is given, and its old upload is gone', async () => {
    await interrupted({ ...begun, target: `${target}-3` });
    await using engine = engineWith(2);
    await engine.put({ source, target: `${target}-3`, frameSize: 64 * 1024, fresh: true });
    expect(await engine.inspect(`${target}-3`)).toMatchObject({ frameSize: 64 * 1024 });
    expect(engine.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  });
});

describe('cancel', () => {
  test('aborts, and leaves alone what is over', async () => {
    const target = 's3://bucket/cancelled';
    await interrupted({ target });
    await using engine = engineWith(1);
    const job = engine.jobs().find((row) => row.state === 'running')!;
    expect(await engine.cancel(job.id)).toBe('cancelled');
    expect(await engine.cancel(job.id)).toBe('over');
    expect(engine.job(job.id).state).toBe('cancelled');
    await expect(engine.cancel('put-aaaaaaaaaa')).rejects.toMatchObject({ code: 'no-such-job' });
  });
});

test.each(['mtime', 'Sealift-Id'])('metadata named %s is refused: it is ours', async (name) => {
  await using engine = engineWith(1);
  const put = engine.put({ source, target: 's3://bucket/ours', metadata: { [name]: 'x' } });
  await expect(put).rejects.toMatchObject({ code: 'bad-option', exit: 2 });
  expect(engine.jobs().filter(({ state }) => state === 'running')).toEqual([]);
});
