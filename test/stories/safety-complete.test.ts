/**
 * Safety rule 2, seen from outside: nothing is completed that was not checked, nothing of somebody else's is replaced,
 * and nothing is called done that the store has not confirmed.
 */
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { kmsKeyring } from '../../src/engine/keys.ts';
import { createEngine } from '../../src/engine.ts';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { planLayout } from '../../src/formats/esdk/plan.ts';
import { Progress, type Tools } from '../../src/job.ts';
import { Ledger, type Receipt } from '../../src/ledger/ledger.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { sealInto } from '../../src/parts/seal-once.ts';
import { compareSource, openSource } from '../../src/parts/source.ts';
import { finishUpload, isOurs } from '../../src/put/finish.ts';
import { StartOver } from '../../src/put/start-over.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { KiB, MiB } from '../../src/units.ts';
import { run } from '../support/cli.ts';
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

/** Resolves when the sandbox has `operation` in hand: it is logged when it ends, so what went before must have. */
async function untilAfter(plot: Plot, operation: string): Promise<void> {
  while (!stage.operations(plot).includes(operation)) await sleep(10);
  await sleep(100);
}

describe('before Complete', () => {
  /** Finishes an upload of which the ledger has these receipts. There is none such: whoever asks for it hears so. */
  async function finish(plot: Plot, change: (receipt: Receipt) => Receipt | undefined): Promise<unknown> {
    const { settings, credentials } = await resolveS3Settings({ bucket: BUCKET });
    const place = {
      url: plot.target,
      key: plot.key,
      store: new S3Store({ settings, credentials }),
      settings,
      credentials,
    };
    const { file, identity: source } = await openSource(plot.source);
    await file.close();
    const header = Buffer.alloc(400);
    const layout = planLayout({ plainSize: source.size, frameSize: 256 * KiB, headerSize: 400, partSize: PART_SIZE });
    const keys = deriveMessageKeys({ dataKey: Buffer.alloc(32, 1), messageId: Buffer.alloc(32, 2) });
    using ledger = Ledger.create(openStateDir(plot.stateDir), { ...plot, command: 'put', options: {} });
    const row = ledger.startAttempt(
      {
        source,
        sealiftId: 'id',
        single: false,
        header,
        layout,
        condition: { ifNoneMatch: '*' },
        headers: { metadata: {} },
      },
      keys.ledgerKey,
    );
    for (let number = 1; number <= layout.partCount; number++) {
      const { sealedSize } = partOf(layout, number);
      const receipt = change({ number, sealedSize, crc32: number, etag: `"${number}"` });
      if (!receipt) continue;
      await ledger.recordIntent({ ...receipt, fingerprint: Buffer.alloc(32) });
      await ledger.recordReceipt(receipt);
    }
    const tools = { kmsCalls: () => 0 } as Tools;
    const request = { source: plot.source, target: plot.target };
    const message = { layout, messageId: Buffer.alloc(32, 2), keys };
    const attempt = { row, message, resumed: false, kept: new Set<number>(), doubtful: false };
    const run = { request, tools, place, ledger, progress: new Progress(tools, {}) };
    return await finishUpload(run, attempt, 'no-such-upload').catch((thrown) => thrown);
  }

  test('parts 1 to N have receipts of the planned sizes', async () => {
    const changes: [string, (receipt: Receipt) => Receipt | undefined][] = [
      ['without the first', (receipt) => (receipt.number === 1 ? undefined : receipt)],
      ['without the second', (receipt) => (receipt.number === 2 ? undefined : receipt)],
      ['without the last', (receipt) => (receipt.number === 3 ? undefined : receipt)],
      ['with one too small', (receipt) => ({ ...receipt, sealedSize: receipt.sealedSize - (receipt.number & 1) })],
    ];
    for (const [name, change] of changes) {
      const plot = stage.plot(name);
      expect(await finish(plot, change), name).toMatchObject({ message: expect.stringContaining('no receipt') });
      expect(stage.operations(plot)).toEqual([]);
    }
    const plot = stage.plot('as planned');
    expect(await finish(plot, (receipt) => receipt)).toBeInstanceOf(StartOver);
    expect(stage.operations(plot)).toEqual([COMPLETE, 'HeadObject']);
  });

  test('the source is still the planned one', async () => {
    const plot = stage.plot('grown');
    const grow = (receipt: Receipt) => {
      if (receipt.number === 3) appendFileSync(plot.source, 'more');
      return receipt;
    };
    expect(await finish(plot, grow)).toMatchObject({ code: 'source-changed' });
    expect(stage.operations(plot)).toEqual([]);
  });
});

describe('the source', () => {
  const planned = { path: '/a', size: 9, mtimeNs: '1', ctimeNs: '2', inode: '3', device: '4' };

  test.each([
    ['size', 10, 'changed'],
    ['mtimeNs', '7', 'changed'],
    ['inode', '7', 'changed'],
    ['ctimeNs', '7', 'doubtful'],
    ['device', '7', 'doubtful'],
    ['path', '/b', 'same'],
  ])('of another %s', (name, value, verdict) => {
    expect(compareSource(planned, { ...planned, [name]: value })).toBe(verdict);
  });

  test.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 3 * MiB)],
    ['is written to', (path: string) => writeFileSync(path, 'other', { flag: 'r+' })],
  ])('that %s while a part is read is not sealed', async (name, change) => {
    const plot = stage.plot(name);
    const { file, identity: source } = await openSource(plot.source);
    await file.close();
    const layout = planLayout({ plainSize: source.size, frameSize: 256 * KiB, headerSize: 16, partSize: 15 * MiB });
    const messageId = Buffer.alloc(32, 2);
    const message = { layout, messageId, keys: deriveMessageKeys({ dataKey: Buffer.alloc(32, 1), messageId }) };
    const part = partOf(layout, 1);
    const buffer = Buffer.alloc(part.sealedSize);
    const sealed = sealInto(buffer, { message, source, header: Buffer.alloc(16, 'header'), part }).catch(
      (thrown) => thrown,
    );
    // The first frame's number is there once the first MiB was read; fourteen more are to come.
    while (buffer.readUInt32BE(16) === 0) await setImmediate();
    change(plot.source);
    expect(await sealed).toMatchObject({ code: 'source-changed' });
  });
});

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
    stage.sandbox.setFaults(`${operation}(key=${plot.key}):1=stall@400ms`);
    const put = stage.put(plot).catch((thrown) => thrown);
    await untilAfter(plot, operation === COMPLETE ? 'UploadPart' : 'HeadObject');
    stage.sandbox.setFaults('');
    await writeTheirs(plot);
    expect(await put).toMatchObject({ code: 'target-exists' });
    await expectTheirs(plot);
  });

  test('is replaced with --overwrite, but only the one that was seen at the start', async () => {
    for (const size of [undefined, MiB]) {
      const plot = stage.plot(`seen ${size}`, size);
      const [first, last] = size ? ['HeadObject', 'PutObject'] : ['UploadPart', COMPLETE];
      await writeTheirs(plot, 'seen');
      stage.requests.length = 0;
      stage.sandbox.setFaults(`${last}:1=stall@400ms`);
      const put = stage.put(plot, { overwrite: true, partSize: PART_SIZE }).catch((thrown) => thrown);
      await untilAfter(plot, first!);
      stage.sandbox.setFaults('');
      await writeTheirs(plot);
      expect(await put).toMatchObject({ code: 'target-changed' });
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
    await stage.failedPut(plot, `${COMPLETE}:1=lose-answer; HeadObject:2-=500`, 'store-unavailable');
    const { id } = { id: attemptOf(plot).sealiftId };
    const { result } = await stage.put(plot);
    expect(result.partsReused).toBe(3);
    expect(attemptOf(plot).sealiftId).toBe(id);
    await stage.expectEqual(plot);
  });
});

describe('witnesses', () => {
  test('HEAD is denied: done with a warning, exit 3', async () => {
    const plot = stage.plot('denied');
    stage.sandbox.setFaults('HeadObject:2=AccessDenied');
    const put = await run([
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
    stage.sandbox.setFaults('HeadObject:2=stall@400ms');
    const put = stage.put(plot).catch((thrown) => thrown);
    await untilAfter(plot, COMPLETE);
    await writeTheirs(plot);
    expect(await put).toMatchObject({ code: 'checksum-mismatch', exit: 6 });
  });

  test('the answer tells another checksum: no success', async () => {
    await using proxy = await startProxy(stage.sandbox.s3Url, (answer, { method }) => {
      if (method === 'PUT' && answer.headers['x-amz-checksum-crc32'])
        answer.headers['x-amz-checksum-crc32'] = 'AAAAAA==';
      answer.body = answer.body.replace(/<ChecksumCRC32>.*?</, '<ChecksumCRC32>AAAAAA==<');
      return answer;
    });
    vi.stubEnv('AWS_ENDPOINT_URL_S3', proxy.url);
    try {
      for (const size of [undefined, MiB]) {
        const plot = stage.plot(`lies ${size}`, size);
        await expect(stage.put(plot)).rejects.toMatchObject({ code: 'checksum-mismatch', exit: 6 });
      }
    } finally {
      vi.stubEnv('AWS_ENDPOINT_URL_S3', stage.sandbox.s3Url);
    }
  });

  test('nobody tells a checksum: done with a warning', async () => {
    await using proxy = await startProxy(stage.sandbox.s3Url, (answer) => {
      delete answer.headers['x-amz-checksum-crc32'];
      answer.body = answer.body.replace(/<ChecksumCRC32>.*?<\/ChecksumCRC32>/, '');
      return answer;
    });
    vi.stubEnv('AWS_ENDPOINT_URL_S3', proxy.url);
    try {
      for (const size of [undefined, MiB]) {
        const { result } = await stage.put(stage.plot(`silent ${size}`, size));
        expect(result.warnings).toEqual([expect.stringContaining('confirmed no checksum')]);
      }
    } finally {
      vi.stubEnv('AWS_ENDPOINT_URL_S3', stage.sandbox.s3Url);
    }
  });
});
