/** What the sources of a migration list: whatever it is called, with size and time, and nothing that is not there. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BucketSource } from '../../src/migrate/sources/bucket.ts';
import { DirectorySource } from '../../src/migrate/sources/directory.ts';
import { NamesSource } from '../../src/migrate/sources/names.ts';
import { openStore, resolveStore } from '../../src/stores/open.ts';
import type { Store } from '../../src/stores/store.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';
import { all, filterOf, listed, namesOf, refusalsOf } from './listed.ts';

let tree: string;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'sealift-sources-'));
  for (const folder of ['a/b', 'empty', 'skipped/deep']) mkdirSync(join(tree, folder), { recursive: true });
  for (const name of ['one', 'a/two', 'a/b/three', 'skipped/four', 'skipped/deep/five']) {
    writeFileSync(join(tree, name), name);
    utimesSync(join(tree, name), 1000, 2000.25);
  }
});
afterAll(() => rmSync(tree, { recursive: true }));

describe('a directory', () => {
  test('is listed with sizes and times, folder by folder', async () => {
    const { objects, sections } = await listed(new DirectorySource(tree));
    const inode = String(statSync(join(tree, 'a/b/three')).ino);
    expect(objects).toContainEqual({ name: 'a/b/three', size: 9, mtimeNs: '2000250000000', inode });
    expect(objects).toHaveLength(5);
    expect([...sections].sort()).toEqual(['', 'a/', 'a/b/', 'empty/', 'skipped/', 'skipped/deep/']);
  });

  test('is not walked where nothing is wanted', async () => {
    const { objects, sections } = await listed(new DirectorySource(tree), filterOf({ exclude: ['/skipped/', 'one'] }));
    expect(objects.map(({ name }) => name).sort()).toEqual(['a/b/three', 'a/two']);
    expect(sections).not.toContain('skipped/');
    expect(await namesOf(new DirectorySource(tree), filterOf({ minSize: 9 }))).toContain('a/b/three');
    expect(await namesOf(new DirectorySource(tree), filterOf({ maxAgeMs: 0 }))).toEqual([]);
  });

  test('of which a folder vanished while it was listed lacks only that', async () => {
    const source = new DirectorySource(tree);
    for await (const _ of source.pages('gone/', undefined, { filter: all })) expect.unreachable();
  });

  test('that is not there, or no directory, is an error', async () => {
    for (const path of [join(tree, 'nothing'), join(tree, 'one')]) {
      await expect(listed(new DirectorySource(path))).rejects.toMatchObject({ code: 'source-unreadable' });
    }
  });

  test('stops with its signal', async () => {
    const source = new DirectorySource(tree);
    const pages = source.pages('', undefined, { filter: all, signal: AbortSignal.abort() });
    await expect(pages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('has links, pipes, sockets and names that are no text, and each is refused by name', async () => {
    const odd = mkdtempSync(join(tmpdir(), 'sealift-odd-'));
    const server = createServer();
    try {
      symlinkSync('/etc/hostname', join(odd, 'link'));
      symlinkSync(odd, join(odd, 'around'));
      symlinkSync('nowhere', join(odd, 'dangling'));
      execFileSync('mkfifo', [join(odd, 'fifo')]);
      await new Promise<void>((done) => server.listen(join(odd, 'socket'), done));
      const latin = Buffer.concat([Buffer.from(join(odd, 'caf')), Buffer.from([0xe9])]);
      writeFileSync(latin, 'x');
      mkdirSync(Buffer.concat([latin, Buffer.from([0xff])]));
      // A real file whose name is how the other's is shown stays a file of its own.
      writeFileSync(join(odd, 'caf\\xe9'), 'x');
      const source = new DirectorySource(odd);
      expect(await namesOf(source)).toEqual(['caf\\xe9']);
      const kind = 'source-not-a-file';
      expect(await refusalsOf(source)).toEqual({
        './caf\\xe9': 'bad-name',
        './caf\\xe9\\xff': 'bad-name',
        around: kind,
        dangling: kind,
        fifo: kind,
        link: kind,
        socket: kind,
      });
      expect(await refusalsOf(new DirectorySource(odd), filterOf({ include: ['fifo'] }))).toEqual({ fifo: kind });
    } finally {
      server.close();
      rmSync(odd, { recursive: true });
    }
  });

  test.skipIf(process.getuid?.() === 0)('has a folder that may not be read (skipped as root)', async () => {
    const closed = join(tree, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0);
    const source = new DirectorySource(tree);
    const pages = source.pages('closed/', undefined, { filter: all })[Symbol.asyncIterator]();
    await expect(pages.next()).rejects.toMatchObject({ code: 'source-unreadable' });
    rmSync(closed, { recursive: true });
  });
});

async function* bytesOf(...chunks: string[]): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
}

describe('a list of names', () => {
  const source = (...chunks: string[]) => new NamesSource({ directory: tree }, () => bytesOf(...chunks));

  test('is read across its chunks, with or without a NUL at its end', async () => {
    expect(await namesOf(source('./on', 'e\0a/', 'two\0./a/b/three'))).toEqual(['a/b/three', 'a/two', 'one']);
    expect(await namesOf(source(''))).toEqual([]);
  });

  test('goes on behind the names that are known', async () => {
    const pages = source('one\0a/two\0a/b/three\0').pages('', '2', { filter: all });
    const seen = [];
    for await (const page of pages) seen.push(...page.objects.map(({ name }) => name), page.cursor);
    expect(seen).toEqual(['a/b/three', '3']);
  });

  test('tells of what is not there, is no file, or lies elsewhere', async () => {
    expect(await refusalsOf(source('nothing\0a\0../one\0/etc/hostname\0a//two\0\0a/./two\0caf\xe9\0one/x\0'))).toEqual({
      nothing: 'source-not-found',
      'one/x': 'source-not-found',
      a: 'source-not-a-file',
      './': 'bad-name',
      './../one': 'bad-name',
      './/etc/hostname': 'bad-name',
      './a//two': 'bad-name',
      './a/./two': 'bad-name',
      './caf\\xe9': 'bad-name',
    });
  });

  test('without NULs is none', async () => {
    await expect(listed(source('one\n'.repeat(20_000)))).rejects.toMatchObject({ code: 'bad-manifest' });
  });
});

describe('a bucket', () => {
  const keys = [
    'photos/',
    'photos/1',
    'photos/a+b %.jpg',
    'photos/x//y',
    'photos/../z',
    'photos/folder/',
    'photos-old/2',
  ];
  let stage: Stage;
  let store: Store;

  beforeAll(async () => {
    stage = await openStage();
    const { settings, credentials } = await resolveStore({ bucket: BUCKET, key: '' }, {});
    store = await openStore(settings, { credentials, onRetry: () => {}, bandwidth: undefined });
    for (const Key of keys) await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: Key }));
  });
  afterAll(async () => {
    store.close();
    await stage.close();
  });

  test("has the objects behind its prefix, whatever their keys, and not the folder's own mark", async () => {
    const { objects } = await listed(new BucketSource(store, 'photos/'));
    expect(objects.map(({ name }) => name)).toEqual(['../z', '1', 'a+b %.jpg', 'folder/', 'x//y']);
    expect(objects[1]).toEqual({ name: '1', size: 8, etag: expect.any(String), lastModified: expect.any(Date) });
    expect(await namesOf(new BucketSource(store, ''), filterOf({ include: ['/photos-old/**'] }))).toEqual([
      'photos-old/2',
    ]);
  });

  test('goes on behind a page', async () => {
    const pages = [];
    for await (const page of new BucketSource(store, 'photos/').pages('', 'photos/a+b %.jpg', { filter: all }))
      pages.push(page);
    expect(pages).toMatchObject([{ objects: [{ name: 'folder/' }, { name: 'x//y' }], cursor: 'photos/x//y' }]);
  });

  test('is asked for each name of a list, of which any may be a key', async () => {
    const list = () => bytesOf('1\0../z\0nothing\0\0');
    const source = new NamesSource({ store, prefix: 'photos/' }, list);
    expect(await namesOf(source)).toEqual(['../z', '1']);
    expect(await refusalsOf(source)).toEqual({ './': 'bad-name', nothing: 'object-not-found' });
  });
});
