/** What cannot be done as asked is refused before anything is asked of KMS or S3, and binds nobody to what was refused. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PutRequest } from '../../src/index.ts';
import { type Engine, type EngineOptions, kmsKeyring } from '../../src/index.ts';
import { BASE_SIZE, THREAD_SIZE } from '../../src/parts/memory.ts';
import { MiB } from '../../src/units.ts';
import { openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
/** One for all, because its thread takes longer to start than a test. */
let engine: Engine;
beforeAll(async () => {
  stage = await openStage();
  engine = underKms();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(async () => {
  await engine.close();
  await stage.close();
});

/** The sandbox sees whether KMS was asked. */
function underKms(options: EngineOptions = {}): Engine {
  const keyring = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId] });
  return stage.engine(stage.plot('all', 0), { keyring, ...options });
}

function put({ source, target }: Plot, request: Partial<PutRequest> = {}) {
  return engine.put({ source, target, partSize: PART_SIZE, ...request });
}

async function expectNothingLeft(plot: Plot): Promise<void> {
  expect(engine.jobs().filter(({ state }) => state !== 'done')).toEqual([]);
  expect(await stage.uploadIds(plot)).toEqual([]);
}

describe('before KMS or S3 is asked', () => {
  test.each<[what: string, code: string, request: Partial<PutRequest>]>([
    ['metadata in upper case', 'bad-option', { metadata: { Owner: 'x' } }],
    ['metadata beyond 2 KiB', 'metadata-too-large', { metadata: { long: 'x'.repeat(2000) } }],
    ['a content type of two lines', 'bad-option', { contentType: 'a\nb' }],
    ['a tag that is no text', 'bad-option', { tags: { team: '\ud800' } }],
  ])('%s', async (what, code, request) => {
    const plot = stage.plot(what);
    stage.requests.length = 0;
    await expect(put(plot, request)).rejects.toMatchObject({ code, exit: 2 });
    expect(stage.requests).toEqual([]);
    await expectNothingLeft(plot);
  });

  test('too little memory', async () => {
    const plot = stage.plot('memory');
    await using small = underKms({ maxMemory: BASE_SIZE + THREAD_SIZE + MiB });
    stage.requests.length = 0;
    await expect(small.put(plot)).rejects.toMatchObject({ code: 'memory-too-small', exit: 2 });
    expect(stage.requests).toEqual([]);
    await expectNothingLeft(plot);
  });
});

describe('by the store', () => {
  test.each([
    ['an upload', undefined],
    ['a small file', MiB],
  ])('%s of a storage class that does not exist: the next run may name another', async (what, size) => {
    const plot = stage.plot(what, size);
    await expect(put(plot, { storageClass: 'FOO' })).rejects.toMatchObject({ code: 'store-error', exit: 1 });
    await expectNothingLeft(plot);
    await put(plot, { storageClass: 'STANDARD_IA' });
  });

  test('the first part: its upload is aborted', async () => {
    const plot = stage.plot('part');
    stage.sandbox.setFaults('UploadPart:*=AccessDenied');
    await expect(put(plot)).rejects.toMatchObject({ code: 'access-denied' });
    await expectNothingLeft(plot);
  });

  test('the first part, and the abort too: the job stays, to be cancelled later', async () => {
    const plot = stage.plot('part and abort');
    stage.sandbox.setFaults('UploadPart:*=AccessDenied; AbortMultipartUpload:1=AccessDenied');
    await expect(put(plot)).rejects.toMatchObject({ code: 'access-denied' });
    const job = engine.jobs().find(({ state }) => state === 'running')!;
    expect(await engine.cancel(job.id)).toBe('cancelled');
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('a later part: what is there is kept', async () => {
    const plot = stage.plot('later part');
    stage.sandbox.setFaults('UploadPart:2-=AccessDenied');
    await expect(put(plot)).rejects.toMatchObject({ code: 'access-denied' });
    stage.sandbox.setFaults('');
    expect(await put(plot)).toMatchObject({ partsReused: 1 });
  });
});
