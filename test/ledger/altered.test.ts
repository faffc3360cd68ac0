/** Rows that somebody else wrote. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import {
  ATTEMPT,
  closedLedger,
  codeOf,
  intentOf,
  JOB,
  KEY,
  OTHER_KEY,
  pieceOf,
  readAll,
  receiptOf,
  Snapshot,
  StateDir,
} from './fixture.ts';

const id = jobIdOf(JOB);

/** Changes the ledger as somebody would who knows SQL but not the key. */
function alter(stateDir: string, sql: string): void {
  const db = new DatabaseSync(join(stateDir, `${id}.db`));
  db.exec(sql);
  db.close();
}

/** Tables that are empty here; bulk.test.ts has theirs. */
const OF_A_MIGRATION = ['objects', 'listing'];

test('whichever value of whichever row is altered, it is ledger-corrupt', async () => {
  using dir = new StateDir();
  {
    using ledger = Ledger.create(dir.path, JOB);
    ledger.startAttempt(ATTEMPT, KEY);
    ledger.setUploadId('upload');
    ledger.setState('done', { etag: '"e"' });
    await ledger.recordIntent({ ...intentOf(1), footer: Buffer.from('a footer') });
    await ledger.recordReceipt(receiptOf(1));
    await ledger.recordPieces([pieceOf(1)]);
    ledger.finish('done');
  }
  const snapshot = new Snapshot(dir.path, id);
  const db = new DatabaseSync(':memory:');
  db.exec(`ATTACH '${join(dir.path, `${id}.db`)}' AS ledger`);
  const columns = db
    .prepare(
      "SELECT t.name AS tableName, c.name, c.type FROM pragma_table_list t, pragma_table_info(t.name, 'ledger') c WHERE t.schema = 'ledger' AND t.name NOT LIKE 'sqlite%'",
    )
    .all() as { tableName: string; name: string; type: 'TEXT' | 'INTEGER' | 'BLOB' }[];
  db.close();
  const altered = {
    TEXT: (name: string) => `${name} || ' '`,
    INTEGER: (name: string) => `${name} + 1`,
    BLOB: (name: string) => `zeroblob(length(${name}))`,
  };
  // The job's row number is bound to be 1.
  const values = columns.filter(({ name, tableName }) => name !== 'row' && !OF_A_MIGRATION.includes(tableName));
  expect(values).toHaveLength(12 + 1 + 8 + 8 + 5 + 3);
  for (const { tableName, name, type } of values) {
    snapshot.restore();
    alter(dir.path, `UPDATE ${tableName} SET ${name} = ${altered[type](name)}`);
    expect([tableName, name, readAll(dir.path)]).toEqual([tableName, name, 'ledger-corrupt']);
  }
  snapshot.restore();
  expect(readAll(dir.path)).toMatchObject({ job: { state: 'done' }, pieces: [pieceOf(1)] });
});

test.each([
  ['DELETE FROM job'],
  ['UPDATE attempts SET outside_id = NULL'],
  ["UPDATE attempts SET tag = x''"],
  ['UPDATE intents SET crc32 = 9007199254740993 WHERE number = 2'],
  ['UPDATE intents SET number = 7 WHERE number = 2'],
  ['UPDATE intents SET tag = (SELECT tag FROM intents WHERE number = 1) WHERE number = 2'],
  [
    'INSERT INTO intents SELECT 7, fingerprint, sealed_size, crc32, shared_tags, footer, sealed_hash, tag FROM intents WHERE number = 1',
  ],
  ['DELETE FROM intents WHERE number = 2'],
  ['UPDATE receipts SET number = 7 WHERE number = 2'],
  ['DROP TABLE receipts'],
  ['ALTER TABLE intents RENAME COLUMN crc32 TO crc64'],
])('altered with %s it is ledger-corrupt', async (sql) => {
  using dir = new StateDir();
  await closedLedger(dir.path, 3);
  alter(dir.path, sql);
  expect(readAll(dir.path)).toBe('ledger-corrupt');
});

test('rows of another attempt, job or key are not taken for ours', async () => {
  using dir = new StateDir();
  await closedLedger(dir.path, 2);
  const path = join(dir.path, `${id}.db`);
  const saved = join(dir.path, 'saved');
  copyFileSync(path, saved);
  using ledger = Ledger.open(dir.path, id);
  // The same key on purpose: the attempt's number alone must tell the rows apart.
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.close();
  const db = new DatabaseSync(path);
  db.exec(`ATTACH '${saved}' AS old; INSERT INTO intents SELECT * FROM old.intents`);
  db.close();
  expect(readAll(dir.path)).toBe('ledger-corrupt');

  using other = Ledger.create(dir.path, { ...JOB, source: '/other' });
  other.startAttempt(ATTEMPT, OTHER_KEY);
  other.close();
  const foreign = new DatabaseSync(join(dir.path, `${other.job.id}.db`));
  foreign.exec(`DELETE FROM attempts; ATTACH '${saved}' AS old; INSERT INTO attempts SELECT * FROM old.attempts`);
  foreign.close();
  using opened = Ledger.open(dir.path, other.job.id);
  expect(codeOf(() => opened.unlock(KEY))).toBe('ledger-corrupt');
});

test('a row altered while we run is noticed when its part comes again', async () => {
  using dir = new StateDir();
  await closedLedger(dir.path, 2);
  using ledger = Ledger.open(dir.path, id);
  ledger.unlock(KEY);
  const db = new DatabaseSync(join(dir.path, `${id}.db`));
  db.exec('UPDATE intents SET fingerprint = zeroblob(32)');
  db.close();
  await expect(ledger.recordIntent({ ...intentOf(1), fingerprint: new Uint8Array(32) })).rejects.toMatchObject({
    code: 'ledger-corrupt',
  });
});
