import {
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKET, openSandbox, outcome, type TestSandbox } from './s3-client.ts';

// Neighbours in the order of bytes: UTF-16, in which JavaScript compares, has the last two the other way round.
const KEYS = [
  'a',
  'a/',
  'a//b',
  'a/b',
  'a/b/c',
  'a/b/d',
  'a b',
  'a+b',
  'a&<b>',
  'b',
  'b/1',
  'b/2',
  'b/3',
  'b0',
  'c/ü/1',
  'c/ü/2',
  'line\nbreak',
  '\uffee',
  '\u{1f680}',
];

let test: TestSandbox;
beforeAll(async () => {
  test = await openSandbox();
  for (const Key of KEYS) await test.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: Key }));
});
afterAll(() => test.close());

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** What S3's page on ListObjectsV2 says, in the plainest way. */
function expected(prefix: string, delimiter: string, after: string): string[] {
  const entries = KEYS.filter((key) => key.startsWith(prefix) && byBytes(key, after) > 0).map((key) => {
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    return end < 0 ? key : `${key.slice(0, end + delimiter.length)} (prefix)`;
  });
  return [...new Set(entries)];
}

/** Keys and common prefixes of a page, each in order. */
function entriesOf(page: Pick<ListObjectsV2CommandOutput, 'Contents' | 'CommonPrefixes'>): string[] {
  const prefixes = page.CommonPrefixes?.map((entry) => `${entry.Prefix} (prefix)`) ?? [];
  return [...(page.Contents?.map((entry) => entry.Key!) ?? []), ...prefixes];
}

const sorted = (entries: string[]) => [...entries].sort(byBytes);

describe('ListObjectsV2', () => {
  it('lists all keys in the order of their bytes', async () => {
    const page = await test.s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    expect(page.Contents?.map((entry) => entry.Key)).toEqual(sorted(KEYS));
    expect(page).toMatchObject({ KeyCount: KEYS.length, IsTruncated: false });
    expect(page.Contents?.find((entry) => entry.Key === 'a/b')).toMatchObject({
      Size: 3,
      StorageClass: 'STANDARD',
      ChecksumAlgorithm: ['CRC32'],
    });
  });

  it('pages through any prefix, delimiter and start', async () => {
    const parameters = {
      prefix: fc.constantFrom('', 'a', 'a/', 'a/b', 'b', 'c/', 'none'),
      delimiter: fc.constantFrom('', '/', 'b', '//'),
      startAfter: fc.constantFrom('', ...KEYS),
      maxKeys: fc.integer({ min: 1, max: 5 }),
      url: fc.boolean(),
    };
    await fc.assert(
      fc.asyncProperty(fc.record(parameters), async ({ prefix, delimiter, startAfter, maxKeys, url }) => {
        const seen: string[] = [];
        let ContinuationToken: string | undefined;
        do {
          const page = await test.s3.send(
            new ListObjectsV2Command({
              Bucket: BUCKET,
              Prefix: prefix,
              Delimiter: delimiter || undefined,
              StartAfter: startAfter || undefined,
              MaxKeys: maxKeys,
              ContinuationToken,
              EncodingType: url ? 'url' : undefined,
            }),
          );
          const entries = entriesOf(page);
          expect(entries.length).toBeLessThanOrEqual(maxKeys);
          expect(page.KeyCount).toBe(entries.length);
          seen.push(...(url ? entries.map((entry) => decodeURIComponent(entry.replace(/\+/g, ' '))) : entries));
          ContinuationToken = page.NextContinuationToken;
          expect(page.IsTruncated).toBe(ContinuationToken !== undefined);
        } while (ContinuationToken);
        expect(sorted(seen)).toEqual(sorted(expected(prefix, delimiter, startAfter)));
      }),
      { numRuns: 60 },
    );
  });

  it('refuses bad parameters', async () => {
    const list = (more: object) => outcome(test.s3.send(new ListObjectsV2Command({ Bucket: BUCKET, ...more })));
    expect(await list({ MaxKeys: -1 })).toBe('InvalidArgument 400');
    expect(await list({ ContinuationToken: 'not one!' })).toBe('InvalidArgument 400');
    expect(await list({ EncodingType: 'base64' })).toBe('InvalidArgument 400');
    expect(await list({ Bucket: 'nowhere' })).toBe('NoSuchBucket 404');
    const none = await test.s3.send(new ListObjectsV2Command({ Bucket: BUCKET, MaxKeys: 0 }));
    expect(none).toMatchObject({ KeyCount: 0, IsTruncated: false });
  });
});

it('ListObjects pages by marker', async () => {
  const seen: string[] = [];
  let Marker: string | undefined;
  do {
    const page = await test.s3.send(new ListObjectsCommand({ Bucket: BUCKET, Delimiter: '/', MaxKeys: 2, Marker }));
    seen.push(...entriesOf(page));
    Marker = page.NextMarker;
  } while (Marker);
  expect(sorted(seen)).toEqual(sorted(expected('', '/', '')));
});
