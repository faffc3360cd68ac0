/**
 * Safety rule 1, seen from outside: whatever happens to an upload, to a ledger or to a source, a message key seals one
 * plaintext only. An upload goes on with the very bytes it was promised, or under another key.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AbortMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { jobFiles } from '../../src/ledger/files.ts';
import { checkPlace, placeOf } from '../../src/ledger/job-row.ts';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { KiB, MiB } from '../../src/units.ts';
import { changeQuietly } from '../support/files.ts';
import {
  attemptOf,
  BUCKET,
  keyring,
  ofType,
  openStage,
  PART_2_FAILS,
  PART_3_FAILS,
  PART_SIZE,
  type Plot,
  type Stage,
} from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** Part numbers that arrived in an upload. */
function arrived(uploadId: string): (number | null)[] {
  const parts = stage.requests.filter((request) => request.operation === 'UploadPart' && request.uploadId === uploadId);
  return parts.map(({ partNumber }) => partNumber);
}

/** Puts again, and expects a new upload under a new key, the old one aborted, and the object right. */
async function expectNewKey(plot: Plot, before: ReturnType<typeof attemptOf>): Promise<void> {
  const sent = arrived(before.uploadId ?? '');
  const { events } = await stage.put(plot);
  expect(ofType(events, 'restart')).toHaveLength(1);
  const now = attemptOf(plot);
  expect(now.message.messageId).not.toEqual(before.message.messageId);
  expect(now.sealiftId).not.toBe(before.sealiftId);
  expect(arrived(before.uploadId ?? '')).toEqual(sent);
  expect(await stage.uploadIds(plot)).toEqual([]);
  await stage.expectEqual(plot);
}

describe('a resumed upload', () => {
  test('sends a part again as it was, header and all, under the layout it was begun with', async () => {
    const plot = stage.plot('again');
    const partSize = 8 * MiB;
    await stage.failedPut(plot, 'UploadPart(part=1):*=lose-answer', 'store-unavailable', { partSize });
    const begun = attemptOf(plot);
    const etags = await stage.partEtags(plot, begun.uploadId!);
    expect([...etags.keys()]).toEqual([1]);

    await stage.failedPut(plot, 'CompleteMultipartUpload:*=500', 'store-unavailable', {});
    expect(arrived(begun.uploadId!)).toEqual([1, 1, 2]);
    expect((await stage.partEtags(plot, begun.uploadId!)).get(1)).toBe(etags.get(1));
    expect(attemptOf(plot)).toMatchObject({ header: begun.header, layout: begun.layout, uploadId: begun.uploadId });

    expect(ofType((await stage.put(plot, {})).events, 'restart')).toEqual([]);
    expect(arrived(begun.uploadId!)).toEqual([1, 1, 2]);
    await stage.expectEqual(plot);
  });

  test('is not gone on with by other options', async () => {
    const plot = stage.plot('options');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const differ = { partSize: 8 * MiB, frameSize: 128 * KiB, context: { a: 'b' } };
    for (const [name, value] of Object.entries(differ)) {
      await expect(stage.put(plot, { [name]: value })).rejects.toMatchObject({ code: 'options-differ' });
    }
  });

  test('of a source whose change time alone has moved: kept parts are compared, and not sent again', async () => {
    const plot = stage.plot('touched');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const { uploadId } = attemptOf(plot);
    chmodSync(plot.source, 0o600);
    const { result, events } = await stage.put(plot);
    expect(ofType(events, 'restart')).toEqual([]);
    expect(result.partsReused).toBe(1);
    expect(arrived(uploadId!)).toEqual([1, 2, 2, 3]);
    await stage.expectEqual(plot);
  });
});

describe('under a new key starts', () => {
  test('a source whose promised part has changed: nothing of it is sent', async () => {
    const plot = stage.plot('promised');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const before = attemptOf(plot);
    changeQuietly(plot.source, [PART_SIZE + 5]);
    await expectNewKey(plot, before);
  });

  test('a source whose acknowledged part has changed', async () => {
    const plot = stage.plot('acknowledged');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const before = attemptOf(plot);
    changeQuietly(plot.source, [5]);
    await expectNewKey(plot, before);
  });

  test('an upload that was aborted elsewhere', async () => {
    const plot = stage.plot('aborted');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const before = attemptOf(plot);
    const { key: Key } = plot;
    await stage.s3.send(new AbortMultipartUploadCommand({ Bucket: BUCKET, Key, UploadId: before.uploadId }));
    await expectNewKey(plot, before);
  });

  test('an upload that is aborted while parts are sent, or refused with a conflict at its end', async () => {
    for (const faults of [
      'UploadPart(part=2):1=NoSuchUpload',
      'CompleteMultipartUpload:1=ConditionalRequestConflict',
    ]) {
      const plot = stage.plot(`refused ${faults.slice(0, 6)}`);
      stage.sandbox.setFaults(faults);
      const { events } = await stage.put(plot);
      stage.sandbox.setFaults('');
      expect(ofType(events, 'restart')).toHaveLength(1);
      expect(attemptOf(plot).number).toBe(2);
      expect(await stage.uploadIds(plot)).toEqual([]);
      await stage.expectEqual(plot);
    }
  });

  test.each(['CreateMultipartUpload', 'PutObject'])(
    'an attempt of which %s was not acknowledged',
    async (operation) => {
      const plot = stage.plot(`unanswered ${operation}`, operation === 'PutObject' ? MiB : undefined);
      await stage.failedPut(plot, `${operation}:*=500`, 'store-unavailable');
      // The ledger had heard of it before the store did.
      const before = attemptOf(plot);
      expect(before).toMatchObject({ state: 'planned', message: { encryptionContext: { 'sealift-name': '1' } } });
      expect(before.headers.metadata['sealift-id']).toBe(before.sealiftId);
      await expectNewKey(plot, before);
    },
  );
});

describe('a ledger older than the upload is noticed', () => {
  test('by a part that it does not know', async () => {
    const plot = stage.plot('older');
    await stage.failedPut(plot, 'UploadPart(part=1):*=500', 'store-unavailable');
    const job = jobIdOf({ command: 'put', source: plot.source, target: plot.target });
    const names = readdirSync(plot.stateDir).filter((name) => name.startsWith(job));
    const files = names.map((name) => join(plot.stateDir, name));
    const copies = files.map((path) => [path, readFileSync(path)] as const);
    await stage.failedPut(plot, PART_3_FAILS, 'store-unavailable');
    const before = attemptOf(plot);
    // In place: the files keep their inodes, as a restore by rsync would.
    for (const [path, bytes] of copies) writeFileSync(path, bytes);
    await expectNewKey(plot, before);
  });

  test('by a part that is not as its receipt says', async () => {
    const plot = stage.plot('unlike');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const before = attemptOf(plot);
    const part = { Bucket: BUCKET, Key: plot.key, UploadId: before.uploadId, PartNumber: 1 };
    const Body = Buffer.alloc(partOf(before.layout, 1).sealedSize, 'another');
    await stage.s3.send(new UploadPartCommand({ ...part, Body, ChecksumAlgorithm: 'CRC32' }));
    stage.requests.length = 0;
    await expectNewKey(plot, before);
  });

  test('by a part that is not as its intent says', async () => {
    const plot = stage.plot('unlike intent');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    const before = attemptOf(plot);
    const part = { Bucket: BUCKET, Key: plot.key, UploadId: before.uploadId, PartNumber: 2 };
    const Body = Buffer.alloc(partOf(before.layout, 2).sealedSize, 'another');
    await stage.s3.send(new UploadPartCommand({ ...part, Body, ChecksumAlgorithm: 'CRC32' }));
    stage.requests.length = 0;
    await expectNewKey(plot, before);
  });
});

test.each(['machineId', 'path', 'inode'])('a ledger that was made with another %s is not gone on with', (name) => {
  const plot = stage.plot(`moved ${name}`);
  const job = { command: 'put', source: plot.source, target: plot.target } as const;
  Ledger.create(openStateDir(plot.stateDir), { ...job, options: {} }).close();
  const files = jobFiles(plot.stateDir, jobIdOf(job));
  const place = placeOf(files);
  checkPlace(place, files);
  const moved = expect.objectContaining({ code: 'ledger-moved' });
  expect(() => checkPlace({ ...place, [name]: 'another' }, files)).toThrow(moved);
});

test('the fingerprint in the ledger is an HMAC over place, sizes and every tag, under a key of its own', async () => {
  const plot = stage.plot('fingerprint');
  await stage.put(plot);
  const sealed = await stage.stored(plot);
  const { message, layout, header } = attemptOf(plot);
  using dataKey = await keyring.openDataKey(message);
  const { messageId } = message;
  const ledgerKey = Buffer.from(hkdfSync('sha512', dataKey.bytes, messageId, 'sealift ledger v1', 32));

  using ledger = Ledger.open(plot.stateDir, jobIdOf({ command: 'put', source: plot.source, target: plot.target }));
  ledger.unlock(deriveMessageKeys({ dataKey: dataKey.bytes, messageId }).ledgerKey);
  const intents = ledger.intents();
  expect(intents.size).toBe(layout.partCount);
  for (const { number, fingerprint } of intents.values()) {
    const part = partOf(layout, number);
    const bytes = sealed.subarray(part.sealedOffset, part.sealedOffset + part.sealedSize);
    const tags: Buffer[] = [];
    const headerSize = part.isFirst ? header.length : 0;
    for (let end = headerSize; end < bytes.length; ) {
      end = Math.min(end + 4 + 12 + layout.frameSize + 16, bytes.length);
      tags.push(bytes.subarray(end - 16, end));
    }
    const fields = Buffer.alloc(24);
    fields.write('esdk');
    fields.writeUInt32BE(number, 4);
    fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);
    fields.writeBigUInt64BE(BigInt(part.sealedSize), 16);
    const headerTag = part.isFirst ? header.subarray(-16) : Buffer.alloc(16);
    const hmac = createHmac('sha256', ledgerKey).update(fields).update(headerTag).update(Buffer.concat(tags));
    expect(Buffer.from(fingerprint)).toEqual(hmac.digest());
  }
});
