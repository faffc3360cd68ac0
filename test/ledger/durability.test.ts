/** When a promise resolves, its rows are on disk; and one sync serves all who wait. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { guarded, ledgerError } from '../../src/ledger/database.ts';
import { jobFiles } from '../../src/ledger/files.ts';
import { GroupCommit } from '../../src/ledger/group-commit.ts';
import { type JobSummary, jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { ATTEMPT, CHILD, Child, codeOf, intentOf, JOB, KEY, pieceOf, receiptOf, StateDir } from './fixture.ts';

const id = jobIdOf(JOB);
const hasStrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

test('writes of one turn share one commit', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const numbers = Array.from({ length: 100 }, (_, index) => index + 1);
  const before = ledger.commitCount;
  await Promise.all(numbers.map((number) => ledger.recordIntent(intentOf(number))));
  expect(ledger.commitCount - before).toBe(1);
  // Receipts that wait for company go with the next intent.
  const receipts = Promise.all(numbers.map((number) => ledger.recordReceipt(receiptOf(number))));
  await Promise.all([receipts, ledger.recordIntent(intentOf(101))]);
  expect(ledger.commitCount - before).toBe(2);
  // And alone within milliseconds.
  await ledger.recordReceipt(receiptOf(101));
  expect(ledger.commitCount - before).toBe(3);
  expect([ledger.intents().size, ledger.receipts().size]).toEqual([101, 101]);
});

test('messages of many threads that arrive in one turn share one commit', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const before = ledger.commitCount;
  const numbers = Array.from({ length: 8 }, (_, index) => index + 1);
  const recorded = numbers.map((number) => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(number);
    return once(port2, 'message').then(() => {
      port1.close();
      return ledger.recordIntent(intentOf(number));
    });
  });
  await Promise.all(recorded);
  expect(ledger.commitCount - before).toBe(1);
});

test('100 lanes make far fewer commits than writes', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const before = ledger.commitCount;
  let next = 1;
  const lane = async () => {
    while (next <= 500) {
      const number = next++;
      await ledger.recordIntent(intentOf(number));
      await ledger.recordReceipt(receiptOf(number));
    }
  };
  await Promise.all(Array.from({ length: 100 }, lane));
  expect(ledger.receipts().size).toBe(500);
  expect(ledger.commitCount - before).toBeLessThan(50);
});

test('nothing is settled, nor seen by others, before its commit', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  await ledger.recordIntent(intentOf(1));
  let settled = false;
  const receipt = ledger.recordReceipt(receiptOf(1)).then(() => (settled = true));
  await Promise.resolve();
  expect([settled, Ledger.summary(dir.path, id).partsDone]).toEqual([false, 0]);
  await receipt;
  expect(Ledger.summary(dir.path, id).partsDone).toBe(1);
});

test('close commits what still waits', async () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  const waiting = [ledger.recordIntent(intentOf(1)), ledger.recordReceipt(receiptOf(1))];
  ledger.close();
  await Promise.all(waiting);
  using again = Ledger.open(dir.path, id);
  again.unlock(KEY);
  expect([again.intents().size, again.receipts().size]).toEqual([1, 1]);
});

test('what comes after close is refused', async () => {
  using dir = new StateDir();
  const ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.close();
  const late = [
    ledger.recordIntent(intentOf(1)),
    ledger.recordReceipt(receiptOf(1)),
    ledger.recordPieces([pieceOf(1)]),
  ];
  const refused = { status: 'rejected', reason: expect.objectContaining({ code: 'internal' }) };
  expect(await Promise.allSettled(late)).toEqual([refused, refused, refused]);
});

test('after kill -9 in the turn a promise resolved, every row it spoke of is there', async () => {
  using dir = new StateDir();
  await using child = new Child('die-after-record', dir.path, '100');
  await child.ended();
  using ledger = Ledger.open(dir.path, id);
  ledger.unlock(KEY);
  expect([...ledger.intents().values()]).toEqual(Array.from({ length: 100 }, (_, index) => intentOf(index + 1)));
  expect([...ledger.receipts().values()]).toEqual([receiptOf(1)]);
});

test('another process reads whole commits while we write', async () => {
  using dir = new StateDir();
  using ledger = Ledger.create(dir.path, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  await using reader = new Child('read', dir.path);
  expect(await reader.line()).toBe('reading');
  let number = 0;
  let last = 0;
  for (let count = 0; count < 20; count++) {
    // Pairs: a reader that saw an odd number would have seen half a commit.
    const pair = [++number, ++number];
    await Promise.all(pair.map((part) => ledger.recordIntent(intentOf(part))));
    await Promise.all(pair.map((part) => ledger.recordReceipt(receiptOf(part))));
    const [job] = JSON.parse((await reader.line())!) as [JobSummary];
    expect(job).toMatchObject({ id, running: true, pid: process.pid });
    expect(job.partsDone % 2).toBe(0);
    expect(job.partsDone).toBeGreaterThanOrEqual(last);
    last = job.partsDone;
  }
  expect(last).toBeGreaterThan(0);
});

test('after a write that failed the ledger takes no more, and opens with what it had', async () => {
  using dir = new StateDir();
  // Files may grow to 200 blocks of 512 bytes, as on a disk that is full then.
  const run = `ulimit -f 200; exec '${process.execPath}' '${CHILD}' fill '${dir.path}'`;
  const { stdout } = spawnSync('sh', ['-c', run], { encoding: 'utf8' });
  const [, recorded, first, second] = /^recorded (\d+)\n(.+)\n(.+)\n$/.exec(stdout)!;
  expect([first, second]).toEqual(['state-dir-unsafe', 'state-dir-unsafe']);
  using ledger = Ledger.open(dir.path, id);
  ledger.unlock(KEY);
  expect(ledger.intents().size).toBe(Number(recorded));
});

test('a failure is the last word, even where the next write could succeed', async () => {
  const db = new DatabaseSync(':memory:');
  db.exec('PRAGMA max_page_count = 2; CREATE TABLE t (b BLOB)');
  const files = jobFiles('/state', id);
  const commits = new GroupCommit(db, (thrown) => ledgerError(files, thrown));
  const insert = (size: number) => () => db.exec(`INSERT INTO t VALUES (zeroblob(${size}))`);
  const group = await Promise.allSettled([
    commits.write(insert(1)),
    commits.write(insert(100_000)),
    commits.write(insert(1)),
  ]);
  db.exec('PRAGMA max_page_count = 1000');
  const later = await Promise.allSettled([commits.write(insert(1)), commits.writeUnhurried(insert(1))]);
  const refused = { status: 'rejected', reason: expect.objectContaining({ code: 'disk-full' }) };
  expect([...group, ...later]).toEqual(Array(5).fill(refused));
  expect(codeOf(() => commits.writeNow(insert(1)))).toBe('disk-full');
  expect(db.prepare('SELECT count(*) AS count FROM t').get()).toEqual({ count: 0 });
});

test('a bug in one write leaves nothing of its group behind', async () => {
  const db = new DatabaseSync(':memory:');
  db.exec('CREATE TABLE t (a INTEGER)');
  const commits = new GroupCommit(db, (thrown) => ledgerError(jobFiles('/state', id), thrown));
  const bug = () => {
    throw new TypeError('a bug');
  };
  const group = await Promise.allSettled([
    commits.write(() => db.exec('INSERT INTO t VALUES (1)')),
    commits.write(bug),
  ]);
  const internal = { status: 'rejected', reason: expect.objectContaining({ code: 'internal' }) };
  expect(group).toEqual([internal, internal]);
  expect(db.prepare('SELECT count(*) AS count FROM t').get()).toEqual({ count: 0 });
});

test('no room is disk-full, whoever says so; a folder out of reach is state-dir-unsafe', () => {
  expect(codeOf(() => Ledger.create('/nowhere/at/all', JOB))).toBe('state-dir-unsafe');
  const files = jobFiles('/state', id);
  const db = new DatabaseSync(':memory:');
  db.exec('PRAGMA max_page_count = 2; CREATE TABLE t (b BLOB)');
  const failures = [() => db.exec('INSERT INTO t VALUES (zeroblob(100000))'), () => writeFileSync('/dev/full', 'x')];
  for (const fails of failures) expect(codeOf(() => guarded(files, fails))).toBe('disk-full');
});

test.skipIf(!hasStrace)('strace: every row is synced between its write and its promise', async () => {
  using dir = new StateDir();
  const trace = join(dir.path, 'trace');
  const calls = 'trace=write,pwrite64,fsync,fdatasync';
  spawnSync('strace', ['-ff', '-y', '-e', calls, '-o', trace, process.execPath, CHILD, 'history', dir.path, '10']);

  // One file for each thread; the main thread's is the one that tells.
  const traces = readdirSync(dir.path).filter((name) => name.startsWith('trace.'));
  const mainTrace = traces
    .map((name) => readFileSync(join(dir.path, name), 'utf8'))
    .find((text) => text.includes('intent 1'))!;
  let unsynced = 0;
  let synced = 0;
  const told: string[] = [];
  for (const call of mainTrace.split('\n')) {
    if (/^pwrite64\(\d+<[^>]*-wal>/.test(call)) unsynced++;
    if (/^f(data)?sync\(\d+<[^>]*-wal>\) += 0$/.test(call)) {
      synced += unsynced;
      unsynced = 0;
    }
    const line = /^write\(1<[^>]*>, "((?:intent|receipt) \d+)/.exec(call);
    if (!line) continue;
    told.push(line[1]!);
    expect({ line: line[1], unsynced, isSynced: synced > 0 }).toEqual({ line: line[1], unsynced: 0, isSynced: true });
    synced = 0;
  }
  expect(told).toHaveLength(20);
  // The names of the database and of the log are on disk as well.
  const folderSyncs = mainTrace
    .split('\n')
    .filter((call) => /^fsync\(\d+<([^>]*)>\) += 0$/.exec(call)?.[1] === dir.path);
  expect(folderSyncs.length).toBeGreaterThanOrEqual(2);
});
