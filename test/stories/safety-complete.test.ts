/**
 * Safety rule 2, seen from outside: nothing is completed that was not checked: every part, and the source behind it.
 */
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { planLayout } from '../../src/formats/esdk/plan.ts';
import type { Tools } from '../../src/job.ts';
import { Ledger, type Receipt } from '../../src/ledger/ledger.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { sealInto } from '../../src/parts/seal-once.ts';
import { compareSource, openSource } from '../../src/parts/source.ts';
import { Progress } from '../../src/progress.ts';
import { finishUpload } from '../../src/put/finish.ts';
import { StartOver } from '../../src/put/start-over.ts';
import { Vault } from '../../src/put/vault.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { KiB, MiB } from '../../src/units.ts';
import { BUCKET, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const COMPLETE = 'CompleteMultipartUpload';

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
        format: 'esdk',
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
      await ledger.recordIntent({ ...receipt, fingerprint: Buffer.alloc(32), sharedTags: {} });
      await ledger.recordReceipt(receipt);
    }
    const tools = {} as Tools;
    const request = { command: 'put' as const, source: plot.source, target: plot.target };
    const message = { format: 'esdk' as const, layout, messageId: Buffer.alloc(32, 2), keys };
    const rest = {
      vault: new Vault(keys.ledgerKey),
      hashes: new Map<number, Uint8Array>(),
      plainCrcs: new Map<number, number>(),
    };
    const attempt = { row, message, resumed: false, kept: new Set<number>(), doubtful: false, ...rest };
    const run = { request, tools, place, ledger, isNew: true, progress: new Progress({}) };
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
    expect(stage.operations(plot)).toEqual(['HeadObject', COMPLETE, 'HeadObject']);
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

  test.each([
    ['comes', undefined, 'target-exists'],
    ['is replaced', 'seen', 'target-changed'],
    ['goes', 'seen', 'target-changed'],
  ])('the target is looked at once more: one that %s is left alone', async (what, before, code) => {
    const plot = stage.plot(`target ${what}`);
    const object = { Bucket: BUCKET, Key: plot.key };
    if (before) await stage.s3.send(new PutObjectCommand({ ...object, Body: before }));
    stage.strike('UploadPart:3=stall@1ms', async () => {
      if (what === 'goes') await stage.s3.send(new DeleteObjectCommand(object));
      else await stage.s3.send(new PutObjectCommand({ ...object, Body: 'theirs' }));
    });
    await expect(stage.put(plot, { overwrite: true, partSize: PART_SIZE })).rejects.toMatchObject({ code });
    expect(stage.operations(plot)).not.toContain(COMPLETE);
    expect(await stage.uploadIds(plot)).toEqual([]);
  });
});

describe('the source', () => {
  const planned = { path: '/a', size: 9, mtimeNs: '1', ctimeNs: '2', inode: '3', device: '4', mode: '0644' };

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

  /** The file, planned as one part. */
  async function plannedPart(name: string) {
    const plot = stage.plot(name);
    const { file, identity: source } = await openSource(plot.source);
    await file.close();
    const layout = planLayout({ plainSize: source.size, frameSize: 256 * KiB, headerSize: 16, partSize: 15 * MiB });
    const messageId = Buffer.alloc(32, 2);
    const keys = deriveMessageKeys({ dataKey: Buffer.alloc(32, 1), messageId });
    const message = { format: 'esdk' as const, layout, messageId, keys };
    const buffer = Buffer.alloc(partOf(layout, 1).sealedSize);
    return { message, source, header: Buffer.alloc(16, 'header'), number: 1, buffer };
  }

  test('that has changed before a part is read is not read', async () => {
    const { buffer, ...input } = await plannedPart('before');
    appendFileSync(input.source.path, 'more');
    await expect(sealInto(buffer, input)).rejects.toMatchObject({ code: 'source-changed' });
    expect(buffer.subarray(16).every((byte) => byte === 0)).toBe(true);
  });

  test.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 3 * MiB)],
    ['is written to', (path: string) => writeFileSync(path, 'other', { flag: 'r+' })],
  ])('that %s while a part is read is not sealed', async (name, change) => {
    const { buffer, ...input } = await plannedPart(name);
    const sealed = sealInto(buffer, input).then(
      () => 'sealed',
      (thrown: unknown) => thrown,
    );
    // The first frame's number is there once the first MiB was read; fourteen more are to come.
    while (buffer.readUInt32BE(16) === 0) await setImmediate();
    change(input.source.path);
    expect(await sealed).toMatchObject({ code: 'source-changed' });
  });
});

test("Complete carries each part's checksum: another is refused", async () => {
  const store = new S3Store(await resolveS3Settings({ bucket: BUCKET }));
  const body = Buffer.from('a part');
  const key = 'checksums';
  const uploadId = await store.createUpload(key, { metadata: {} });
  const sum = crc32(body);
  const { etag } = await store.sendPart(key, { uploadId, number: 1, offset: 0, body, crc32: sum });
  const complete = (partSum: number) => {
    const parts = [{ number: 1, etag, crc32: partSum }];
    return store.completeUpload(key, { uploadId, parts, size: body.length, crc32: sum, condition: {} });
  };
  await expect(complete((sum ^ 1) >>> 0)).rejects.toMatchObject({ code: 'store-error' });
  expect(await complete(sum)).toMatchObject({ crc32: sum });
  store.close();
});
