/** A listing in several pages: a bucket with a thousand objects takes long to fill, so here S3's answers are written down. */
import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { readListing } from '../../src/stores/s3-listing.ts';
import { collect } from './contract.ts';

type Page = Partial<ListObjectsV2CommandOutput>;

function listing(pages: Record<string, Page>, options = {}) {
  const asked: object[] = [];
  const entries = readListing('a', options, async (input) => {
    asked.push(input);
    return { $metadata: {}, ...pages[input.ContinuationToken ?? 'first'] };
  });
  return { entries, asked };
}

const pages: Record<string, Page> = {
  first: {
    IsTruncated: true,
    NextContinuationToken: 'second',
    CommonPrefixes: [{ Prefix: 'a+b/' }],
    Contents: [{ Key: 'a%0A', Size: 1, StorageClass: 'STANDARD' }],
  },
  second: { IsTruncated: true, NextContinuationToken: 'third' },
  third: { IsTruncated: false, Contents: [{ Key: 'a%2B', Size: 2, StorageClass: 'GLACIER' }] },
};

test('every page is read, an empty one too', async () => {
  const { entries, asked } = listing(pages);
  expect(await collect(entries)).toEqual([
    { prefix: 'a b/' },
    { key: 'a\n', size: 1 },
    { key: 'a+', size: 2, storageClass: 'GLACIER' },
  ]);
  expect(asked).toMatchObject([
    { Prefix: 'a', Delimiter: '/' },
    { ContinuationToken: 'second', Delimiter: '/' },
    { ContinuationToken: 'third', Delimiter: '/' },
  ]);
});

test('a page is asked for when the one before it was read', async () => {
  const { entries, asked } = listing(pages, { recursive: true });
  await entries.next();
  await entries.next();
  expect(asked).toEqual([{ Prefix: 'a', EncodingType: 'url' }]);
});

test('an answer that says there is more and not where is no answer', async () => {
  const { entries } = listing({ first: { IsTruncated: true } });
  await expect(collect(entries)).rejects.toMatchObject({ code: 'store-unavailable' });
});
