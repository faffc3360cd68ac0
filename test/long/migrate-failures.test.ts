/**
 * A migration of very many objects of which some cannot be moved: those that nobody may read, those that nobody may write,
 * those that change all the time. All the rest is moved, and the report tells of each exactly what became of it. And a KMS
 * key that is disabled in the middle: the job is paused within seconds, and goes on once the key is enabled.
 */
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine, kmsKeyring } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { run, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';

const GOOD_COUNT = Number(process.env.SEALIFT_OBJECTS ?? 20_000);
const UNREADABLE_COUNT = 500;
const DENIED_COUNT = 300;
const CHANGING_COUNT = 50;
/** Of several parts: it changes while it is read. */
const CHANGING_SIZE = 17 * MiB;
const CHANGE_MS = 5;
/** The key is disabled when so many objects are done. */
const DONE_COUNT = 1000;
/** What makes the job last, so that it is in its middle when the key is asked for. */
const SLOWLY = '300KiB/s';

/** The superuser reads what nobody may, unless he has laid that down. */
const asAnybody =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all'] : [];

let folder: string;
let sandbox: SandboxProcess;
const flags = () => ['--kms-key', 'alias/sandbox', '--state-dir', join(folder, 'state'), '--json'];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-failures-'));
  sandbox = await startSandboxProcess(['--bucket', 'bkt'], join(folder, 'requests.log'));
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
});

afterAll(async () => {
  await sandbox?.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
}, 600_000);

/** So many files in folders of a hundred. Returns their names. */
function writeFiles(tree: string, kind: string, count: number, content: (index: number) => string | Buffer): string[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `${kind}/${Math.floor(index / 100)}/${index}`;
    mkdirSync(join(tree, name, '..'), { recursive: true });
    writeFileSync(join(tree, name), content(index));
    return name;
  });
}

interface Told {
  name: string;
  state: string;
  code: string | null;
  plainBytes: number;
}

test('what cannot be moved is told by its name and its reason, and all the rest is moved', async () => {
  const tree = join(folder, 'tree');
  const good = writeFiles(tree, 'good', GOOD_COUNT, (index) => `${index} `.repeat(index % 500));
  const unreadable = writeFiles(tree, 'unreadable', UNREADABLE_COUNT, String);
  for (const name of unreadable) chmodSync(join(tree, name), 0);
  const denied = writeFiles(tree, 'denied', DENIED_COUNT, String);
  const changing = writeFiles(tree, 'changing', CHANGING_COUNT, (index) => Buffer.alloc(CHANGING_SIZE, index));
  await denyWriting('to/denied/*');

  const report = join(folder, 'report.jsonl');
  const args = ['migrate', tree, 's3://bkt/to/', ...flags(), '--report', report];
  const running = start(args, { env: sandbox.env, under: asAnybody });
  const timer = setInterval(() => {
    for (const name of changing) appendFileSync(join(tree, name), 'more');
  }, CHANGE_MS);
  running.child.once('exit', () => clearInterval(timer));
  const { exit, last, stderr } = await running.ended;
  expect(exit, stderr).toBe(3);

  const rows = readFileSync(report, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const told = new Map<string, Told>(rows.filter(({ type }) => type === 'object').map((row) => [row.name, row]));
  expect([...told.keys()].sort()).toEqual([...good, ...unreadable, ...denied, ...changing].sort());
  const outcomes = (names: string[]) =>
    [...new Set(names.map((name) => `${told.get(name)!.state} ${told.get(name)!.code}`))].sort();
  expect(outcomes(good)).toEqual(['done null']);
  expect(outcomes(unreadable)).toEqual(['failed source-unreadable']);
  expect(outcomes(denied)).toEqual(['failed policy-denied']);
  const lost = changing.filter((name) => told.get(name)!.state === 'failed');
  expect(outcomes(lost)).toEqual(['failed source-changed']);
  const failures = {
    'source-unreadable': UNREADABLE_COUNT,
    'policy-denied': DENIED_COUNT,
    'source-changed': lost.length,
  };
  const failed = UNREADABLE_COUNT + DENIED_COUNT + lost.length;
  expect(last).toMatchObject({ failed, failures, objects: told.size - failed });
  expect(rows.at(-1)).toMatchObject({ type: 'summary', missing: failed });
  await expectWhole(
    tree,
    changing.filter((name) => !lost.includes(name)).map((name) => told.get(name)!),
  );
  const { seconds, peakRssBytes } = last as unknown as { seconds: number; peakRssBytes: number };
  console.log(
    `${told.size} objects in ${Math.round(seconds)} s, ${lost.length} changed, ${Math.round(peakRssBytes / MiB)} MiB`,
  );
});

async function denyWriting(keys: string): Promise<void> {
  const s3 = new S3Client({ forcePathStyle: true });
  const Statement = [{ Effect: 'Deny', Principal: '*', Action: 's3:PutObject', Resource: `arn:aws:s3:::bkt/${keys}` }];
  await s3.send(
    new PutBucketPolicyCommand({ Bucket: 'bkt', Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
  );
  s3.destroy();
}

/** What was moved of a file that only grows is what it once was. */
async function expectWhole(tree: string, moved: Told[]): Promise<void> {
  await using engine = createEngine({
    keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }),
    stateDir: join(folder, 'other'),
  });
  for (const { name, plainBytes } of moved) {
    const back = join(folder, 'back');
    await engine.get({ source: `s3://bkt/to/${name}`, target: back, overwrite: true });
    const now = readFileSync(join(tree, name));
    expect([name, readFileSync(back).equals(now.subarray(0, plainBytes))]).toEqual([name, true]);
  }
}

test('a key that is disabled in the middle pauses the job, which goes on once it is enabled', async () => {
  const tree = join(folder, 'many');
  writeFiles(tree, 'all', GOOD_COUNT, (index) => `${index} `.repeat(index % 500));
  const args = ['migrate', tree, 's3://bkt/many/', ...flags()];
  const kms = new KMSClient({});
  const KeyId = sandbox.kmsKeyId;

  const running = start([...args, '--bwlimit', SLOWLY], { env: sandbox.env });
  let count = 0;
  await running.until(({ type }) => type === 'object' && ++count === DONE_COUNT);
  await kms.send(new DisableKeyCommand({ KeyId }));
  const disabledMs = Date.now();
  const paused = await running.ended;
  console.log(`paused ${((Date.now() - disabledMs) / 1000).toFixed(1)} s after the key was disabled`);
  expect(paused).toMatchObject({ exit: 1, last: { type: 'error', code: 'kms-key-disabled' } });
  const done = paused.lines.filter(({ type, outcome }) => type === 'object' && outcome === 'done').length;
  expect(done).toBeLessThan(GOOD_COUNT);
  expect(paused.lines.filter(({ outcome }) => outcome === 'failed')).toEqual([]);

  await kms.send(new EnableKeyCommand({ KeyId }));
  kms.destroy();
  const resumed = await run(['resume', '--bwlimit', '1GiB/s', '--state-dir', join(folder, 'state'), '--json'], {
    env: sandbox.env,
  });
  expect(resumed).toMatchObject({ exit: 0, last: { objects: GOOD_COUNT, failed: 0, skipped: 0 } });
  const sent = sandbox.log().filter(({ operation, key = '' }) => operation === 'PutObject' && key.startsWith('many/'));
  expect(new Set(sent.map(({ key }) => key)).size).toBe(GOOD_COUNT);
});
