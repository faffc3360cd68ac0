/** All jobs of a state folder seen from outside, and the end of them. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { ATTEMPT, Child, intentOf, JOB, KEY, receiptOf, StateDir } from './fixture.ts';

const id = jobIdOf(JOB);

test('jobs are listed with their progress, the running one with its pid', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  const planned = { bytesDone: 0, bytesTotal: 0, partsDone: 0, partsTotal: 0 };
  expect(Ledger.list(dir.path)).toEqual([{ ...ledger.job, ...planned, running: true, pid: process.pid }]);
  ledger.startAttempt(ATTEMPT, KEY);
  await Promise.all([1, 2].map((number) => ledger.recordIntent(intentOf(number))));
  await Promise.all([1, 2].map((number) => ledger.recordReceipt(receiptOf(number))));
  const progress = { bytesDone: 211 + 212, bytesTotal: 4508, partsDone: 2, partsTotal: 20 };
  expect(Ledger.summary(dir.path, id)).toEqual({ ...ledger.job, ...progress, running: true, pid: process.pid });
  ledger.finish('done');
  ledger.close();
  const done = { bytesDone: 4508, bytesTotal: 4508, partsDone: 20, partsTotal: 20 };
  expect(Ledger.summary(dir.path, id)).toEqual({ ...ledger.job, ...done, running: false });
});

test('jobs are listed oldest first; files that are no ledgers are passed over', () => {
  using dir = new StateDir();
  const sources = ['/c', '/a', '/b'];
  vi.useFakeTimers({ toFake: ['Date'] });
  for (const [index, source] of sources.entries()) {
    vi.setSystemTime(1_700_000_000_000 + index);
    Ledger.create(dir.path, { ...JOB, source }).close();
  }
  vi.useRealTimers();
  for (const name of ['notes.db', `${id}.sock`, 'put-x.db']) writeFileSync(join(dir.path, name), 'x');
  expect(Ledger.list(dir.path).map((job) => job.state !== 'damaged' && job.source)).toEqual(sources);
});

test('what ended long ago is pruned; what runs, is unfinished or ended lately stays', () => {
  using dir = new StateDir();
  const day = 86_400_000;
  const finished = (source: string, agoMs: number) => {
    const ledger = Ledger.create(dir.path, { ...JOB, source });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - agoMs });
    ledger.finish('done');
    vi.useRealTimers();
    ledger.close();
    return ledger.job.id;
  };
  const old = finished('/old', 31 * day);
  const recent = finished('/recent', 29 * day);
  const reopened = finished('/reopened', 31 * day);
  using _ = Ledger.open(dir.path, reopened);
  Ledger.create(dir.path, JOB).close();
  expect(Ledger.prune(dir.path, { olderThanMs: 30 * day })).toEqual([old]);
  expect(Ledger.list(dir.path).map((job) => job.id)).toEqual(expect.arrayContaining([recent, reopened, id]));
  expect(existsSync(join(dir.path, `${old}.lock`))).toBe(false);
});

test('what could not be freed is not pruned: nothing else knows of it', () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.setState('lost');
  vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 });
  ledger.finish('cancelled');
  vi.useRealTimers();
  ledger.close();
  expect(Ledger.prune(dir.path, { olderThanMs: 0 })).toEqual([]);
  const again = Ledger.open(dir.path, id);
  again.setAborted(1);
  again.close();
  expect(Ledger.prune(dir.path, { olderThanMs: 0 })).toEqual([id]);
});

test('a lock that cannot be opened hides no job, and what cannot be pruned is left', () => {
  using dir = new StateDir();
  vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 });
  const ledger = Ledger.create(dir.path, JOB);
  ledger.finish('done');
  ledger.close();
  vi.useRealTimers();
  const lock = join(dir.path, `${id}.lock`);
  rmSync(lock);
  mkdirSync(lock);
  expect(Ledger.list(dir.path)).toMatchObject([{ id, state: 'done', running: false }]);
  expect(Ledger.prune(dir.path, { olderThanMs: 0 })).toEqual([]);
  rmdirSync(lock);
  expect(Ledger.prune(dir.path, { olderThanMs: 0 })).toEqual([id]);
});

test('remove takes a job away in whatever state it is, and one that is not there without complaint', async () => {
  using dir = new StateDir();
  await using child = new Child('history', dir.path, '1');
  await child.ended();
  expect(readdirSync(dir.path)).toHaveLength(4);
  Ledger.remove(dir.path, id);
  expect(readdirSync(dir.path)).toEqual([]);
  Ledger.remove(dir.path, id);
  expect(readdirSync(dir.path)).toEqual([]);
});
