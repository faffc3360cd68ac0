/**
 * `kill -9` at random moments of a migration over HTTPS, and the same command again: in the end every object opens to
 * what its file is, nothing that was done before a kill was sent again, no folder that was known was listed again, and no
 * nonce has ever sealed two plaintexts.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine, rawAesKeyring } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { run, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';
import { writeRandomFile } from '../support/files.ts';
import { checkRecords } from '../support/records.ts';

const KILL_COUNT = Number(process.env.SEALIFT_KILLS ?? 20);
const SMALL_COUNT = 3000;
const LARGE_COUNT = 3;
/** A run is killed when it has told of so many objects, or fewer. Until it dies it moves a batch or two more. */
const MOST_TOLD = (0.5 * SMALL_COUNT) / KILL_COUNT;
/** When so many are done no run is killed any more: it might have come to its end, and the next be another migration. */
const MOST_DONE = 0.6 * SMALL_COUNT;
/** A file that was not there when its folder was listed. */
const LATE = 'late';

let folder: string;
let sandbox: SandboxProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-migrate-'));
  for (const name of ['state', 'records']) mkdirSync(join(folder, name), { mode: 0o700 });
  for (let index = 0; index < SMALL_COUNT; index++) {
    const parent = join(folder, 'tree', `folder ${index % 7}`, `${index % 3}`);
    mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `${index}`), `${index} `.repeat(index));
  }
  for (let index = 0; index < LARGE_COUNT; index++) writeRandomFile(join(folder, 'tree', `large ${index}`), 40 * MiB);
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'requests.log'));
});

afterAll(async () => {
  await sandbox?.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const DONE = "SELECT name FROM objects WHERE state = 'done'";
const LISTED = 'SELECT section AS name FROM listing WHERE is_listed = 1';

/** Names that the ledger has, by the moment it was read. */
function namesIn(path: string, query: typeof DONE | typeof LISTED): string[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db
      .prepare(query)
      .all()
      .map(({ name }) => String(name));
  } catch {
    // Killed before there was a table.
    return [];
  } finally {
    db.close();
  }
}

test('killed again and again, a migration ends with equal trees, and sends nothing twice that was done', async () => {
  const key = join(folder, 'raw.key');
  await run(['keygen', key]);
  const args = ['migrate', join(folder, 'tree'), 's3://bkt/to/', '--raw-key', key];
  const flags = ['--state-dir', join(folder, 'state'), '--json'];
  const options = { env: sandbox.env, records: join(folder, 'records') };
  /** When an object was first seen as done, on the sandbox's clock, which is ours. */
  const doneAt = new Map<string, number>();
  for (let count = 0; count < KILL_COUNT && doneAt.size < MOST_DONE; count++) {
    const running = start([...args, ...flags], options);
    let left = Math.random() * MOST_TOLD;
    await running.until(({ type }) => type === 'object' && --left < 0).catch(() => undefined);
    running.child.kill('SIGKILL');
    await running.ended;
    const db = readdirSync(join(folder, 'state')).find((name) => name.endsWith('.db'));
    if (db === undefined) continue;
    const path = join(folder, 'state', db);
    for (const name of namesIn(path, DONE)) if (!doneAt.has(name)) doneAt.set(name, Date.now());
    // Whoever lists a folder again that is known finds this, and moves one object too many.
    for (const section of namesIn(path, LISTED)) writeFileSync(join(folder, 'tree', section, LATE), '');
  }
  expect(doneAt.size).toBeGreaterThan(0);
  expect(readdirSync(join(folder, 'tree'), { recursive: true }).join()).toContain(LATE);
  const last = await run([...args, ...flags], options);
  expect(last.exit, last.stderr).toBe(0);
  expect(last.last).toMatchObject({ objects: SMALL_COUNT + LARGE_COUNT, failed: 0, skipped: 0 });

  const sent = sandbox.log().filter(({ operation }) => operation === 'PutObject' || operation === 'UploadPart');
  const again = sent.filter(
    ({ key = '', time }) => time > (doneAt.get(key.slice('to/'.length)) ?? Number.POSITIVE_INFINITY),
  );
  expect(again).toEqual([]);
  const { calls, violations } = checkRecords(join(folder, 'records'));
  expect(calls).toBeGreaterThan(SMALL_COUNT);
  expect(violations).toEqual([]);
  await expectEqualTrees(key);
});

async function expectEqualTrees(key: string): Promise<void> {
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  const { namespace, name, key: bytes } = JSON.parse(readFileSync(key, 'utf8'));
  const keyring = rawAesKeyring({ namespace, name, key: Buffer.from(bytes, 'base64') });
  await using engine = createEngine({ keyring, stateDir: join(folder, 'state') });
  const tree = join(folder, 'tree');
  const entries = readdirSync(tree, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== LATE);
  expect(files).toHaveLength(SMALL_COUNT + LARGE_COUNT);
  for (const { parentPath, name: file } of files) {
    const path = join(parentPath, file);
    const chunks: Uint8Array[] = [];
    const source = `s3://bkt/to/${path.slice(tree.length + 1)}`;
    await engine.get({ source, target: async (chunk) => void chunks.push(new Uint8Array(chunk)) });
    expect([file, Buffer.concat(chunks).equals(readFileSync(path))]).toEqual([file, true]);
  }
}
