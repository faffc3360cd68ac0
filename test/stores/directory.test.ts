/** What is the directory store's alone: what lies in the directory, and what somebody else may have put there. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, it, test } from 'vitest';
import { DirectoryStore } from '../../src/stores/directory.ts';
import { directoryError } from '../../src/stores/directory-files.ts';
import { readWhole, slicesOf } from '../../src/stores/object-stream.ts';
import type { WriteCondition } from '../../src/stores/store.ts';
import { collect, NEW, put, storeContract, upload } from './contract.ts';

const root = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const MIN_PART_SIZE = 64 * 1024;
let count = 0;
let directory: string;
let store: DirectoryStore;

beforeEach(() => {
  directory = join(root, String(count++));
  mkdirSync(directory);
  store = new DirectoryStore({ directory });
});
afterAll(() => rmSync(root, { recursive: true }));

storeContract('a directory', async () => {
  const directory = mkdtempSync(join(root, 'contract-'));
  return { store: new DirectoryStore({ directory }), minPartSize: MIN_PART_SIZE, flat: true, close: async () => {} };
});

const bodies = () => [randomBytes(MIN_PART_SIZE), randomBytes(MIN_PART_SIZE), randomBytes(100)];
const names = () => readdirSync(directory).sort();
const HEADERS = expect.stringMatching(/^\.x\.sealift-[0-9a-f]{16}\.json$/);
const readKey = async (key: string) => readWhole(await store.read(key, { first: 0, last: Number.MAX_SAFE_INTEGER }));

describe('in the directory', () => {
  test('bytes are read in slices of the size that is asked for', async () => {
    await put(store, 'x', randomBytes(1000));
    const sizes: number[] = [];
    for await (const slice of slicesOf(await store.read('x', { first: 50, last: 999 }), 300)) sizes.push(slice.length);
    expect(sizes).toEqual([300, 300, 300, 50]);
  });

  test.skipIf(process.platform !== 'linux')('no file stays open, however a read ends', async () => {
    await put(store, 'x', randomBytes(1000));
    const path = join(directory, 'x');
    const openCount = () =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === path;
        } catch {
          // That of the listing itself, and what others have closed meanwhile.
          return false;
        }
      }).length;
    for await (const _ of slicesOf(await store.read('x', { first: 0, last: 999 }), 100)) {
      expect(openCount()).toBe(1);
      break;
    }
    await readKey('x');
    await expect(store.read('x', { first: 0, last: 999 }, { ifMatch: '"other"' })).rejects.toThrow();
    await expect(store.read('x', { first: 1000, last: 2000 })).rejects.toThrow();
    const cut = AbortSignal.abort();
    await expect(store.read('x', { first: 0, last: 999 }, { signal: cut })).rejects.toThrow();
    await store.head('x');
    await store.headers('x');
    expect(openCount()).toBe(0);
  });

  test('an object is a file of its bytes, and one hidden file of headers', async () => {
    const { whole, ...sent } = await upload(store, 'x', bodies());
    await store.completeUpload('x', sent);
    expect(names()).toEqual([HEADERS, 'x']);
    expect(readFileSync(join(directory, 'x')).equals(whole)).toBe(true);
  });

  test('headers of all kinds are kept, and a replaced object leaves none', async () => {
    const headers = { metadata: { a: 'b' }, contentType: 'text/x', storageClass: 'GLACIER', tags: { team: 'a & b' } };
    await put(store, 'x', Buffer.from('before'));
    await store.putObject('x', Buffer.from('after'), { ...headers, crc32: crc32('after'), condition: {} });
    const { tags, ...shown } = headers;
    expect(await store.head('x')).toMatchObject(shown);
    expect(names()).toEqual([HEADERS, 'x']);
    expect(JSON.parse(readFileSync(join(directory, names()[0]!), 'utf8'))).toMatchObject({ tags });
  });

  test('an upload is hidden and private, and leaves nothing when aborted', async () => {
    const { uploadId } = await upload(store, 'x', bodies());
    expect(names()).toEqual([`.x.sealift-${uploadId}`]);
    expect(lstatSync(join(directory, names()[0]!)).mode & 0o777).toBe(0o700);
    await store.abortUpload('x', uploadId);
    expect(names()).toEqual([]);
  });

  test('a refused write leaves nothing', async () => {
    await put(store, 'x', Buffer.from('first'));
    const sent = await upload(store, 'x', bodies());
    await expect(store.completeUpload('x', sent)).rejects.toMatchObject({ code: 'target-exists' });
    await expect(put(store, 'x', Buffer.from('second'), NEW)).rejects.toMatchObject({ code: 'target-exists' });
    await expect(put(store, 'x', Buffer.from('third'), { ifMatch: '"0"' })).rejects.toMatchObject({
      code: 'target-changed',
    });
    await store.abortUpload('x', sent.uploadId);
    expect(names()).toEqual([HEADERS, 'x']);
  });

  test('a directory keeps its objects when it is moved or copied', async () => {
    await store.putObject('x', Buffer.from('x'), { metadata: { a: 'b' }, crc32: crc32('x'), condition: NEW });
    renameSync(directory, `${directory}-moved`);
    cpSync(`${directory}-moved`, directory, { recursive: true });
    for (const place of [directory, `${directory}-moved`]) {
      expect(await new DirectoryStore({ directory: place }).head('x')).toMatchObject({ metadata: { a: 'b' }, size: 1 });
    }
  });

  test.each([
    ['other bytes', () => writeFileSync(join(directory, 'x'), 'other')],
    ['more bytes', () => writeFileSync(join(directory, 'x'), '+', { flag: 'a' })],
    [
      'damaged headers',
      () => writeFileSync(join(directory, names()[0]!), '{"size":5000,"crc32":0,"metadata":{"a":1}}'),
    ],
    ['no headers', () => rmSync(join(directory, names()[0]!))],
  ])('an object that somebody gave %s has no headers', async (_, change) => {
    const body = randomBytes(5000);
    const { etag } = await store.putObject('x', body, { metadata: { a: 'b' }, crc32: crc32(body), condition: NEW });
    change();
    expect(await store.head('x')).toMatchObject({ metadata: {}, crc32: undefined });
    const isChanged = !readFileSync(join(directory, 'x')).equals(body);
    expect((await store.head('x'))?.etag === etag).toBe(!isChanged);
  });
});

describe('names', () => {
  it.each([
    ['a', ''],
    ['another object’s', '.json'],
  ])('that are %s hidden one are refused', async (_, end) => {
    await expect(put(store, `.x.sealift-${'0'.repeat(16)}${end}`, Buffer.from('x'))).rejects.toMatchObject({
      code: 'bad-url',
    });
  });

  it('may have 220 bytes, and not one more', async () => {
    const long = 'é'.repeat(110);
    const { whole, ...sent } = await upload(store, long, bodies());
    await store.completeUpload(long, sent);
    expect((await readKey(long)).equals(whole)).toBe(true);
    await expect(put(store, `${long}x`, Buffer.from('x'))).rejects.toMatchObject({ code: 'bad-url' });
  });
});

describe('links and other things in the way', () => {
  const elsewhere = () => join(directory, 'elsewhere');

  beforeEach(() => writeFileSync(elsewhere(), 'not ours'));

  test('an object that is a link is not read, and what it points at is never written', async () => {
    symlinkSync(elsewhere(), join(directory, 'x'));
    await expect(store.head('x')).rejects.toMatchObject({ code: 'store-error' });
    await expect(readKey('x')).rejects.toMatchObject({ code: 'store-error' });
    await expect(put(store, 'x', Buffer.from('ours'), NEW)).rejects.toMatchObject({ code: 'store-error' });
    expect(readFileSync(elsewhere(), 'utf8')).toBe('not ours');
  });

  test('a link planted for the headers is replaced, not followed', async () => {
    await put(store, 'x', Buffer.from('ours'));
    const headers = join(directory, names().find((name) => name.endsWith('.json'))!);
    rmSync(headers);
    symlinkSync(elsewhere(), headers);
    await put(store, 'x', Buffer.from('ours'));
    expect(readFileSync(elsewhere(), 'utf8')).toBe('not ours');
    expect(lstatSync(headers).isFile()).toBe(true);
  });

  test('an upload whose folder or file became a link is lost', async () => {
    for (const inside of ['', 'object']) {
      const sent = await upload(store, 'x', bodies());
      const folder = join(directory, `.x.sealift-${sent.uploadId}`);
      const path = join(folder, inside);
      renameSync(path, join(directory, `moved${inside}`));
      symlinkSync(join(directory, `moved${inside}`), path);
      await expect(store.completeUpload('x', sent)).rejects.toMatchObject({
        code: expect.stringMatching(/upload-lost|store-error/),
      });
      expect(await store.head('x')).toBeUndefined();
      await store.abortUpload('x', sent.uploadId);
      expect(lstatSync(join(directory, `moved${inside}`)).isSymbolicLink()).toBe(false);
    }
    expect(readdirSync(join(directory, 'moved'))).toContain('object');
    expect(() => readlinkSync(join(directory, 'x'))).toThrow();
  });

  test('a pipe or a folder of the name is no object, and nothing hangs', async () => {
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    mkdirSync(join(directory, 'folder'));
    for (const key of ['pipe', 'folder']) {
      await expect(store.head(key)).rejects.toMatchObject({ code: 'store-error', hint: expect.stringMatching(/\.$/) });
      await expect(put(store, key, Buffer.from('x'), NEW)).rejects.toMatchObject({ code: 'store-error' });
    }
  });

  test('files that are not ours are not touched', async () => {
    const strange = ['.x.sealift-', '.x.sealift-zzzzzzzzzzzzzzzz', `.xx.sealift-${'0'.repeat(16)}`];
    for (const name of strange) mkdirSync(join(directory, name));
    expect(await collect(store.listUploads('x'))).toEqual([]);
    for (const id of ['', '../x', 'zzzzzzzzzzzzzzzz']) await store.abortUpload('x', id);
    expect(names()).toEqual([...strange, 'elsewhere'].sort());
  });
});

describe('a part', () => {
  const body = randomBytes(MIN_PART_SIZE);
  const part = { number: 1, offset: 0, body, crc32: crc32(body) };

  test('that is being sent again does not count until it is there', async () => {
    const uploadId = await store.createUpload('x', { metadata: {} });
    await store.sendPart('x', { ...part, uploadId });
    const broken = {
      byteLength: body.length,
      async *slices() {
        yield body.subarray(0, 100);
        throw new Error('the process died');
      },
    };
    await expect(store.sendPart('x', { ...part, uploadId, body: broken })).rejects.toThrow('died');
    expect(await collect(store.listParts('x', uploadId))).toEqual([]);
  });

  test('whose note is torn does not count', async () => {
    const uploadId = await store.createUpload('x', { metadata: {} });
    await store.sendPart('x', { ...part, uploadId });
    await store.sendPart('x', { ...part, uploadId, number: 2, offset: body.length });
    const file = openSync(join(directory, `.x.sealift-${uploadId}`, 'parts'), 'r+');
    writeSync(file, Buffer.alloc(10), 0, 10, 4);
    closeSync(file);
    expect((await collect(store.listParts('x', uploadId))).map(({ number }) => number)).toEqual([2]);
    truncateSync(join(directory, `.x.sealift-${uploadId}`, 'parts'), 40);
    expect(await collect(store.listParts('x', uploadId))).toEqual([]);
  });

  test('is not written into an object that has its name already', async () => {
    const sent = await upload(store, 'x', bodies());
    linkSync(join(directory, `.x.sealift-${sent.uploadId}`, 'object'), join(directory, 'x'));
    const again = store.sendPart('x', { ...part, uploadId: sent.uploadId });
    await expect(again).rejects.toMatchObject({ code: 'upload-lost' });
    expect(readFileSync(join(directory, 'x')).equals(sent.whole)).toBe(true);
  });

  test('that comes in slices is one', async () => {
    const uploadId = await store.createUpload('x', { metadata: {} });
    async function* slices() {
      for (let offset = 0; offset < body.length; offset += 1000) yield body.subarray(offset, offset + 1000);
    }
    const sent = await store.sendPart('x', { ...part, uploadId, body: { byteLength: body.length, slices } });
    const parts = [{ number: 1, crc32: part.crc32, ...sent }];
    const { length: size } = body;
    await store.completeUpload('x', { uploadId, parts, size, crc32: part.crc32, condition: NEW });
    expect((await readKey('x')).equals(body)).toBe(true);
  });

  test('in the wrong place, or cut off on the disk, is not completed', async () => {
    const { whole, ...sent } = await upload(store, 'x', bodies());
    const swapped = { ...sent, parts: [sent.parts[1]!, sent.parts[0]!, sent.parts[2]!] };
    await expect(store.completeUpload('x', swapped)).rejects.toMatchObject({ code: 'store-error' });
    truncateSync(join(directory, `.x.sealift-${sent.uploadId}`, 'object'), whole.length - 1);
    await expect(store.completeUpload('x', sent)).rejects.toMatchObject({ code: 'store-error' });
    expect(await store.head('x')).toBeUndefined();
  });
});

/** A directory that is renamed, with another in its place, is what a mount point is without its disk. */
describe('an upload on a disk that is not mounted', () => {
  const disk = () => `${directory}-disk`;

  test.each([
    ['empty', () => mkdirSync(directory)],
    ['missing', () => {}],
  ])('is not gone where the mount point is %s, and goes on once it is mounted', async (_name, leave) => {
    const { whole, ...sent } = await upload(store, 'x', bodies());
    renameSync(directory, disk());
    leave();
    const { uploadId } = sent;
    const part = { uploadId, number: 1, offset: 0, body: Buffer.from('x'), crc32: crc32('x') };
    const unmounted = { code: 'bucket-not-found', hint: expect.stringMatching(/mount/) };
    await expect(collect(store.listParts('x', uploadId))).rejects.toMatchObject(unmounted);
    await expect(store.sendPart('x', part)).rejects.toMatchObject(unmounted);
    await expect(store.completeUpload('x', sent)).rejects.toMatchObject(unmounted);
    await expect(store.abortUpload('x', uploadId)).rejects.toMatchObject(unmounted);
    rmSync(directory, { recursive: true, force: true });
    renameSync(disk(), directory);
    await store.completeUpload('x', sent);
    expect((await readKey('x')).equals(whole)).toBe(true);
  });

  test('is found in it whatever device that has now', async () => {
    const { whole, ...sent } = await upload(store, 'x', bodies());
    cpSync(directory, disk(), { recursive: true });
    const remounted = new DirectoryStore({ directory: disk() });
    expect(await collect(remounted.listParts('x', sent.uploadId))).toHaveLength(3);
    await remounted.completeUpload('x', sent);
    expect(readFileSync(join(disk(), 'x')).equals(whole)).toBe(true);
  });
});

describe('several at once', () => {
  const race = async (condition: WriteCondition) => {
    const writers = await Promise.all(Array.from({ length: 4 }, () => upload(store, 'x', bodies())));
    const outcomes = await Promise.allSettled(writers.map((sent) => store.completeUpload('x', { ...sent, condition })));
    const done = writers.filter((_, index) => outcomes[index]!.status === 'fulfilled');
    const there = await store.head('x');
    const bytes = await readKey('x');
    const winner = done.find(({ whole }) => whole.equals(bytes));
    expect(there).toMatchObject({ crc32: winner?.crc32, metadata: { 'sealift-id': 'abc' } });
    return done.length;
  };

  test('a new name is taken by one of them', async () => {
    for (let times = 0; times < 5; times++) {
      expect(await race(NEW)).toBe(1);
      rmSync(join(directory, 'x'));
    }
  });

  test('an object is replaced by one of them, whole', async () => {
    for (let times = 0; times < 5; times++) {
      const { etag } = await put(store, 'x', randomBytes(10));
      expect(await race({ ifMatch: etag })).toBeGreaterThanOrEqual(1);
    }
  });

  test('a reader keeps the object it began with', async () => {
    const body = randomBytes(600_000);
    await put(store, 'x', body);
    const stream = await store.read('x', { first: 0, last: body.length - 1 });
    await put(store, 'x', randomBytes(10));
    expect((await readWhole(stream)).equals(body)).toBe(true);
  });

  test('a file cut off while it is read is another object', async () => {
    await put(store, 'x', randomBytes(600_000));
    const stream = await store.read('x', { first: 0, last: 599_999 });
    truncateSync(join(directory, 'x'), 1000);
    await expect(readWhole(stream)).rejects.toMatchObject({ code: 'object-changed' });
  });
});

describe('errors', () => {
  const part = { uploadId: '0'.repeat(16), number: 1, offset: 0, body: Buffer.from('x'), crc32: crc32('x') };
  const calls: [name: string, call: (store: DirectoryStore) => Promise<unknown>, code: string][] = [
    ['head', (store) => store.head('x'), 'bucket-not-found'],
    ['put', (store) => put(store, 'x', Buffer.from('x')), 'bucket-not-found'],
    ['create', (store) => store.createUpload('x', { metadata: {} }), 'bucket-not-found'],
    ['list', (store) => collect(store.listUploads('x')), 'bucket-not-found'],
    ['read', (store) => store.read('x', { first: 0, last: 0 }), 'bucket-not-found'],
    ['a part', (store) => store.sendPart('x', part), 'bucket-not-found'],
    ['list parts', (store) => collect(store.listParts('x', part.uploadId)), 'bucket-not-found'],
    ['abort', (store) => store.abortUpload('x', part.uploadId), 'bucket-not-found'],
  ];

  test.each(calls)('%s without the directory', async (_name, call, code) => {
    await expect(call(new DirectoryStore({ directory: join(directory, 'no') }))).rejects.toMatchObject({ code });
  });

  test('a file is no directory', async () => {
    writeFileSync(join(directory, 'file'), '');
    const inFile = new DirectoryStore({ directory: join(directory, 'file') });
    await expect(inFile.head('x')).rejects.toMatchObject({ code: 'bucket-not-found' });
  });

  test.each([
    ['ENOSPC', 'disk-full'],
    ['EDQUOT', 'disk-full'],
    ['EACCES', 'access-denied'],
    ['EROFS', 'target-unwritable'],
    ['EIO', 'store-error'],
  ])('%s is %s, with a remedy', (systemCode, code) => {
    const place = { directory, name: 'x', path: join(directory, 'x'), url: 'file:///x' };
    const cause = Object.assign(new Error('the system says no'), { code: systemCode });
    const error = directoryError(cause, 'Put', place);
    expect(error).toMatchObject({ code, cause, hint: expect.stringMatching(/\.$/) });
    expect(error.message).toContain('file:///x');
  });

  test.skipIf(process.getuid?.() === 0)('a directory that is not ours to write (skipped for root)', async () => {
    execFileSync('chmod', ['500', directory]);
    await expect(put(store, 'x', Buffer.from('x'))).rejects.toMatchObject({ code: 'access-denied' });
    expect(statSync(directory).mode & 0o777).toBe(0o500);
  });

  test.each([
    ['metadata than S3 keeps', { metadata: { a: 'b'.repeat(2048) } }],
    ['tags than any object needs', { metadata: {}, tags: { a: 'b'.repeat(70_000) } }],
  ])('more %s', async (_name, headers) => {
    const options = { ...headers, crc32: crc32('x'), condition: NEW };
    await expect(store.putObject('x', Buffer.from('x'), options)).rejects.toMatchObject({ code: 'metadata-too-large' });
    await expect(store.createUpload('x', options)).rejects.toMatchObject({ code: 'metadata-too-large' });
    expect(names()).toEqual([]);
  });
});
