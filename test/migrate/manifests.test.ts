/** Lists that AWS writes: S3 Inventory in both formats and S3 Batch Operations' CSV, in a bucket and fetched to this disk. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openMigrateSource } from '../../src/migrate/sources/open.ts';
import type { ObjectUrl } from '../../src/stores/object-url.ts';
import { openStore, resolveStore } from '../../src/stores/open.ts';
import type { Store } from '../../src/stores/store.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';
import { encodeKey, type InventoryFiles, type InventoryObject, inventoryOf } from './inventory.ts';
import { all, filterOf, listed, namesOf, refusalsOf } from './listed.ts';

const stores: Store[] = [];
async function storeOf(place: ObjectUrl): Promise<Store> {
  const { settings, credentials } = await resolveStore(place, {});
  const store = await openStore(settings, { credentials, onRetry: () => {}, bandwidth: undefined });
  stores.push(store);
  return store;
}
const open = (source: string) => openMigrateSource(source, { storeOf });

let stage: Stage;
let folder: string;

beforeAll(async () => {
  stage = await openStage();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-lists-'));
  return () => rmSync(folder, { recursive: true });
});
afterAll(async () => {
  for (const store of stores) store.close();
  await stage.close();
});

async function upload(files: InventoryFiles): Promise<string> {
  for (const [Key, Body] of files) await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  return `s3://${BUCKET}/${files[0]![0]}`;
}

/** As `aws s3 cp --recursive` leaves it. */
function fetched(files: InventoryFiles): string {
  for (const [key, body] of files) {
    const path = join(folder, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, body);
  }
  return join(folder, files[0]![0]);
}

const WRITTEN = '2026-01-31T10:20:30.000Z';
const odd = ['a b+c%20.txt', 'é/"quoted",\n😀', '..', 'a/', 'x'.repeat(1024)];
const objects: InventoryObject[] = [
  ...odd.map((key, index) => ({ key, size: index, lastModified: WRITTEN, etag: 'd41d8cd9' })),
  { key: 'old', versionId: 'v1', isLatest: false, size: 1, lastModified: WRITTEN },
  { key: 'old', versionId: 'v2', size: 2, lastModified: WRITTEN },
  { key: 'gone', versionId: 'v3', isDeleteMarker: true },
];

describe.each(['CSV', 'Parquet'] as const)('an inventory in %s', (format) => {
  test('lists what is current, whatever it is called, file by file', async () => {
    const source = await open(await upload(inventoryOf(format, [objects.slice(0, 3), [], objects.slice(3)])));
    const { objects: found, sections } = await listed(source);
    expect(sections).toHaveLength(4);
    expect(found.map(({ name }) => name)).toEqual([...odd, 'old']);
    expect(found[1]).toEqual({ name: odd[1], size: 1, etag: '"d41d8cd9"', lastModified: new Date(WRITTEN) });
    expect(found.at(-1)).toMatchObject({ name: 'old', size: 2, versionId: 'v2' });
    expect(source.reads).toEqual({ prefix: 's3://bucket/' });
  });

  test('is found on this disk too, and goes on behind a row', async () => {
    const source = await open(fetched(inventoryOf(format, [objects])));
    const [, section] = (await listed(source)).sections;
    const rest = [];
    for await (const page of source.pages(section!, '3', { filter: all }))
      rest.push(...page.objects.map(({ name }) => name), page.cursor);
    expect(rest).toEqual(['a/', odd[4], 'old', '8']);
    expect(await namesOf(await open(source.url))).toHaveLength(6);
    // All files in one folder.
    for (const [key, body] of inventoryOf(format, [objects])) writeFileSync(join(folder, basename(key)), body);
    expect(await namesOf(await open(join(folder, 'manifest.json')))).toHaveLength(6);
  });

  test('takes what the filter takes, and asks for what it does not tell', async () => {
    stage.requests.length = 0;
    for (const Key of ['asked', 'never']) await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: Key }));
    const bare = [{ key: 'asked' }, { key: 'never' }, { key: 'missing' }, { key: 'small', size: 1 }];
    const path = fetched(inventoryOf(format, [bare]));
    const filter = filterOf({ exclude: ['never'], minSize: 2 });
    const source = await open(path);
    expect((await listed(source, filter)).objects[0]).toMatchObject({
      name: 'asked',
      size: 5,
      etag: expect.any(String),
    });
    expect(await namesOf(source, filter)).toEqual(['asked']);
    expect(await refusalsOf(source, filter)).toEqual({ missing: 'object-not-found' });
    expect(stage.requests.filter(({ key }) => key === 'never').map(({ operation }) => operation)).toEqual([
      'PutObject',
    ]);
    const recent = filterOf({ maxAgeMs: 3_600_000 });
    expect(await namesOf(source, recent)).toEqual(['asked', 'never']);
  });

  test('is read on where its connection breaks, and given up where that brings nothing', async () => {
    const source = await open(await upload(inventoryOf(format, [objects])));
    try {
      stage.sandbox.setFaults('GetObject:1-3=reset@100');
      expect(await namesOf(source)).toHaveLength(6);
      stage.sandbox.setFaults('GetObject:*=500');
      await expect(listed(source)).rejects.toMatchObject({ code: 'store-unavailable' });
    } finally {
      stage.sandbox.setFaults('');
    }
  });

  test('is not used where a file of it is damaged, missing, or of another bucket', async () => {
    const files = inventoryOf(format, [objects]);
    const data = files.at(-1)!;
    data[1] = Buffer.concat([data[1].subarray(0, -1), Buffer.from([data[1].at(-1)! ^ 1])]);
    await expect(listed(await open(fetched(files)))).rejects.toMatchObject({ code: 'checksum-mismatch', exit: 6 });
    rmSync(join(folder, data[0]));
    await expect(listed(await open(fetched(files.slice(0, -1))))).rejects.toThrow(/file .*data\/0\..* is missing/);
    const foreign = inventoryOf(format, [[{ bucket: 'other', key: 'x', size: 1 }]]);
    await expect(listed(await open(fetched(foreign)))).rejects.toMatchObject({ code: 'bad-manifest' });
  });

  test('that is no such file is refused with what is wrong', async () => {
    const notIt = Buffer.from('not what it says it is');
    const [manifest, checksum, [key]] = inventoryOf(format, [objects]) as [
      InventoryFiles[0],
      InventoryFiles[0],
      InventoryFiles[0],
    ];
    const md5 = createHash('md5').update(notIt).digest('hex');
    const files: InventoryFiles = [manifest, checksum, [key, notIt]];
    const text = manifest[1].toString().replace(/"MD5checksum":"\w+"/, `"MD5checksum":"${md5}"`);
    files[0] = [manifest[0], Buffer.from(text)];
    await expect(listed(await open(fetched(files)))).rejects.toMatchObject({ code: 'bad-manifest' });
  });
});

test.each<[what: string, changes: Record<string, unknown>, message: RegExp]>([
  ['ORC', { fileFormat: 'ORC' }, /ORC, which is not read/],
  ['another format', { fileFormat: 'XML' }, /lacks a fileFormat/],
  ['no bucket', { sourceBucket: undefined }, /lacks the sourceBucket/],
  ['no destination', { destinationBucket: 1 }, /lacks the destinationBucket/],
  ['no schema', { fileSchema: undefined }, /lacks the fileSchema/],
  ['no key among the columns', { fileSchema: 'Bucket, Size' }, /lacks Bucket and Key/],
  ['no files', { files: 'none' }, /lacks its files/],
  ['a file without checksum', { files: [{ key: 'a' }] }, /lacks the key and MD5checksum/],
])('a manifest of %s is refused', async (_what, changes, message) => {
  const source = open(fetched(inventoryOf('CSV', [[]], changes)));
  await expect(source).rejects.toThrow(message);
  await expect(source).rejects.toMatchObject({ code: 'bad-manifest' });
});

describe('a manifest of S3 Batch Operations', () => {
  const batch = (text: string) => {
    const path = join(folder, 'batch.csv');
    writeFileSync(path, text);
    return path;
  };
  const line = (key: string, version = '') => `${BUCKET},${encodeKey(key)}${version && `,${version}`}\r\n`;

  beforeAll(async () => {
    for (const Key of odd) await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: Key }));
  });

  test('is asked for each of its objects', async () => {
    const path = batch([...odd, 'missing'].map((key) => line(key)).join(''));
    const source = await open(path);
    const { objects: found } = await listed(source);
    expect(found.slice(0, -1).map(({ name, size }) => [name, size])).toEqual(
      odd.map((key) => [key, Buffer.byteLength(key)]),
    );
    expect(await refusalsOf(source)).toEqual({ missing: 'object-not-found' });
    expect(source.reads).toEqual({ prefix: 's3://bucket/' });
    const key = 'lists/batch.csv';
    await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: `"${BUCKET}","a/"\n` }));
    expect(await namesOf(await open(`s3://${BUCKET}/${key}`))).toEqual(['a/']);
  });

  test('has the versions that it names', async () => {
    const { objects: found } = await listed(await open(batch(line('a/', 'null'))));
    expect(found).toMatchObject([{ name: 'a/', versionId: 'null', size: 2 }]);
  });

  test('goes on behind a line, of the same file only', async () => {
    const source = await open(batch(odd.map((key) => line(key)).join('')));
    const [page] = (await listed(source)).pages;
    const behind = page!.cursor!.replace(/^5/, '4');
    for await (const { objects } of source.pages('', behind, { filter: all }))
      expect(objects.map(({ name }) => name)).toEqual([odd[4]]);
    const other = await open(batch(line('a/')));
    const pages = other.pages('', behind, { filter: all })[Symbol.asyncIterator]();
    await expect(pages.next()).rejects.toMatchObject({ code: 'source-changed' });
  });

  test.each<[what: string, text: string, message: RegExp]>([
    ['two buckets', `${BUCKET},a%2F\nother,a\n`, /line 2: it names the bucket "other"/],
    ['no key', `${BUCKET},\n`, /line 1: it has no key/],
    ['a key that is not encoded', `${BUCKET},100%\n`, /line 1: the key "100%" is not URL-encoded/],
    ['an open quote', `${BUCKET},"a\n`, /Quote Not Closed/],
    ['lines unlike each other', `${BUCKET},a%2F\n${BUCKET},a,v1\n`, /Invalid Record Length/],
    ['no line', '\n', /names no object/],
    ['one endless line', `${BUCKET},${'a'.repeat(200_000)}`, /Max Record Size/],
  ])('with %s is refused', async (_what, text, message) => {
    const outcome = open(batch(text)).then(listed);
    await expect(outcome).rejects.toThrow(message);
    await expect(outcome).rejects.toMatchObject({ code: 'bad-manifest' });
  });
});

describe('a source', () => {
  test('is what it is called', async () => {
    const folderNamedSo = join(folder, 'manifest.json');
    mkdirSync(folderNamedSo);
    expect((await open(folderNamedSo)).reads).toEqual({ directory: folderNamedSo });
    expect((await open('s3://bucket')).reads).toEqual({ prefix: 's3://bucket/' });
    expect((await open('s3://bucket/photos')).reads).toEqual({ prefix: 's3://bucket/photos/' });
    expect((await open('s3://bucket/data.csv/')).reads).toEqual({ prefix: 's3://bucket/data.csv/' });
  });

  test('that is none of these is refused', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await expect(open(file)).rejects.toMatchObject({ code: 'source-not-a-directory' });
    await expect(open(join(folder, 'a.csv'))).rejects.toMatchObject({ code: 'source-not-found' });
    await expect(open('s3://b/x')).rejects.toMatchObject({ code: 'bad-url' });
    const names = async function* () {};
    const both = openMigrateSource(file.replace(/file$/, 'a.csv'), { storeOf, names });
    await expect(both).rejects.toMatchObject({ code: 'usage' });
    await expect(open(pathToFileURL(join(folder, 'x')).href)).rejects.toMatchObject({ code: 'usage' });
  });
});
