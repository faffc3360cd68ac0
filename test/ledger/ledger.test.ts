import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { ATTEMPT, codeOf, DOWNLOAD, intentOf, JOB, KEY, OTHER_KEY, pieceOf, receiptOf, StateDir } from './fixture.ts';

const id = jobIdOf(JOB);
const GET_JOB = { ...JOB, command: 'get', source: JOB.target, target: JOB.source } as const;

test('the same command has the same id, and another command another', () => {
  expect(id).toMatch(/^put-[a-z2-7]{10}$/);
  expect(jobIdOf({ ...JOB })).toBe(id);
  const others = [
    { ...JOB, command: 'get' as const },
    { ...JOB, source: '/data/film.mo' },
    { ...JOB, source: `${JOB.source}s3`, target: JOB.target.slice(2) },
    { ...JOB, target: `${JOB.target} ` },
  ];
  expect(new Set([id, ...others.map(jobIdOf)]).size).toBe(5);
});

test('a job is what it was when it is opened again', () => {
  using dir = new StateDir();
  const before = Date.now();
  const ledger = Ledger.create(dir.path, JOB);
  const { job } = ledger;
  expect(job).toMatchObject({ ...JOB, id, state: 'running' });
  expect(job.createdMs).toBeGreaterThanOrEqual(before);
  expect(ledger.attempt()).toBeUndefined();
  ledger.close();
  ledger.close();
  using again = Ledger.open(dir.path, id);
  expect(again.job).toEqual(job);
});

test("every file is its owner's alone", async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const modes = readdirSync(dir.path).map((name) => [name, statSync(join(dir.path, name)).mode & 0o777]);
  expect(Object.fromEntries(modes)).toEqual(
    Object.fromEntries(['.db', '.db-shm', '.db-wal', '.lock'].map((suffix) => [`${id}${suffix}`, 0o600])),
  );
});

test('what is no job, or cannot be one, is no-such-job, and leaves no file behind', () => {
  using dir = new StateDir();
  for (const name of [id, 'put-aaaaaaaaaa', '', '../etc/passwd', 'put-AAAAAAAAAA', 'put-aaaaaaaaaa/..']) {
    expect(codeOf(() => Ledger.open(dir.path, name))).toBe('no-such-job');
    expect(codeOf(() => Ledger.summary(dir.path, name))).toBe('no-such-job');
  }
  expect(readdirSync(dir.path)).toEqual([]);
});

test('an unfinished job is not replaced, a finished one is', () => {
  using dir = new StateDir();
  Ledger.create(dir.path, JOB).close();
  expect(codeOf(() => Ledger.create(dir.path, JOB))).toBe('job-busy');
  // The refusal has not kept the lock.
  using ledger = Ledger.open(dir.path, id);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.finish('done');
  ledger.close();
  using again = Ledger.create(dir.path, JOB);
  expect(again.job.state).toBe('running');
  expect(again.attempt()).toBeUndefined();
});

test('a ledger whose maker died before its first commit is no job, and is replaced', () => {
  using dir = new StateDir();
  writeFileSync(join(dir.path, `${id}.db`), '', { mode: 0o600 });
  expect(codeOf(() => Ledger.open(dir.path, id))).toBe('no-such-job');
  expect(Ledger.list(dir.path)).toEqual([]);
  using ledger = Ledger.create(dir.path, JOB);
  expect(ledger.job.id).toBe(id);
});

test('discard leaves nothing', () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.discard();
  expect(readdirSync(dir.path)).toEqual([]);
});

test('an attempt comes back byte for byte, through all its states', () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  const planned = { ...ATTEMPT, number: 1, state: 'planned', uploadId: undefined, answer: undefined };
  expect(ledger.startAttempt(ATTEMPT, KEY)).toEqual(planned);
  ledger.setUploadId('upload 1');
  expect(ledger.attempt()).toEqual({ ...planned, state: 'created', uploadId: 'upload 1' });
  ledger.setState('completing');
  const answer = { etag: '"whole-20"', versionId: 'v', crc32: 5 };
  ledger.setState('done', answer);
  ledger.close();

  using again = Ledger.open(dir.path, id);
  const done = { ...planned, state: 'done', uploadId: 'upload 1', answer };
  expect(again.attempt()).toEqual(done);
  again.unlock(KEY);
  expect(again.attempt()).toEqual(done);
});

test('nothing of an attempt is changed or read without its key', async () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  expect(codeOf(() => ledger.unlock(KEY))).toBe('internal');
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.close();
  using again = Ledger.open(dir.path, id);
  expect(codeOf(() => again.intents())).toBe('internal');
  expect(codeOf(() => again.recordIntent(intentOf(1)))).toBe('internal');
  expect(codeOf(() => again.setUploadId('u'))).toBe('internal');
  expect(codeOf(() => again.setState('completing'))).toBe('internal');
  expect(codeOf(() => again.unlock(OTHER_KEY))).toBe('ledger-corrupt');
  expect(again.attempt()?.state).toBe('planned');
});

test('an attempt can be written off without its key, and is then locked for ever', () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.close();
  using again = Ledger.open(dir.path, id);
  again.setState('aborted');
  expect(again.attempt()?.state).toBe('aborted');
  expect(codeOf(() => again.unlock(KEY))).toBe('ledger-corrupt');
  again.startAttempt(ATTEMPT, OTHER_KEY);
  expect(again.attempt()).toMatchObject({ number: 2, state: 'planned' });
});

test('lost uploads are kept through later attempts, each until it is aborted', () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  for (const number of [1, 2, 3]) {
    ledger.startAttempt(ATTEMPT, KEY);
    ledger.setUploadId(`upload ${number}`);
    ledger.setState(number === 2 ? 'aborted' : 'lost');
  }
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.close();
  using again = Ledger.open(dir.path, id);
  expect(again.lostAttempts()).toMatchObject([
    { number: 1, uploadId: 'upload 1' },
    { number: 3, uploadId: 'upload 3' },
  ]);
  again.setAborted(1);
  expect(again.lostAttempts()).toMatchObject([{ number: 3 }]);
  for (const number of [1, 2, 4]) expect(codeOf(() => again.setAborted(number))).toBe('internal');
  again.unlock(KEY);
  expect(again.attempt()).toMatchObject({ number: 4, state: 'planned' });
});

test('the current attempt is set aborted under the key it has', () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.setState('lost');
  ledger.setAborted(1);
  expect(ledger.attempt()?.state).toBe('aborted');
});

test('intents, receipts and pieces come back as they were', async () => {
  using dir = new StateDir();
  const record = fc.asyncProperty(
    fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 20 }),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.integer({ min: 1, max: 5 * 2 ** 30 }),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    async (numbers, fingerprint, sealedSize, crc32) => {
      using ledger = Ledger.create(dir.path, JOB);
      ledger.startAttempt(ATTEMPT, KEY);
      const intents = numbers.map((number) => ({
        number,
        fingerprint,
        sealedSize,
        crc32,
        sharedTags: { [number]: 'tag' },
      }));
      const receipts = intents.slice(0, -1).map(({ number }) => ({ number, etag: `"é${number}"`, sealedSize, crc32 }));
      await Promise.all(intents.map((intent) => ledger.recordIntent(intent)));
      await Promise.all(receipts.map((receipt) => ledger.recordReceipt(receipt)));
      const pieces = numbers.map((number) => ({ number, crc32 }));
      await ledger.recordPieces(pieces);
      ledger.close();
      using again = Ledger.open(dir.path, id);
      again.unlock(KEY);
      expect(again.intents()).toEqual(new Map(intents.map((intent) => [intent.number, intent])));
      expect(again.receipts()).toEqual(new Map(receipts.map((receipt) => [receipt.number, receipt])));
      expect(again.pieces()).toEqual(new Map(pieces.map((piece) => [piece.number, piece])));
      again.finish('cancelled');
    },
  );
  await fc.assert(record, { numRuns: 15 });
});

test('a part has one intent for ever: the same again is fine, another is source-changed and says no value', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const intent = intentOf(3);
  await ledger.recordIntent(intent);
  await ledger.recordIntent(intentOf(3));
  const fingerprint = Uint8Array.from(intent.fingerprint);
  fingerprint[31]! ^= 1;
  const others = [
    { ...intent, fingerprint },
    { ...intent, fingerprint: intent.fingerprint.subarray(1) },
    { ...intent, sealedSize: intent.sealedSize + 1 },
    { ...intent, crc32: intent.crc32 + 1 },
  ];
  for (const other of others) {
    const refusal = await ledger.recordIntent(other).catch((error: unknown) => error as Error);
    expect(refusal).toMatchObject({ code: 'source-changed', message: expect.stringContaining('Part 3') });
    expect(JSON.stringify(refusal)).not.toMatch(/030303|214|AwMD/);
  }
  expect(ledger.intents()).toEqual(new Map([[3, intent]]));
});

test('a frame in several parts has one tag, whichever of them comes first', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const [first, second, third] = [
    { ...intentOf(1), sharedTags: { 20: 'twenty' } },
    { ...intentOf(2), sharedTags: { 20: 'twenty', 40: 'forty' } },
    { ...intentOf(3), sharedTags: { 40: 'forty' } },
  ];
  await ledger.recordIntent(first!);
  await ledger.recordIntent(third!);
  for (const sharedTags of [
    { 20: 'another', 40: 'forty' },
    { 20: 'twenty', 40: 'another' },
  ]) {
    await expect(ledger.recordIntent({ ...second!, sharedTags })).rejects.toMatchObject({ code: 'source-changed' });
  }
  // A frame that fills the part between is in three.
  const far = { ...intentOf(3 + 2), sharedTags: { 40: 'another' } };
  await expect(ledger.recordIntent(far)).rejects.toMatchObject({ code: 'source-changed' });
  await ledger.recordIntent(second!);
  expect([...ledger.intents().keys()]).toEqual([1, 2, 3]);
});

test('a refused intent refuses no other of its group, and two unlike ones in one group make one', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const outcomes = await Promise.allSettled([
    ledger.recordIntent(intentOf(1)),
    ledger.recordIntent({ ...intentOf(1), crc32: 0 }),
    ledger.recordIntent(intentOf(2)),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect([...ledger.intents().values()]).toEqual([intentOf(1), intentOf(2)]);
});

test('a receipt needs its intent; the newest receipt of a part stands', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  await expect(ledger.recordReceipt(receiptOf(1))).rejects.toMatchObject({ code: 'internal' });
  await ledger.recordIntent(intentOf(1));
  await expect(ledger.recordReceipt({ ...receiptOf(1), crc32: 1 })).rejects.toMatchObject({ code: 'internal' });
  await ledger.recordReceipt(receiptOf(1));
  await ledger.recordReceipt({ ...receiptOf(1), etag: '"newer"' });
  expect(ledger.receipts().get(1)?.etag).toBe('"newer"');
});

test('a new attempt knows nothing of the parts of the one before', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  await ledger.recordIntent(intentOf(1));
  await ledger.recordReceipt(receiptOf(1));
  ledger.startAttempt({ ...ATTEMPT, sealiftId: 'second' }, OTHER_KEY);
  expect(ledger.attempt()).toMatchObject({ number: 2, sealiftId: 'second' });
  expect([ledger.intents().size, ledger.receipts().size]).toEqual([0, 0]);
  await ledger.recordIntent({ ...intentOf(1), crc32: 99 });
  expect(ledger.intents().get(1)?.crc32).toBe(99);
});

test('a download comes back with its pieces', async () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, GET_JOB);
  expect(ledger.startDownload(DOWNLOAD, KEY)).toEqual({ ...DOWNLOAD, number: 1 });
  ledger.setTempInode('99');
  await ledger.recordPieces([{ number: 3, crc32: 0 }, pieceOf(1)]);
  await ledger.recordPieces([3, 2].map(pieceOf));
  ledger.close();
  expect(Ledger.list(dir.path)).toMatchObject([{ bytesDone: 150, bytesTotal: 1000, partsDone: 3, partsTotal: 20 }]);
  using again = Ledger.open(dir.path, jobIdOf(GET_JOB));
  expect(again.download()).toEqual({ ...DOWNLOAD, number: 1, tempInode: '99' });
  again.unlock(KEY);
  expect(again.pieces()).toEqual(new Map([1, 2, 3].map((number) => [number, pieceOf(number)])));
  again.startDownload({ ...DOWNLOAD, etag: '"other"' }, OTHER_KEY);
  expect([again.download()?.tempInode, again.pieces()]).toEqual([undefined, new Map()]);
  again.finish('done');
  expect(Ledger.list(dir.path)).toMatchObject([{ bytesDone: 1000, bytesTotal: 1000, partsDone: 20, partsTotal: 20 }]);
});

test('a ledger of 10,000 parts opens and loads in less than a CPU second', async () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const numbers = Array.from({ length: 10_000 }, (_, index) => index + 1);
  await Promise.all(numbers.map((number) => ledger.recordIntent(intentOf(number))));
  await Promise.all(numbers.map((number) => ledger.recordReceipt(receiptOf(number))));
  ledger.close();
  const started = process.cpuUsage();
  using again = Ledger.open(dir.path, id);
  again.unlock(KEY);
  expect([again.intents().size, again.receipts().size]).toEqual([10_000, 10_000]);
  const { user, system } = process.cpuUsage(started);
  expect(user + system).toBeLessThan(1_000_000);
});
