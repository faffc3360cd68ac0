/** Migrations from a directory into a bucket: small objects and large ones, and what becomes of those that fail. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { MigrateRequest } from '../../src/index.ts';
import type { JobEvent } from '../../src/job.ts';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { BUCKET, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});

afterAll(() => stage.close());

/** A folder of files with these contents, by name, and where they go. */
function treeOf(name: string, files: Record<string, string | Buffer>) {
  const source = join(stage.folder, name);
  for (const [file, content] of Object.entries(files)) {
    const path = join(source, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return { source, target: `s3://${BUCKET}/${name}/`, stateDir: join(stage.folder, 'state') };
}

type Tree = ReturnType<typeof treeOf>;

async function migrate({ source, target }: Tree, request: Partial<MigrateRequest> = {}) {
  const events: JobEvent[] = [];
  const onEvent = (event: JobEvent) => events.push(event);
  const result = await stage.shared.migrate({ source, target, partSize: PART_SIZE, onEvent, ...request });
  return { result, events };
}

async function expectThere({ source, target }: Tree, names: readonly string[]): Promise<void> {
  const back = join(stage.folder, 'back');
  for (const name of names) {
    rmSync(back, { force: true });
    await stage.shared.get({ source: target + name, target: back });
    expect([name, readFileSync(back).equals(readFileSync(join(source, name)))]).toEqual([name, true]);
  }
}

const bigFile = Buffer.alloc(2 * PART_SIZE + 17, 'large');

test('small and large files of a tree become objects that open to what they were', async () => {
  const files = { a: 'one', 'sub/b': 'two', 'sub/deep/empty': '', 'large file': bigFile };
  const tree = treeOf('both', files);
  const { result, events } = await migrate(tree);
  expect(result).toMatchObject({ command: 'migrate', object: null, objects: 4, failed: 0, skipped: 0, warnings: [] });
  expect(result.plainBytes).toBe(bigFile.length + 6);
  await expectThere(tree, Object.keys(files));
  const told = events.filter((event) => event.type === 'object');
  expect(told.map(({ name, outcome }) => `${name} ${outcome}`).sort()).toEqual(
    Object.keys(files)
      .map((name) => `${name} done`)
      .sort(),
  );
  const moving = events.flatMap((event) => (event.type === 'progress' ? [event.objects?.moving] : []));
  expect(moving.some((seen) => seen!.small > 0)).toBe(true);
  expect(moving.some((seen) => seen!.large.join() === 'large file')).toBe(true);
});

const jobOf = ({ source, target }: Tree) => jobIdOf({ command: 'migrate', source, target });

/** Names of objects of the tree that such a request has been made for with success, in the order of their names. */
function namesIn(operation: string, { target }: Tree): string[] {
  const prefix = target.slice(`s3://${BUCKET}/`.length);
  const done = stage.requests.filter(({ operation: made, status }) => made === operation && status === 200);
  return done.flatMap(({ key }) => (key?.startsWith(prefix) ? [key.slice(prefix.length)] : [])).sort();
}

/** Resolves once the job knows all there is: whoever stops it then knows what it must not list again. */
async function untilListed(tree: Tree): Promise<void> {
  const path = join(tree.stateDir, `${jobOf(tree)}.db`);
  await vi.waitUntil(() => {
    using db = new DatabaseSync(path, { readOnly: true });
    return db.prepare('SELECT count(*) AS count FROM listing WHERE is_listed = 0').get()?.count === 0;
  });
}

const manyFiles = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`f${index}`, `content ${index}`]));

test('what stopped half way goes on: nothing done is sent again, nothing listed is listed again', async () => {
  const files = { ...manyFiles, large: bigFile };
  const tree = treeOf('halfway', files);
  const stop = new AbortController();
  stage.strike('UploadPart(key=halfway/large,part=2):1=500', async () => {
    await untilListed(tree);
    stop.abort();
  });
  await expect(migrate(tree, { signal: stop.signal })).rejects.toMatchObject({
    code: 'interrupted',
    hint: expect.stringContaining(`sealift resume ${jobOf(tree)}`),
  });
  stage.sandbox.setFaults('');
  writeFileSync(join(tree.source, 'late'), 'of no concern to this job');
  const { result, events } = await migrate(tree);
  expect(events.find(({ type }) => type === 'start')).toMatchObject({ resumed: true });
  expect(result).toMatchObject({ objects: 71, failed: 0 });
  expect(namesIn('PutObject', tree)).toEqual(Object.keys(manyFiles).sort());
  expect(namesIn('UploadPart', tree)).toEqual(['large', 'large', 'large']);
  await expectThere(tree, ['f0', 'f69', 'large']);
});

test('of what was being sent when we were killed, a look tells what has arrived; the rest is sealed anew', async () => {
  const tree = treeOf('killed', manyFiles);
  stage.sandbox.setFaults(
    'PutObject(key=killed/f5):1=lose-answer; HeadObject(key=killed/f5):1=500; PutObject(key=killed/f6):1=500',
  );
  await migrate(tree);
  stage.sandbox.setFaults('');
  // As the ledger stands when the process dies between sending and hearing.
  let known = {};
  {
    using ledger = BulkLedger.open(tree.stateDir, jobOf(tree));
    ledger.reopen();
    const rows = [...ledger.inState('done')];
    expect(rows).toHaveLength(70);
    const lost = rows.find(({ name }) => name === 'f7')!;
    const { sealiftId, messageId, format, sealedSize } = lost.target!;
    // Killed once more since, before anybody had looked.
    const target = { sealiftId: 'f1'.repeat(16), format, sealedSize, earlier: [{ sealiftId, messageId }] };
    await ledger.write([{ ...lost, state: 'sending', target }]);
    known = { sealiftId, messageId };
    const never = rows.find(({ name }) => name === 'f8')!;
    await ledger.write([{ ...never, state: 'sending', target: { sealiftId: 'f0'.repeat(16), format, sealedSize } }]);
  }
  await stage.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'killed/f8' }));
  const { result } = await migrate(tree);
  expect(result).toMatchObject({ objects: 70, failed: 0, skipped: 0 });
  using ledger = BulkLedger.open(tree.stateDir, jobOf(tree));
  expect([...ledger.inState('done')].find(({ name }) => name === 'f7')!.target).toMatchObject(known);
  const sent = namesIn('PutObject', tree);
  expect(sent.filter((name) => ['f5', 'f7', 'f8'].includes(name))).toEqual(['f7', 'f8', 'f8']);
  // Its answer was lost, and a later look told that it was there.
  expect(stage.requests.filter(({ operation, key }) => operation === 'PutObject' && key === 'killed/f5')).toHaveLength(
    1,
  );
  await expectThere(tree, ['f5', 'f6', 'f7', 'f8']);
});

test('an object has its id in the ledger before a byte of it is sent', async () => {
  const tree = treeOf('promised', { a: 'one' });
  let promised: unknown;
  stage.strike('PutObject(key=promised/a):1=500', () => {
    using db = new DatabaseSync(join(tree.stateDir, `${jobOf(tree)}.db`), { readOnly: true });
    promised = db.prepare("SELECT state, target ->> 'sealiftId' AS id FROM objects").get();
  });
  await migrate(tree);
  stage.sandbox.setFaults('');
  expect(promised).toEqual({ state: 'sending', id: expect.stringMatching(/^[0-9a-f]{32}$/) });
});

test('what fails stops no other, and is tried again when it is asked for', async () => {
  const tree = treeOf('failing', { ...manyFiles, 'no/entry': 'x', large: bigFile });
  symlinkSync('f1', join(tree.source, 'link'));
  chmodSync(join(tree.source, 'f3'), 0);
  const denied =
    'PutObject(key=failing/f1):1=AccessDenied; PutObject(key=failing/f2):*=500; UploadPart(key=failing/large):*=AccessDenied';
  stage.sandbox.setFaults(denied);
  const { result, events } = await migrate(tree);
  stage.sandbox.setFaults('');
  // The superuser reads what nobody may.
  const unreadable = process.getuid?.() === 0 ? {} : { 'source-unreadable': 1 };
  const failures = { 'access-denied': 2, ...unreadable, 'source-not-a-file': 1, 'store-unavailable': 1 };
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  expect(result).toMatchObject({ objects: 73 - failed, failed, failures });
  const told = events.filter((event) => event.type === 'object' && event.outcome === 'failed');
  expect(told).toHaveLength(failed);
  expect(stage.requests.filter(({ operation, key }) => operation === 'PutObject' && key === 'failing/f2')).toHaveLength(
    3,
  );
  chmodSync(join(tree.source, 'f3'), 0o644);
  const again = await migrate(tree, { retryFailed: true });
  expect(again.result).toMatchObject({ objects: 72, failed: 1, failures: { 'source-not-a-file': 1 } });
  await expectThere(tree, ['f1', 'f2', 'f3', 'large']);
});

test('what would fail every object pauses the job, which goes on when it is mended', async () => {
  const tree = treeOf('paused', manyFiles);
  stage.sandbox.setFaults('PutObject(key=paused/f30):*=NoSuchBucket');
  await expect(migrate(tree)).rejects.toMatchObject({
    code: 'bucket-not-found',
    hint: expect.stringContaining('sealift resume migrate-'),
  });
  stage.sandbox.setFaults('');
  expect(stage.shared.job(jobOf(tree)).objects).toMatchObject({ failed: { count: 0 } });
  expect((await migrate(tree)).result).toMatchObject({ objects: 70, failed: 0 });
  expect(namesIn('PutObject', tree)).toEqual(Object.keys(manyFiles).sort());
});

test('what is there and the same is skipped, what is not is left alone or, where that is asked for, replaced', async () => {
  const tree = treeOf('again', { same: 'same', other: 'one', large: bigFile, 'other large': bigFile });
  await migrate(tree);
  writeFileSync(join(tree.source, 'other'), 'another');
  writeFileSync(join(tree.source, 'other large'), Buffer.alloc(bigFile.length, 'changed'));
  writeFileSync(join(tree.source, 'new'), 'new');
  const sentBefore = namesIn('PutObject', tree).length;
  const { result } = await migrate(tree);
  expect(result).toMatchObject({ objects: 1, skipped: 2, failed: 2, failures: { 'target-exists': 2 } });
  expect(namesIn('PutObject', tree)).toHaveLength(sentBefore + 1);
  await expect(expectThere(tree, ['other'])).rejects.toThrow();
  const replaced = await migrate(tree, { overwrite: true });
  expect(replaced.result).toMatchObject({ objects: 2, skipped: 3, failed: 0 });
  await expectThere(tree, ['same', 'other', 'new', 'large', 'other large']);
});

test('cancelled, it leaves no upload behind, and what is done stays', async () => {
  const tree = treeOf('cancelled', { small: 'small', large: bigFile });
  const stop = new AbortController();
  stage.strike('UploadPart(key=cancelled/large,part=2):1=500', () => stop.abort());
  await expect(migrate(tree, { signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' });
  stage.sandbox.setFaults('');
  expect(await stage.uploadIds({ key: 'cancelled/large' } as Plot)).toHaveLength(1);
  expect(await stage.shared.cancel(jobOf(tree))).toBe('cancelled');
  expect(await stage.uploadIds({ key: 'cancelled/large' } as Plot)).toEqual([]);
  expect(stage.shared.job(jobOf(tree)).state).toBe('cancelled');
  await expectThere(tree, ['small']);
});

test('a target that is no bucket, a source that is no directory, options of no meaning: one error, and no job', async () => {
  const tree = treeOf('refused', { a: 'a' });
  const refusals: [string, Partial<MigrateRequest>][] = [
    ['bucket-not-found', { target: 's3://nobody/here' }],
    ['bad-url', { target: 'here' }],
    ['source-not-found', { source: join(tree.source, 'nothing') }],
    ['source-not-a-directory', { source: join(tree.source, 'a') }],
    ['bad-option', { format: 's3ec', sign: true }],
    ['bad-option', { metadata: { 'sealift-id': 'mine' } }],
    ['no-such-job', { retryFailed: true }],
  ];
  const before = stage.shared.jobs().length;
  for (const [code, request] of refusals) {
    await expect(migrate(tree, request)).rejects.toMatchObject({ code });
  }
  expect(stage.shared.jobs()).toHaveLength(before);
});

test('a whole tree goes into a directory, too, under S3 Encryption Client headers or signed', async () => {
  const tree = treeOf('onto disk', { 'a b': 'one', 'sub/ü%?#': 'two', large: bigFile });
  const disk = pathToFileURL(join(stage.folder, 'disk dir')).href;
  const onDisk = { ...tree, target: `${disk}/` };
  expect((await migrate(onDisk, { target: disk })).result).toMatchObject({ objects: 3, failed: 0 });
  await expectThere({ ...onDisk, target: `${disk}/sub/`, source: join(tree.source, 'sub') }, []);
  expect((await migrate(onDisk)).result).toMatchObject({ objects: 0, skipped: 3 });
  for (const sealed of [{ format: 's3ec' }, { sign: true }] as const) {
    const target = `s3://${BUCKET}/${Object.keys(sealed)[0]}/`;
    expect((await migrate({ ...tree, target }, sealed)).result).toMatchObject({ objects: 3, failed: 0 });
    await expectThere({ ...tree, target }, ['a b', 'large']);
  }
});

test('sources are deleted after what was made of them has proven itself, and no others', async () => {
  const tree = treeOf('swept', {
    a: 'one',
    'sub/b': 'two',
    damaged: 'three',
    written: 'four',
    foreign: 'five',
    large: bigFile,
  });
  const { target } = tree;
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'swept/foreign', Body: 'somebody else' }));
  stage.sandbox.setFaults('GetObject(key=swept/damaged):*=corrupt@20');
  const { result } = await migrate(tree, {
    deleteSource: true,
    onEvent(event) {
      // Between its sealing and its deletion somebody writes to it.
      if (event.type === 'object' && event.name === 'written') writeFileSync(join(tree.source, 'written'), 'anew');
    },
  });
  stage.sandbox.setFaults('');
  expect(result).toMatchObject({ objects: 5, failed: 1, failures: { 'target-exists': 1 } });
  const left = readdirSync(tree.source, { recursive: true }).sort();
  expect(left).toEqual(['damaged', 'foreign', 'sub', 'written']);
  expect(result.warnings.join()).toContain('not deleted at its source');
  const back = join(stage.folder, 'back');
  rmSync(back, { force: true });
  await stage.shared.get({ source: `${target}a`, target: back });
  expect(readFileSync(back, 'utf8')).toBe('one');
});

test('a source that has changed since we were killed is sealed as it is now, before it is deleted', async () => {
  const tree = treeOf('rewritten', { a: 'one' });
  await migrate(tree);
  {
    using ledger = BulkLedger.open(tree.stateDir, jobOf(tree));
    ledger.reopen();
    const [row] = ledger.inState('done');
    await ledger.write([{ ...row!, state: 'sending' }]);
  }
  // What has arrived before the crash is of bytes that the file no longer has.
  writeFileSync(join(tree.source, 'a'), 'another');
  const { result } = await migrate(tree, { deleteSource: true });
  expect(result).toMatchObject({ objects: 1, failed: 0, skipped: 0, warnings: [] });
  expect(readdirSync(tree.source)).toEqual([]);
  const back = join(stage.folder, 'back');
  rmSync(back, { force: true });
  await stage.shared.get({ source: `${tree.target}a`, target: back });
  expect(readFileSync(back, 'utf8')).toBe('another');
});

test('what keeps every object from being opened pauses the deletion, which goes on when it is mended', async () => {
  const tree = treeOf('unswept', { a: 'one', b: 'two' });
  stage.sandbox.setFaults('GetObject(key=unswept/a):*=NoSuchBucket');
  await expect(migrate(tree, { deleteSource: true })).rejects.toMatchObject({ code: 'bucket-not-found' });
  stage.sandbox.setFaults('');
  expect(readdirSync(tree.source)).toContain('a');
  const { result } = await migrate(tree, { deleteSource: true });
  expect(result).toMatchObject({ objects: 2, failed: 0, warnings: [] });
  expect(readdirSync(tree.source)).toEqual([]);
  expect(namesIn('PutObject', tree)).toEqual(['a', 'b']);
});
