/** Ledgers that are torn, damaged, moved, or from another time. */
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { Child, closedLedger, codeOf, intentOf, JOB, readAll, receiptOf, Snapshot, StateDir } from './fixture.ts';

const id = jobIdOf(JOB);

test('a torn log resumes from a whole commit, in order, wherever it is torn', async () => {
  using dir = new StateDir();
  const partCount = 6;
  await using child = new Child('history', dir.path, String(partCount));
  await child.ended();
  const snapshot = new Snapshot(dir.path, id);

  // Everything the ledger can ever have been, commit by commit.
  snapshot.restore();
  const { job, attempt } = readAll(dir.path) as { job: object; attempt: object };
  const intents = Array.from({ length: partCount }, (_, index) => intentOf(index + 1));
  const receipts = Array.from({ length: partCount }, (_, index) => receiptOf(index + 1));
  const history: unknown[] = ['no-such-job', { job }];
  const at = (state: object, intentCount: number, receiptCount: number) => ({
    job,
    attempt: { ...attempt, ...state },
    intents: intents.slice(0, intentCount),
    receipts: receipts.slice(0, receiptCount),
    pieces: [],
  });
  history.push(at({ state: 'planned', uploadId: undefined }, 0, 0), at({}, 0, 0));
  for (let count = 0; count < partCount; count++) history.push(at({}, count + 1, count), at({}, count + 1, count + 1));
  const commitAfter = (wal: Buffer) => {
    snapshot.restore({ wal });
    const seen = readAll(dir.path);
    const commit = history.findIndex((state) => isDeepStrictEqual(state, seen));
    expect(commit, JSON.stringify(seen)).toBeGreaterThanOrEqual(0);
    return commit;
  };

  const { wal } = snapshot;
  const frameSize = 24 + 4096;
  const cuts = new Set([0, 1, 31, 32, 33, wal.length - 1, wal.length]);
  for (let end = 32; end < wal.length; end += frameSize) {
    for (const cut of [end, end + 1, end + 24 + ((end * 7919) % 4096)]) cuts.add(cut);
  }
  const tails = [
    (cut: number) => wal.subarray(0, cut),
    (cut: number) => Buffer.concat([wal.subarray(0, cut), Buffer.alloc(wal.length - cut)]),
    (cut: number) => Buffer.concat([wal.subarray(0, cut), Buffer.alloc(Math.min(5000, wal.length - cut), 0xa5)]),
  ];
  for (const torn of tails) {
    let last = 0;
    for (const cut of [...cuts].sort((a, b) => a - b)) {
      const commit = commitAfter(torn(cut));
      expect(commit).toBeGreaterThanOrEqual(last);
      last = commit;
    }
    expect(last).toBe(history.length - 1);
  }
});

test('a log left behind by a removed database is not read into the next one', async () => {
  using dir = new StateDir();
  await using child = new Child('history', dir.path, '3');
  await child.ended();
  rmSync(join(dir.path, `${id}.db`));
  expect(readAll(dir.path)).toBe('no-such-job');
  using ledger = Ledger.create(dir.path, JOB);
  expect(ledger.attempt()).toBeUndefined();
  ledger.close();
  expect(readAll(dir.path)).toEqual({ job: ledger.job });
});

test('a damaged database is refused, or every row of it is as it was written', async () => {
  using dir = new StateDir();
  await closedLedger(dir.path, 120);
  const snapshot = new Snapshot(dir.path, id);
  const whole = readAll(dir.path);
  expect(whole).toMatchObject({ attempt: { uploadId: 'upload' } });

  const codes = new Map<unknown, number>();
  const damage = fc.property(
    fc.nat(snapshot.db.length - 1),
    fc.integer({ min: 1, max: 255 }),
    fc.integer({ min: 1, max: 8 }),
    (at, mask, size) => {
      const db = Buffer.from(snapshot.db);
      for (let index = at; index < Math.min(at + size, db.length); index++) db[index]! ^= mask;
      snapshot.restore({ db });
      const seen = readAll(dir.path);
      if (typeof seen !== 'string') expect(seen).toEqual(whole);
      codes.set(typeof seen, (codes.get(typeof seen) ?? 0) + 1);
      // Bytes 18 and 19 say which SQLite may write, 60 to 63 hold our version.
      const allowed = at + size > 18 && at < 20 ? ['ledger-corrupt', 'state-dir-unsafe'] : ['ledger-corrupt'];
      if (at + size > 60 && at < 64) allowed.push('ledger-too-new');
      if (typeof seen === 'string') expect(allowed).toContain(seen);
    },
  );
  fc.assert(damage, {
    numRuns: 150,
    examples: [
      [16, 1, 1],
      [18, 3, 1],
      [19, 3, 1],
      [60, 0x80, 1],
      [63, 1, 1],
      [63, 2, 1],
      [snapshot.db.indexOf('checksum BLOB') - 3, 65, 3],
    ],
  });
  expect(codes.get('string')).toBeGreaterThan(50);
});

test('a database cut short, overwritten with zeros, or of another kind is ledger-corrupt', async () => {
  using dir = new StateDir();
  await closedLedger(dir.path, 60);
  const snapshot = new Snapshot(dir.path, id);
  const { db } = snapshot;
  const pages = [
    db.subarray(0, 100),
    db.subarray(0, 4096),
    db.subarray(0, db.length - 1),
    db.subarray(0, db.length - 4096),
  ];
  for (let start = 0; start < db.length; start += 4096) {
    pages.push(Buffer.concat([db.subarray(0, start), Buffer.alloc(4096), db.subarray(start + 4096)]));
  }
  for (const damaged of [...pages, Buffer.from('not a database at all, but long enough to look at')]) {
    snapshot.restore({ db: damaged });
    expect(readAll(dir.path)).toBe('ledger-corrupt');
  }
  const offer = { hint: expect.stringContaining('--fresh') };
  expect(() => Ledger.open(dir.path, id)).toThrow(expect.objectContaining(offer));
  expect(codeOf(() => Ledger.create(dir.path, JOB))).toBe('ledger-corrupt');
  expect(Ledger.list(dir.path)).toEqual([
    { id, state: 'damaged', running: false, reason: expect.stringContaining('damaged') },
  ]);
  Ledger.remove(dir.path, id);
  Ledger.create(dir.path, JOB).close();
});

test('a damaged ledger does not hide the others', async () => {
  using dir = new StateDir();
  Ledger.create(dir.path, { ...JOB, source: '/other' }).close();
  await closedLedger(dir.path, 1);
  writeFileSync(join(dir.path, `${id}.db`), 'damaged');
  expect(Ledger.list(dir.path)).toMatchObject([
    { source: '/other', state: 'running' },
    { id, state: 'damaged' },
  ]);
});

test('a newer schema is refused, untouched, and listed', async () => {
  using dir = new StateDir();
  await closedLedger(dir.path, 1);
  const path = join(dir.path, `${id}.db`);
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99; ALTER TABLE job ADD COLUMN more TEXT');
  db.close();
  const before = readFileSync(path);
  expect(readAll(dir.path)).toBe('ledger-too-new');
  expect(codeOf(() => Ledger.summary(dir.path, id))).toBe('ledger-too-new');
  expect(codeOf(() => Ledger.create(dir.path, JOB))).toBe('ledger-too-new');
  expect(Ledger.list(dir.path)).toMatchObject([
    { id, state: 'damaged', reason: expect.stringContaining('newer Sealift') },
  ]);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a copied or moved ledger opens only to be given up', async () => {
  using dir = new StateDir();
  using elsewhere = new StateDir();
  await closedLedger(dir.path, 2);
  const db = join(dir.path, `${id}.db`);

  // Another folder, another inode, another machine.
  cpSync(dir.path, elsewhere.path, { recursive: true });
  expect(readAll(elsewhere.path)).toBe('ledger-moved');
  copyFileSync(db, `${db}.copy`);
  renameSync(`${db}.copy`, db);
  expect(readAll(dir.path)).toBe('ledger-moved');

  using ledger = Ledger.open(dir.path, id, { evenIfMoved: true });
  expect(ledger.attempt()?.uploadId).toBe('upload');
  ledger.setState('aborted');
  ledger.close();
  // Having been opened does not make it at home here.
  expect(readAll(dir.path)).toBe('ledger-moved');
  using again = Ledger.open(dir.path, id, { evenIfMoved: true });
  again.finish('cancelled');
  again.close();
  using fresh = Ledger.create(dir.path, JOB);
  expect(fresh.job.state).toBe('running');
});
