/** The way back of a migration: sealed objects of a bucket become files under a folder, and nothing outside it. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { JobEvent, MigrateRequest } from '../../src/index.ts';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import { BUCKET, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const LARGE = Buffer.alloc(PART_SIZE + 4 * 1024 * 1024, 'large');

/** A folder of files with these contents, by name; and where it is sealed into, and restored into. */
function treeOf(name: string, files: Record<string, string | Buffer>) {
  const source = join(stage.folder, name);
  for (const [file, content] of Object.entries(files)) {
    const path = join(source, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    utimesSync(path, 1_600_000_000, 1_600_000_000.123456);
  }
  const back = join(stage.folder, `${name} back`);
  return { source, sealed: `s3://${BUCKET}/${name}/`, back };
}

const seal = ({ source, sealed }: ReturnType<typeof treeOf>) => stage.shared.migrate({ source, target: sealed });

async function restore({ sealed, back }: ReturnType<typeof treeOf>, request: Partial<MigrateRequest> = {}) {
  const failures: Record<string, string> = {};
  const onEvent = (event: JobEvent) => {
    if (event.type === 'object' && event.outcome === 'failed') failures[event.name] = event.code!;
  };
  const result = await stage.shared.migrate({ source: sealed, target: back, onEvent, ...request });
  return { result, failures };
}

/** Every file of a tree with all that is kept of it. */
function filesIn(folder: string) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return names.flatMap((name) => {
    const stats = lstatSync(join(folder, name));
    if (stats.isDirectory()) return [];
    return [
      { name, mode: stats.mode & 0o777, mtimeMs: Math.round(stats.mtimeMs), bytes: readFileSync(join(folder, name)) },
    ];
  });
}

test('a tree comes back as it was: bytes, times, permissions', async () => {
  const tree = treeOf('tree', {
    a: 'one',
    'b/c': 'two',
    'b/d/empty': '',
    'b/large': LARGE,
    'b/\u202etxt\n': 'hostile',
  });
  chmodSync(join(tree.source, 'a'), 0o750);
  chmodSync(join(tree.source, 'b/large'), 0o4640);
  await seal(tree);
  const { result, failures } = await restore(tree);
  expect(failures).toEqual({});
  expect(result).toMatchObject({ command: 'migrate', objects: 5, failed: 0, skipped: 0, warnings: [] });
  expect(result.plainBytes).toBe(LARGE.length + 13);
  const files = filesIn(tree.source);
  files.find(({ name }) => name === 'b/large')!.mode = 0o640;
  expect(filesIn(tree.back)).toEqual(files);
  // Once more: all of it is there, and no body is fetched.
  const before = stage.requests.length;
  expect((await restore(tree)).result).toMatchObject({ objects: 0, failed: 0, skipped: 5 });
  const gets = stage.requests
    .slice(before)
    .filter(({ operation, bytesOut }) => operation === 'GetObject' && bytesOut > 20_000);
  expect(gets).toEqual([]);
});

test('a name that leads out of the folder, or to no file, is refused, and all the rest restored', async () => {
  const tree = treeOf('hostile', { good: 'good', 'folder/file': 'in it' });
  await seal(tree);
  const sealed = await stage.stored({ ...tree, key: 'hostile/good', target: '', stateDir: '' });
  const names = ['../out', '/absolute', 'a//b', 'folder/../../out', './dot', 'link/out'];
  const both = ['both', 'both/below'];
  for (const name of [...names, ...both, 'folder']) {
    await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `hostile/${name}`, Body: sealed }));
  }
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'hostile/plain', Body: 'not sealed' }));
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'hostile/nothing', Body: Buffer.alloc(0) }));
  const outside = join(stage.folder, 'outside');
  mkdirSync(outside);
  mkdirSync(tree.back);
  symlinkSync(outside, join(tree.back, 'link'));
  writeFileSync(join(tree.back, 'folder'), 'a file is in the way of the folder');
  const { result, failures } = await restore(tree, { sourceOptions: { allowRelocated: true } });
  // One of the two has the name.
  const [refused] = both.filter((name) => name in failures);
  expect(failures).toEqual({
    ...Object.fromEntries([...names, refused].map((name) => [name, 'bad-name'])),
    folder: 'target-exists',
    'folder/file': 'bad-name',
    plain: 'not-sealed',
    nothing: 'not-sealed',
  });
  expect(result).toMatchObject({ objects: 2, failed: names.length + 5 });
  expect(readdirSync(tree.back).sort()).toEqual(['both', 'folder', 'good', 'link']);
  expect(readdirSync(outside)).toEqual([]);
  expect(existsSync(join(stage.folder, 'out'))).toBe(false);
});

test('one that was moved in the bucket is not taken for another', async () => {
  const tree = treeOf('moved', { a: 'one' });
  await seal(tree);
  const Body = await stage.stored({ key: 'moved/a', source: '', target: '', stateDir: '', back: '' });
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'moved/b', Body }));
  const { result, failures } = await restore(tree);
  expect(failures).toEqual({ b: 'object-relocated' });
  expect(result).toMatchObject({ objects: 1, failed: 1 });
});

test('what stands there stays, unless it is to be replaced', async () => {
  const tree = treeOf('standing', { small: 'new', large: LARGE });
  await seal(tree);
  mkdirSync(tree.back);
  for (const name of ['small', 'large']) writeFileSync(join(tree.back, name), 'older');
  const { failures } = await restore(tree);
  expect(failures).toEqual({ small: 'target-exists', large: 'target-exists' });
  expect(filesIn(tree.back).map(({ bytes }) => bytes.toString())).toEqual(['older', 'older']);
  expect((await restore(tree, { overwrite: true })).result).toMatchObject({ objects: 2, failed: 0 });
  expect(filesIn(tree.back)).toEqual(filesIn(tree.source));
});

test('killed before the ledger heard of it, a file that is there is known again by its bytes', async () => {
  const tree = treeOf('killed', { a: 'one', b: 'two', c: 'three' });
  await seal(tree);
  const { result } = await restore(tree);
  {
    using ledger = BulkLedger.open(join(stage.folder, 'state'), result.job);
    ledger.reopen();
    await ledger.write([...ledger.inState('done')].map((row) => ({ ...row, state: 'sending' as const })));
  }
  // One came to have other times, one was never there, and one is another file.
  utimesSync(join(tree.back, 'a'), 1, 1);
  rmSync(join(tree.back, 'b'));
  writeFileSync(join(tree.back, 'c'), 'other');
  const again = await restore(tree);
  expect(again.result).toMatchObject({ objects: 2, failed: 1 });
  expect(again.failures).toEqual({ c: 'target-exists' });
  expect(filesIn(tree.back).map(({ name, bytes }) => `${name}: ${bytes}`)).toEqual(['a: one', 'b: two', 'c: other']);
});

test('of every format; damaged, none of it is there', async () => {
  const tree = treeOf('formats', {});
  const kinds = { frames: {}, signed: { sign: true }, s3ec: { format: 's3ec' as const } };
  const source = join(stage.folder, 'one file');
  writeFileSync(source, 'of every format');
  for (const [name, how] of Object.entries(kinds)) {
    await stage.shared.put({ source, target: tree.sealed + name, ...how });
    const plot = { key: `formats/${name}`, source, target: '', stateDir: '', back: '' };
    const bytes = await stage.stored(plot);
    bytes[bytes.length - 30]! ^= 1;
    await stage.shared.put({ source, target: `${tree.sealed}damaged ${name}`, ...how });
    const { Metadata } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: plot.key }));
    await stage.s3.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: `formats/damaged ${name}`, Body: bytes, Metadata }),
    );
  }
  const { failures } = await restore(tree, { sourceOptions: { allowRelocated: true } });
  expect(failures).toEqual({
    'damaged frames': 'bad-frame',
    'damaged signed': 'bad-signature',
    'damaged s3ec': 'bad-tag',
  });
  expect(filesIn(tree.back).map(({ name, bytes }) => `${name}: ${bytes}`)).toEqual(
    Object.keys(kinds)
      .sort()
      .map((name) => `${name}: of every format`),
  );
});
