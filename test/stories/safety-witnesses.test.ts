import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEngine, kmsKeyring } from '../../src/index.ts';
import type { JobResult } from '../../src/job.ts';
import { isOurs } from '../../src/parts/written.ts';
import { MiB } from '../../src/units.ts';
import { runHere } from '../support/here.ts';
import { startProxy } from '../support/proxy.ts';
import { attemptOf, BUCKET, ofType, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const COMPLETE = 'CompleteMultipartUpload';

/** Somebody else's object under the plot's name, of any size. */
async function writeTheirs({ key }: Plot, Body: Uint8Array | string = 'theirs'): Promise<void> {
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }));
}

async function expectTheirs(plot: Plot): Promise<void> {
  expect((await stage.stored(plot)).toString()).toBe('theirs');
  expect(await stage.uploadIds(plot)).toEqual([]);
}

describe("somebody else's object", () => {
  test('that is there already is left alone: nothing is sent, and no key is asked for', async () => {
    const plot = stage.plot('there');
    await writeTheirs(plot);
    stage.requests.length = 0;
    await using engine = createEngine({
      keyring: kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId] }),
      stateDir: plot.stateDir,
    });
    await expect(engine.put(plot)).rejects.toMatchObject({ code: 'target-exists' });
    expect(stage.requests.map(({ operation }) => operation)).toEqual(['HeadObject']);
    await expectTheirs(plot);
  });

  test.each([COMPLETE, 'PutObject'])('that comes while we are at work is left alone: %s', async (operation) => {
    const plot = stage.plot(`comes ${operation}`, operation === COMPLETE ? undefined : MiB);
    stage.strike(`${operation}:1=stall@1ms`, () => writeTheirs(plot));
    await expect(stage.put(plot)).rejects.toMatchObject({ code: 'target-exists' });
    await expectTheirs(plot);
  });

  test('is replaced with --overwrite, but only the one that was seen at the start', async () => {
    for (const size of [undefined, MiB]) {
      const plot = stage.plot(`seen ${size}`, size);
      await writeTheirs(plot, 'seen');
      stage.strike(`${size ? 'PutObject' : COMPLETE}:1=stall@1ms`, () => writeTheirs(plot));
      const put = stage.put(plot, { overwrite: true, partSize: PART_SIZE });
      await expect(put).rejects.toMatchObject({ code: 'target-changed' });
      await expectTheirs(plot);
      await stage.put(plot, { overwrite: true });
      await stage.expectEqual(plot);
    }
  });

  test('is not taken for ours: id, size and checksum tell', () => {
    const expected = { sealiftId: 'ours', size: 9, crc32: 5 };
    const ours = { size: 9, etag: '"e"', metadata: { 'sealift-id': 'ours' }, crc32: 5 };
    expect(isOurs(ours, expected)).toBe(true);
    expect(isOurs({ ...ours, crc32: undefined }, expected)).toBe(true);
    expect(isOurs({ ...ours, metadata: { 'sealift-id': 'theirs' } }, expected)).toBe(false);
    expect(isOurs({ ...ours, metadata: {} }, expected)).toBe(false);
    expect(isOurs({ ...ours, size: 8 }, expected)).toBe(false);
    expect(isOurs({ ...ours, crc32: 4 }, expected)).toBe(false);
  });
});

describe('an answer that is lost', () => {
  test.each([
    [COMPLETE, undefined],
    ['PutObject', MiB],
  ])('of %s: HEAD finds our object, and nothing is written twice', async (operation, size) => {
    const plot = stage.plot(`lost ${operation}`, size);
    stage.sandbox.setFaults(`${operation}:1=lose-answer`);
    const { result, events } = await stage.put(plot);
    expect(result.warnings).toEqual([]);
    expect(ofType(events, 'restart')).toEqual([]);
    expect(stage.operations(plot).filter((name) => name === operation)).toHaveLength(1);
    const { Metadata } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: plot.key }));
    expect(Metadata).toMatchObject({ 'sealift-id': attemptOf(plot).sealiftId });
    await stage.expectEqual(plot);
  });

  test('and HEAD too: the job stays, and the next run finds the object', async () => {
    const plot = stage.plot('both lost');
    await stage.failedPut(plot, `${COMPLETE}:1=lose-answer; HeadObject:3-=500`, 'store-unavailable');
    const { id } = { id: attemptOf(plot).sealiftId };
    const { result } = await stage.put(plot);
    expect(result.partsReused).toBe(3);
    expect(attemptOf(plot).sealiftId).toBe(id);
    await stage.expectEqual(plot);
  });
});

describe('witnesses', () => {
  async function putBy({ url }: { url: string }, plot: Plot): Promise<JobResult> {
    vi.stubEnv('AWS_ENDPOINT_URL_S3', url);
    await using engine = stage.engine(plot);
    try {
      return await engine.put({ source: plot.source, target: plot.target, partSize: PART_SIZE });
    } finally {
      vi.stubEnv('AWS_ENDPOINT_URL_S3', stage.sandbox.s3Url);
    }
  }

  test('HEAD is denied: done with a warning, exit 3', async () => {
    const plot = stage.plot('denied');
    stage.sandbox.setFaults('HeadObject:3=AccessDenied');
    const put = await runHere([
      'put',
      plot.source,
      plot.target,
      '--kms-key',
      'alias/sandbox',
      '--state-dir',
      plot.stateDir,
    ]);
    expect(put).toMatchObject({ exit: 3, stderr: expect.stringContaining('HEAD is denied') });
    await using engine = createEngine({ keyring: kmsKeyring({ keyIds: [] }), stateDir: plot.stateDir });
    expect(await engine.get({ source: plot.target, target: plot.back })).toMatchObject({ warnings: [] });
  });

  test("HEAD shows somebody else's object after all: no success", async () => {
    const plot = stage.plot('replaced');
    stage.strike('HeadObject:3=stall@1ms', () => writeTheirs(plot));
    await expect(stage.put(plot)).rejects.toMatchObject({ code: 'checksum-mismatch', exit: 6 });
  });

  test('the answer tells another checksum: no success', async () => {
    await using proxy = await startProxy(stage.sandbox.s3Url, (answer, { method }) => {
      if (method === 'PUT' && answer.headers['x-amz-checksum-crc32'])
        answer.headers['x-amz-checksum-crc32'] = 'AAAAAA==';
      answer.body = answer.body.replace(/<ChecksumCRC32>.*?</, '<ChecksumCRC32>AAAAAA==<');
      return answer;
    });
    for (const size of [undefined, MiB]) {
      await expect(putBy(proxy, stage.plot(`lies ${size}`, size))).rejects.toMatchObject({
        code: 'checksum-mismatch',
        exit: 6,
      });
    }
  });

  test('the server refuses If-Match of an unchanged object: told as what it is, and nothing is left', async () => {
    const plot = stage.plot('quotes', MiB);
    await writeTheirs(plot);
    stage.sandbox.setFaults('PutObject:1=PreconditionFailed');
    await expect(stage.put(plot, { overwrite: true })).rejects.toMatchObject({
      code: 'store-error',
      message: expect.stringContaining('refuses If-Match'),
    });
    await expectTheirs(plot);
    await stage.put(plot, { overwrite: true });
  });

  test('Complete tells no ETag: HEAD does', async () => {
    await using proxy = await startProxy(stage.sandbox.s3Url, (answer, { method }) => {
      if (method === 'POST') answer.body = answer.body.replace(/<ETag>.*?<\/ETag>/, '<ETag></ETag>');
      return answer;
    });
    const plot = stage.plot('no etag');
    const { etag } = await putBy(proxy, plot);
    const { ETag } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: plot.key }));
    expect(etag).toBe(ETag);
  });

  test('nobody tells a checksum: done with a warning', async () => {
    await using proxy = await startProxy(stage.sandbox.s3Url, (answer) => {
      delete answer.headers['x-amz-checksum-crc32'];
      answer.body = answer.body.replace(/<ChecksumCRC32>.*?<\/ChecksumCRC32>/, '');
      return answer;
    });
    for (const size of [undefined, MiB]) {
      const { warnings } = await putBy(proxy, stage.plot(`silent ${size}`, size));
      expect(warnings).toEqual([expect.stringContaining('confirmed no checksum')]);
    }
  });
});
