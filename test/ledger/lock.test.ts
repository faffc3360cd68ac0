import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { JobLock } from '../../src/ledger/lock.ts';
import { Child, codeOf, JOB, StateDir } from './fixture.ts';

const id = jobIdOf(JOB);

test('one holder at a time, in one process too', () => {
  using dir = new StateDir();
  const path = join(dir.path, 'a.lock');
  expect(JobLock.isHeld(path)).toBe(false);
  expect(existsSync(path)).toBe(false);
  const lock = JobLock.take(path)!;
  expect(JobLock.take(path)).toBeUndefined();
  expect(JobLock.isHeld(path)).toBe(true);
  // Looking at it has not let it go.
  expect(JobLock.take(path)).toBeUndefined();
  lock.release();
  lock.release();
  expect(JobLock.isHeld(path)).toBe(false);
  using again = JobLock.take(path);
  expect(again).toBeDefined();
});

test("its file is empty and its owner's alone", () => {
  using dir = new StateDir();
  const path = join(dir.path, 'a.lock');
  using _ = JobLock.take(path)!;
  const { size, mode } = statSync(path);
  expect({ size, mode: mode & 0o777 }).toEqual({ size: 0, mode: 0o600 });
});

test('a lock whose file is removed while others wait for it is not taken for the one in its place', async () => {
  using dir = new StateDir();
  const path = join(dir.path, `${id}.lock`);
  const old = JobLock.take(path)!;
  await using child = new Child('race', dir.path);
  expect(await child.line()).toBe('trying');
  // Now it waits for our lock, for a quarter of a second at most.
  await setTimeout(100);
  rmSync(path);
  old.release();
  using fresh = JobLock.take(path);
  expect(fresh).toBeDefined();
  expect(await child.line()).toBe('job-busy');
});

test('a second process on the same job is told who has it, and gets it after kill -9', async () => {
  using dir = new StateDir();
  await using child = new Child('hold', dir.path);
  expect(await child.line()).toBe('held');

  const busy = expect.objectContaining({ code: 'job-busy', message: `Job ${id} is in use by process ${child.pid}` });
  expect(() => Ledger.open(dir.path, id)).toThrow(busy);
  expect(() => Ledger.create(dir.path, JOB)).toThrow(busy);
  expect(codeOf(() => Ledger.remove(dir.path, id))).toBe('job-busy');
  expect(Ledger.prune(dir.path, { olderThanMs: -1 })).toEqual([]);
  expect(Ledger.summary(dir.path, id)).toMatchObject({ running: true, pid: child.pid });

  await child.kill();
  expect(Ledger.summary(dir.path, id)).toMatchObject({ running: false, state: 'running' });
  expect(Ledger.summary(dir.path, id)).not.toHaveProperty('pid');
  using ledger = Ledger.open(dir.path, id);
  expect(ledger.job.source).toBe(JOB.source);
});

test('a process that ends by itself lets go too', async () => {
  using dir = new StateDir();
  await using child = new Child('hold', dir.path);
  await child.line();
  child.process.stdin!.end();
  await child.ended();
  using _ = Ledger.open(dir.path, id);
});

test('of many processes that start at once exactly one gets the job', async () => {
  using dir = new StateDir();
  const children = Array.from({ length: 4 }, () => new Child('race', dir.path));
  const lines = await Promise.all(children.map(async (child) => [await child.line(), await child.line()][1]));
  expect(lines.sort()).toEqual(['held', 'job-busy', 'job-busy', 'job-busy']);
  await Promise.all(children.map((child) => child.kill()));
});

test('what somebody wrote into a lock stops nobody', () => {
  using dir = new StateDir();
  const lock = join(dir.path, `${id}.lock`);
  Ledger.create(dir.path, JOB).close();
  writeFileSync(lock, 'garbage '.repeat(1000));
  expect(Ledger.list(dir.path)).toMatchObject([{ id, running: false }]);
  using _ = Ledger.open(dir.path, id);
  expect(() => Ledger.open(dir.path, id)).toThrow(expect.objectContaining({ code: 'job-busy' }));
});
