/** The ledger of a migration: a queue of objects that outlives its process. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import { listUploads } from '../../src/ledger/jobs.ts';
import { jobIdOf, Ledger, type NewJob, type NewObject, type ObjectRow } from '../../src/ledger/ledger.ts';
import { NEXT_SECTION } from '../../src/ledger/listing-rows.ts';
import { ATTEMPT, JOB as CHILD, codeOf, KEY, StateDir } from './fixture.ts';

const JOB: NewJob = { command: 'migrate', source: '/data', target: 's3://vault/data/', options: {} };
const id = jobIdOf(JOB);
const SMALL = { isLarge: false, attempts: 0, limit: 10 };
const TARGET = { sealiftId: 'a', messageId: 'b', format: 'esdk', sealedSize: 9 } as const;

function objectOf(name: string, more: Partial<NewObject> = {}): NewObject {
  return { name, size: 5, isLarge: false, source: { mtimeNs: '1700000000123456789' }, ...more };
}

function page(objects: NewObject[], more: Partial<Parameters<BulkLedger['addPage']>[0]> = {}) {
  return { section: '', objects, sections: [], cursor: undefined, ...more };
}

const names = (rows: Iterable<ObjectRow>) => Array.from(rows, ({ name }) => name);

test('what was listed is known when the ledger is opened again: rows, sections, and how far each is listed', () => {
  using dir = new StateDir();
  const ledger = BulkLedger.create(dir.path, JOB, '');
  expect(ledger.nextSection()).toEqual({ section: '', cursor: undefined });
  const refusal = { code: 'source-not-a-file', message: 'a socket' };
  ledger.addPage(page([objectOf('a'), objectOf('b', { refusal })], { sections: ['x', 'y'], cursor: 'b' }));
  ledger.close();
  const again = BulkLedger.open(dir.path, id);
  expect(again.nextSection()).toEqual({ section: '', cursor: 'b' });
  expect(names(again.addPage(page([objectOf('a'), objectOf('c')], { sections: ['x'] })))).toEqual(['c']);
  again.endSection('');
  expect(again.nextSection()).toEqual({ section: 'x', cursor: undefined });
  again.endSection('x');
  again.endSection('y');
  expect(again.nextSection()).toBeUndefined();
  expect(names(again.pending(SMALL))).toEqual(['a', 'c']);
  expect([...again.inState('failed')]).toMatchObject([{ name: 'b', ...refusal }]);
  again.close();
});

test('the next of a million folders is found without a look at those that are listed', () => {
  using dir = new StateDir();
  using ledger = BulkLedger.create(dir.path, JOB, '');
  using db = new DatabaseSync(join(dir.path, `${ledger.job.id}.db`), { readOnly: true });
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${NEXT_SECTION}`).all();
  expect(plan).toMatchObject([{ detail: 'SEARCH listing USING INDEX listing_by_state (is_listed=?)' }]);
});

test('objects wait by kind and attempts, in the order of the listing', async () => {
  using dir = new StateDir();
  using ledger = BulkLedger.create(dir.path, JOB, '');
  ledger.addPage(page([objectOf('a'), objectOf('big', { isLarge: true }), objectOf('b'), objectOf('c')]));
  expect(names(ledger.pending({ ...SMALL, isLarge: true }))).toEqual(['big']);
  const [a, b] = ledger.pending({ ...SMALL, limit: 2 });
  await ledger.write([
    { ...a!, attempts: 1, code: 'store-throttled', message: 'slow down' },
    { ...b!, state: 'sending', target: TARGET },
  ]);
  expect(names(ledger.pending(SMALL))).toEqual(['c']);
  expect(names(ledger.pending({ ...SMALL, attempts: 1 }))).toEqual(['a']);
});

test('what was being sent is pending again after a crash, with what was made of it; what is done stays done', async () => {
  using dir = new StateDir();
  const ledger = BulkLedger.create(dir.path, JOB, '');
  const [a, b, c] = ledger.addPage(page([objectOf('a'), objectOf('b'), objectOf('c')]));
  const done = { ...b!, state: 'done', target: { ...TARGET, crc32: 7, isConfirmed: true }, finishedMs: 3 } as const;
  await ledger.write([{ ...a!, state: 'sending', target: TARGET, startedMs: 1 }, done]);
  ledger.close();
  using again = BulkLedger.open(dir.path, id);
  expect(again.pending(SMALL)).toEqual([{ ...a!, target: TARGET, startedMs: 1 }, c!].map(withAllFields));
  expect([...again.inState('done')]).toEqual([withAllFields(done)]);
});

function withAllFields(row: ObjectRow): ObjectRow {
  const none = { code: undefined, message: undefined, target: undefined, startedMs: undefined, finishedMs: undefined };
  return { ...none, ...row };
}

test('failed objects wait again, all of them, with all their attempts', async () => {
  using dir = new StateDir();
  using ledger = BulkLedger.create(dir.path, JOB, '');
  const rows = ledger.addPage(page(Array.from({ length: 1201 }, (_, index) => objectOf(`${index}`))));
  await ledger.write(rows.map((row) => ({ ...row, state: 'failed', attempts: 3, code: 'access-denied' })));
  expect(ledger.retryFailed()).toBe(1201);
  expect(ledger.retryFailed()).toBe(0);
  expect(names(ledger.pending({ ...SMALL, limit: 2000 }))).toEqual(rows.map(({ name }) => name));
});

test('a section that could not be listed is listed once more', () => {
  using dir = new StateDir();
  const ledger = BulkLedger.create(dir.path, JOB, '');
  ledger.addPage(page([], { sections: ['sub/'] }));
  ledger.endSection('');
  const refusal = { code: 'source-unreadable', message: 'no' };
  ledger.addPage(page([objectOf('sub/', { source: { isSection: true }, refusal })], { section: 'sub/' }));
  ledger.endSection('sub/');
  ledger.finish('done');
  expect(ledger.nextSection()).toBeUndefined();
  expect(ledger.retryFailed()).toBe(1);
  expect(ledger.nextSection()).toEqual({ section: 'sub/', cursor: undefined });
  expect([...ledger.inState('failed'), ...ledger.pending(SMALL)]).toEqual([]);
  expect(ledger.job.state).toBe('running');
  ledger.close();
});

test('objects are counted by what became of them, also from outside', async () => {
  using dir = new StateDir();
  using ledger = BulkLedger.create(dir.path, JOB, '');
  const [a, b] = ledger.addPage(page([objectOf('a'), objectOf('b', { size: 7 }), objectOf('c')]));
  await ledger.write([
    { ...a!, state: 'done' },
    { ...b!, state: 'failed', code: 'access-denied' },
  ]);
  const none = { count: 0, bytes: 0 };
  const counts = { pending: { count: 1, bytes: 5 }, sending: none, done: { count: 1, bytes: 5 }, skipped: none };
  expect(ledger.counts()).toEqual({ ...counts, failed: { count: 1, bytes: 7 } });
  expect(Ledger.summary(dir.path, id)).toMatchObject({
    command: 'migrate',
    bytesDone: 5,
    bytesTotal: 17,
    objects: ledger.counts(),
  });
});

test('every name comes back as it was, and a second one of it is not another object', () => {
  const name = fc.string({
    unit: fc.oneof(fc.constantFrom('\0', '\n', '/', '.', '\u202e', 'é', 'e\u0301', '😀'), fc.string()),
  });
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 20 }), (listed) => {
      using dir = new StateDir();
      using ledger = BulkLedger.create(dir.path, JOB, '');
      ledger.addPage(page(listed.map((each) => objectOf(each))));
      expect(ledger.addPage(page(listed.map((each) => objectOf(each))))).toEqual([]);
      expect(names(ledger.pending({ ...SMALL, limit: 100 }))).toEqual(listed);
    }),
    { numRuns: 20 },
  );
});

test.each([
  "UPDATE objects SET name = 'b'",
  'UPDATE objects SET size = size + 1',
  "UPDATE objects SET source = '{}'",
  "UPDATE listing SET section = 'b'",
  "UPDATE listing SET cursor = 'b'",
])('altered with %s it is ledger-corrupt', (statement) => {
  using dir = new StateDir();
  const ledger = BulkLedger.create(dir.path, JOB, '');
  ledger.addPage(page([objectOf('a')], { cursor: 'a' }));
  ledger.close();
  const db = new DatabaseSync(join(dir.path, `${id}.db`));
  db.exec(statement);
  db.close();
  using again = BulkLedger.open(dir.path, id);
  const readBoth = () => [again.pending(SMALL), again.nextSection()];
  expect(codeOf(readBoth)).toBe('ledger-corrupt');
});

test('the folder of large objects is private, tells of its uploads, and goes with the job', () => {
  using dir = new StateDir();
  const ledger = BulkLedger.create(dir.path, JOB, '');
  const folder = ledger.objectsDir;
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  const child = Ledger.create(folder, CHILD);
  child.startAttempt(ATTEMPT, KEY);
  child.setUploadId('upload');
  child.close();
  expect(listUploads(dir.path)).toEqual([{ job: id, uploadId: 'upload' }]);
  ledger.finish('cancelled');
  ledger.close();
  // Its upload would be forgotten with it.
  expect(Ledger.prune(dir.path, { olderThanMs: -1 })).toEqual([]);
  Ledger.remove(folder, child.job.id);
  expect(Ledger.prune(dir.path, { olderThanMs: -1 })).toEqual([id]);
  expect(existsSync(folder)).toBe(false);
});
