/** A job that is given up frees what the store holds of it, and never forgets what it could not free. */
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../src/engine.ts';
import type { PutRequest } from '../../src/index.ts';
import type { JobEvent, JobResult } from '../../src/job.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { writeRandomFile } from '../support/files.ts';
import { BUCKET, ofType, openStage, PART_SIZE, type Plot, SIZE, type Stage } from '../support/stage.ts';

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

const DENIED = 'AbortMultipartUpload:*=AccessDenied';

function put({ source, target }: Plot, request: Partial<PutRequest> = {}): Promise<JobResult> {
  return engine.put({ source, target, partSize: PART_SIZE, ...request });
}

async function failedPut(plot: Plot, faults: string, code: string, request?: Partial<PutRequest>): Promise<void> {
  stage.sandbox.setFaults(faults);
  await expect(put(plot, request)).rejects.toMatchObject({ code });
  stage.sandbox.setFaults('');
}

/** A put that ended with one part acknowledged. */
async function unfinished(name: string, request?: Partial<PutRequest>): Promise<Plot & { uploadId: string }> {
  const plot = stage.plot(name);
  await failedPut(plot, 'UploadPart:2-=500', 'store-unavailable', request);
  const [uploadId] = await stage.uploadIds(plot);
  return { ...plot, uploadId: uploadId! };
}

async function cancel({ source, target }: Plot): Promise<{ outcome: string; warnings: string[]; state: string }> {
  const id = jobIdOf({ command: 'put', source, target });
  const events: JobEvent[] = [];
  const outcome = await engine.cancel(id, { onEvent: (event) => events.push(event) });
  return { outcome, warnings: ofType(events, 'warning').map(({ message }) => message), state: engine.job(id).state };
}

describe('cancel', () => {
  test('of a job whose bucket is gone', async () => {
    const plot = await unfinished('bucket gone');
    stage.sandbox.setFaults('AbortMultipartUpload:*=NoSuchBucket');
    expect(await cancel(plot)).toEqual({ outcome: 'cancelled', warnings: [], state: 'cancelled' });
  });

  test('that may not abort ends the job and names the upload; later it may', async () => {
    const plot = await unfinished('denied');
    stage.sandbox.setFaults(DENIED);
    expect(await cancel(plot)).toEqual({
      outcome: 'left',
      warnings: [expect.stringContaining(plot.uploadId)],
      state: 'cancelled',
    });
    stage.sandbox.setFaults('');
    expect(await cancel(plot)).toEqual({ outcome: 'cancelled', warnings: [], state: 'cancelled' });
    expect(await stage.uploadIds(plot)).toEqual([]);
    expect(await cancel(plot)).toMatchObject({ outcome: 'over' });
  });
});

describe('put', () => {
  test('--fresh over a job whose upload cannot be aborted goes on, and names the upload', async () => {
    const plot = await unfinished('fresh');
    stage.sandbox.setFaults(DENIED);
    const result = await put(plot, { fresh: true });
    expect(result.warnings).toEqual([expect.stringContaining(plot.uploadId)]);
    expect(await stage.uploadIds(plot)).toEqual([plot.uploadId]);
  });

  test('in place of a job that left its upload behind aborts it', async () => {
    const plot = await unfinished('again');
    stage.sandbox.setFaults(DENIED);
    expect(await cancel(plot)).toMatchObject({ outcome: 'left' });
    stage.sandbox.setFaults('');
    const result = await put(plot);
    expect(result).toMatchObject({ warnings: [], partsReused: 0 });
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('that starts over without being able to abort names the upload, and does not go on with it', async () => {
    const plot = await unfinished('changed');
    writeRandomFile(plot.source, SIZE);
    stage.sandbox.setFaults(DENIED);
    const result = await put(plot);
    expect(result).toMatchObject({ warnings: [expect.stringContaining(plot.uploadId)], partsReused: 0 });
  });

  test('that starts over without being able to abort keeps the upload for cancel', async () => {
    const plot = await unfinished('changed, then cancelled');
    writeRandomFile(plot.source, SIZE);
    stage.sandbox.setFaults(DENIED);
    await put(plot);
    expect(await cancel(plot)).toEqual({
      outcome: 'left',
      warnings: [expect.stringContaining(plot.uploadId)],
      state: 'done',
    });
    stage.sandbox.setFaults('');
    expect(await cancel(plot)).toEqual({ outcome: 'cancelled', warnings: [], state: 'done' });
    expect(await stage.uploadIds(plot)).toEqual([]);
    expect(await cancel(plot)).toMatchObject({ outcome: 'over' });
  });

  test('that starts over and is interrupted again leaves both uploads to cancel', async () => {
    const plot = await unfinished('changed, then interrupted');
    writeRandomFile(plot.source, SIZE);
    await failedPut(plot, `UploadPart:2-=500; ${DENIED}`, 'store-unavailable');
    expect(await stage.uploadIds(plot)).toHaveLength(2);
    expect(await cancel(plot)).toEqual({ outcome: 'cancelled', warnings: [], state: 'cancelled' });
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('that starts over and is refused keeps its ledger for the upload it could not abort', async () => {
    const plot = stage.plot('lost, then refused');
    const faults = `CompleteMultipartUpload:1=ConditionalRequestConflict; CreateMultipartUpload:2-=AccessDenied; ${DENIED}`;
    await failedPut(plot, faults, 'access-denied');
    expect(await stage.uploadIds(plot)).toHaveLength(1);
    expect(await cancel(plot)).toMatchObject({ outcome: 'cancelled', warnings: [] });
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('that fails for good without being able to abort leaves it to cancel', async () => {
    const plot = stage.plot('failed');
    const faults = `CompleteMultipartUpload:1=PreconditionFailed; ${DENIED}`;
    await failedPut(plot, faults, 'target-exists');
    expect(await stage.uploadIds(plot)).toHaveLength(1);
    expect(await cancel(plot)).toMatchObject({ outcome: 'cancelled', warnings: [] });
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('of which CreateMultipartUpload was not answered: uploads that may be ours are named, and left alone', async () => {
    const plot = stage.plot('stray');
    await stage.s3.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: `${plot.key}-other` }));
    await failedPut(plot, 'CreateMultipartUpload:1=lose-answer', 'store-unavailable');
    const [stray] = await stage.uploadIds(plot);
    const result = await put(plot);
    expect(result.warnings).toEqual([expect.stringContaining(stray!)]);
    expect(result.warnings[0]).toContain('abort-multipart-upload');
    expect(await stage.uploadIds(plot)).toContain(stray);
  });
});

test('an upload that was asked for twice, because the first answer was lost, is there twice: the other one is named', async () => {
  vi.stubEnv('AWS_MAX_ATTEMPTS', '2');
  const plot = stage.plot('twice');
  await using trying = stage.engine(plot);
  stage.sandbox.setFaults('CreateMultipartUpload:1=lose-answer');
  const { warnings } = await trying.put({ source: plot.source, target: plot.target, partSize: PART_SIZE });
  vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
  const [stray, ...others] = await stage.uploadIds(plot);
  expect(others).toEqual([]);
  expect(warnings).toEqual([expect.stringContaining(stray!)]);
  await stage.expectEqual(plot);
});

test('progress counts towards the size of the file that is sealed, also where another one was begun with', async () => {
  const plot = await unfinished('grown');
  writeRandomFile(plot.source, SIZE + PART_SIZE);
  const events: JobEvent[] = [];
  await put(plot, { onEvent: (event) => events.push(event) });
  const totals = [...ofType(events, 'progress'), ...ofType(events, 'start')].map(({ totalBytes }) => totalBytes);
  expect(new Set(totals)).toEqual(new Set([SIZE + PART_SIZE]));
});

test('options are the same in whatever order their names are given', async () => {
  const names = { first: '1', second: '2' };
  const plot = await unfinished('order', { metadata: names, tags: { a: 'x', b: 'y' }, context: names });
  const other = { second: '2', first: '1' };
  const result = await put(plot, { metadata: other, tags: { b: 'y', a: 'x' }, context: other });
  expect(result.partsReused).toBe(1);
});
