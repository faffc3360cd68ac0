/**
 * An object and its instruction file are two objects, and at no moment is an older object lost: whatever fails between the
 * two writes, the old pair opens or the new one does.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { HeadObjectCommand, PutBucketVersioningCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine.ts';
import { SealiftError } from '../../src/errors.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { withInstructions } from '../../src/put/instructions.ts';
import type { PutRun } from '../../src/put.ts';
import { parseObjectUrl } from '../../src/stores/object-url.ts';
import { openStore, resolveStore } from '../../src/stores/open.ts';
import { writeRandomFile } from '../support/files.ts';
import { BUCKET, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

const OPTIONS = { partSize: PART_SIZE, format: 's3ec' as const, instructionFile: true };
const OVER = { ...OPTIONS, overwrite: true, yes: true };
const SMALL = 1000;

let stage: Stage;
/** Has a data key of its own for every object, so that no other file opens an older one. */
let older: Engine;
beforeAll(async () => {
  stage = await openStage();
  older = stage.engine(stage.plot('older', 0), { keyReuse: 'off' });
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(async () => {
  await older.close();
  await stage.close();
});

const fileOf = (plot: Plot): Plot => ({
  ...plot,
  key: `${plot.key}.instruction`,
  target: `${plot.target}.instruction`,
});

async function headOf({ key }: Plot) {
  return await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key })).catch(() => undefined);
}

/** All writes of the object and of its file, in order. */
function writesOf(plot: Plot): string[] {
  const writes = stage.requests.filter(
    ({ key, operation }) => key?.startsWith(plot.key) && !/Head|Get|List/.test(operation),
  );
  return writes.map(({ key, operation }) => (key === plot.key ? operation : `${operation} of the file`));
}

/** An object with its file, and a larger source to take its place: `old` is what it opens to. */
async function replaced(name: string, size: number): Promise<Plot & { old: string }> {
  const plot = stage.plot(name, SMALL);
  const { source, target } = plot;
  await older.put({ source, target, ...OPTIONS });
  const old = hashOf(readFileSync(source));
  writeRandomFile(source, size);
  return { ...plot, old };
}

/** The hash of what the object opens to: an assertion that fails does not print megabytes. */
async function opened({ target }: Plot): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stage.shared.open({ source: target })) chunks.push(chunk);
  return hashOf(Buffer.concat(chunks));
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function expectOld(plot: Plot & { old: string }): Promise<void> {
  expect(await opened(plot)).toBe(plot.old);
}

async function cancel({ source, target }: Plot): Promise<string> {
  return await stage.shared.cancel(jobIdOf({ command: 'put', source, target }));
}

describe.each([
  ['in one request', SMALL],
  ['in parts', PART_SIZE + 1],
])('written %s', (name, size) => {
  const write = size === SMALL ? 'PutObject' : 'CompleteMultipartUpload';
  const fails = (plot: Plot, how: string) => `${write}(key=${plot.key}):*=${how}`;

  test.each([
    ['version 3', OPTIONS],
    ['version 2', { ...OPTIONS, s3ecLegacy: true }],
  ])('%s: the file comes right before the object, and holds what opens it', async (version, options) => {
    const plot = stage.plot(`${name} ${version}`, size);
    stage.requests.length = 0;
    await stage.put(plot, options);
    expect(writesOf(plot).slice(-2)).toEqual(['PutObject of the file', write]);
    expect((await headOf(fileOf(plot)))!.Metadata).toMatchObject({ 'x-amz-crypto-instr-file': '' });
    expect(Object.keys((await headOf(plot))!.Metadata!)).not.toContain('x-amz-3');
    await expect(stage.shared.inspect(plot.target)).resolves.toMatchObject({ instructionFile: true });
    await stage.shared.verify({ source: plot.target, commitmentPolicy: 'require-encrypt-allow-decrypt' });
  });

  test('where the object fails the older file is put back, and the job goes on', async () => {
    const plot = await replaced(`${name} fails`, size);
    const before = await stage.stored(fileOf(plot));
    await stage.failedPut(plot, fails(plot, '500'), 'store-unavailable', OVER);
    expect((await stage.stored(fileOf(plot))).equals(before)).toBe(true);
    await expectOld(plot);
    await stage.put(plot, OVER);
    await stage.expectEqual(plot);
  });

  test('where there was no file, none is left', async () => {
    const plot = stage.plot(`${name} first`, size);
    await stage.failedPut(plot, fails(plot, '500'), 'store-unavailable', OPTIONS);
    expect(await headOf(fileOf(plot))).toBeUndefined();
    await stage.put(plot, OPTIONS);
    await stage.expectEqual(plot);
  });

  test('an object that somebody wrote meanwhile keeps the file that was there', async () => {
    const plot = await replaced(`${name} changed`, size);
    const before = await stage.stored(fileOf(plot));
    stage.strike(`${write}(key=${plot.key}):1=slow@100MiB/s`, async () => {
      await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: plot.key, Body: 'somebody' }));
    });
    await expect(stage.put(plot, OVER)).rejects.toMatchObject({ code: 'target-changed' });
    expect((await stage.stored(fileOf(plot))).equals(before)).toBe(true);
    expect((await stage.stored(plot)).toString()).toBe('somebody');
  });

  test('an answer that is lost: the object is there, and so is its file', async () => {
    const plot = await replaced(`${name} lost`, size);
    stage.sandbox.setFaults(
      `${write}(key=${plot.key}):1=lose-answer; PutObject(key=${fileOf(plot).key}):1=lose-answer`,
    );
    await stage.put(plot, OVER);
    await stage.expectEqual(plot);
  });

  describe('stopped between the two writes, with no chance to put anything back', () => {
    /** As a crash leaves it: the file is ours, the object is the older one. */
    async function stopped(what: string): Promise<Plot & { old: string }> {
      const plot = await replaced(`${name} ${what}`, size);
      const file = fileOf(plot).key;
      const faults = `${fails(plot, '500')}; PutObject(key=${file}):2-=500`;
      await stage.failedPut(plot, faults, 'store-unavailable', OVER);
      await expect(opened(plot)).rejects.toMatchObject({ exit: 6 });
      return plot;
    }

    test('a resume finishes', async () => {
      const plot = await stopped('resumed');
      await stage.put(plot, OVER);
      await stage.expectEqual(plot);
    });

    test('a cancel puts back; where it may not, a later one does, and no other job comes between', async () => {
      const plot = await stopped('cancelled');
      const denied = `PutObject(key=${fileOf(plot).key}):*=AccessDenied`;
      const refused = { code: 'target-changed', hint: expect.stringContaining('`sealift cancel put-') };
      stage.sandbox.setFaults(denied);
      await expect(stage.put(plot, { ...OVER, fresh: true })).rejects.toMatchObject(refused);
      await expect(stage.put(plot, OVER)).rejects.toMatchObject(refused);
      expect(await cancel(plot)).toBe('left');
      stage.sandbox.setFaults('');
      expect(await cancel(plot)).toBe('cancelled');
      await expectOld(plot);
    });
  });

  describe('the object is there, and nobody heard of it', () => {
    async function unheard(what: string): Promise<Plot & { before: Buffer; now: Buffer }> {
      const plot = await replaced(`${name} ${what}`, size);
      const before = await stage.stored(fileOf(plot));
      // The looks before the write are answered, those after it are not.
      const looks = size === SMALL ? 2 : 3;
      const faults = `${write}(key=${plot.key}):1=lose-answer; HeadObject(key=${plot.key}):${looks}-=500`;
      await stage.failedPut(plot, faults, 'store-unavailable', OVER);
      return { ...plot, before, now: await stage.stored(fileOf(plot)) };
    }

    test('a cancel leaves it its file', async () => {
      const plot = await unheard('heard by cancel');
      await cancel(plot);
      expect((await stage.stored(fileOf(plot))).equals(plot.now)).toBe(true);
      await stage.expectEqual(plot);
    });

    test('where it came so late that the older file was put back, a resume writes its own again', async () => {
      const plot = await unheard('heard by resume');
      await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: fileOf(plot).key, Body: plot.before }));
      await stage.put(plot, OVER);
      await stage.expectEqual(plot);
      expect((await stage.stored(fileOf(plot))).equals(plot.now)).toBe(true);
    });
  });
});

test('a write that the user cut short may yet take effect: nothing is put back, and a resume sees', async () => {
  const plot = await replaced('cut', SMALL);
  const before = await stage.stored(fileOf(plot));
  const { settings, credentials } = await resolveStore(parseObjectUrl(plot.target), {});
  const store = await openStore(settings, { credentials, onRetry: () => {}, bandwidth: undefined });
  const place = { store, key: plot.key, url: plot.target };
  const run = { place, request: {}, progress: { warn: () => {} } } as unknown as PutRun;
  const oldInstructions = { body: before.toString('base64'), headers: await store.headers(fileOf(plot).key) };
  const row = { sealiftId: 'ours', instructions: '{"ours":1}', oldInstructions, headers: { metadata: {} } };
  const failing = (code: 'interrupted' | 'store-unavailable') =>
    withInstructions(run, row, () => Promise.reject(new SealiftError(code, 'cut'))).catch((error) => error.code);
  expect(await failing('interrupted')).toBe('interrupted');
  expect((await stage.stored(fileOf(plot))).toString()).toBe(row.instructions);
  expect(await failing('store-unavailable')).toBe('store-unavailable');
  expect((await stage.stored(fileOf(plot))).equals(before)).toBe(true);
  store.close();
});

test('a file that is there and not ours is left alone, with or without an object', async () => {
  const plot = stage.plot('taken', SMALL);
  const file = { Bucket: BUCKET, Key: fileOf(plot).key };
  await stage.s3.send(new PutObjectCommand({ ...file, Body: 'somebody' }));
  stage.requests.length = 0;
  await expect(stage.put(plot, OPTIONS)).rejects.toMatchObject({ code: 'target-exists' });
  await expect(stage.put(plot, { ...OPTIONS, overwrite: true })).rejects.toMatchObject({
    code: 'unversioned',
    exit: 2,
  });
  expect(writesOf(plot)).toEqual([]);
  await stage.put(plot, OVER);
  await stage.expectEqual(plot);
});

test('one that somebody writes meanwhile stays theirs', async () => {
  const plot = stage.plot('race', SMALL);
  const file = { Bucket: BUCKET, Key: fileOf(plot).key };
  stage.strike(`PutObject(key=${file.Key}):1=slow@1MiB/s`, async () => {
    await stage.s3.send(new PutObjectCommand({ ...file, Body: 'somebody' }));
  });
  await expect(stage.put(plot, OPTIONS)).rejects.toMatchObject({ code: 'target-exists' });
  expect((await stage.stored(fileOf(plot))).toString()).toBe('somebody');
  expect(await headOf(plot)).toBeUndefined();
});

test('nor is one replaced that is no longer what was read', async () => {
  const plot = await replaced('rewrapped', SMALL);
  const file = { Bucket: BUCKET, Key: fileOf(plot).key };
  stage.strike(`HeadObject(key=${file.Key}):2=slow@100MiB/s`, async () => {
    await stage.s3.send(new PutObjectCommand({ ...file, Body: 'somebody' }));
  });
  await expect(stage.put(plot, OVER)).rejects.toMatchObject({ code: 'target-changed' });
  expect((await stage.stored(fileOf(plot))).toString()).toBe('somebody');
});

test('a pipe has its file too', async () => {
  const plot = stage.plot('pipe');
  const source = (async function* () {
    yield readFileSync(plot.source);
  })();
  await stage.shared.put({ source, target: plot.target, ...OPTIONS });
  expect(await headOf(fileOf(plot))).toBeDefined();
  await stage.expectEqual(plot);
});

test('only with the format that has it, and only in S3', async () => {
  const plot = stage.plot('refused', SMALL);
  await expect(stage.put(plot, { instructionFile: true })).rejects.toMatchObject({ code: 'bad-option' });
  const directory = { ...plot, target: `file://${stage.folder}/refused` };
  await expect(stage.put(directory, OPTIONS)).rejects.toMatchObject({ code: 'bad-option' });
});

test('what is larger than an instruction file is not replaced', async () => {
  const plot = stage.plot('large', SMALL);
  const Body = Buffer.alloc(64 * 1024 + 1);
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: fileOf(plot).key, Body }));
  await expect(stage.put(plot, OVER)).rejects.toMatchObject({ code: 'target-exists' });
  expect(await headOf(plot)).toBeUndefined();
});

test('a bucket with versions keeps the older file, so --yes is not needed; of ours that failed no version is left', async () => {
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await stage.s3.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
  const fails = ({ key }: Plot) => `PutObject(key=${key}):*=500`;
  const first = stage.plot('versions first', SMALL);
  await stage.failedPut(first, fails(first), 'store-unavailable', OPTIONS);
  const gone = stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: fileOf(first).key }));
  const headers = await gone.catch(({ $response }) => $response.headers);
  expect(headers).toMatchObject({ 'x-amz-request-id': expect.any(String) });
  expect(Object.keys(headers)).not.toContain('x-amz-delete-marker');

  const plot = await replaced('versions', SMALL);
  await stage.failedPut(plot, fails(plot), 'store-unavailable', { ...OPTIONS, overwrite: true });
  await expectOld(plot);
  await stage.put(plot, { ...OPTIONS, overwrite: true });
  await stage.expectEqual(plot);
});

test('one whose versions are suspended keeps only what came before', async () => {
  const suspended = { Bucket: BUCKET, VersioningConfiguration: { Status: 'Suspended' as const } };
  const plot = await replaced('suspended', SMALL);
  await stage.s3.send(new PutBucketVersioningCommand(suspended));
  await stage.put(plot, { ...OPTIONS, overwrite: true });
  const again = stage.put(plot, { ...OPTIONS, overwrite: true });
  await expect(again).rejects.toMatchObject({ code: 'unversioned' });
  await stage.put(plot, OVER);
  await stage.expectEqual(plot);
});
