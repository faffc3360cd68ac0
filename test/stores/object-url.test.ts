import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatObjectUrl, type ObjectUrl, parseObjectUrl } from '../../src/stores/object-url.ts';

describe('parseObjectUrl', () => {
  it.each([
    ['s3://backups/photos.tar', 'backups', 'photos.tar'],
    ['s3://backups/2026/photos.tar', 'backups', '2026/photos.tar'],
    ['s3://backups//leading', 'backups', '/leading'],
    ['s3://backups/a/../b/./c/', 'backups', 'a/../b/./c/'],
    ['s3://backups/100% of ?x=1#y&z+', 'backups', '100% of ?x=1#y&z+'],
    ['s3://backups/%2e%2e', 'backups', '%2e%2e'],
    ['s3://backups/日本語/é', 'backups', '日本語/é'],
    ['s3://backups/line\nbreak', 'backups', 'line\nbreak'],
    ['s3://my.dotted.bucket/k', 'my.dotted.bucket', 'k'],
    ['s3://Old_Bucket/k', 'Old_Bucket', 'k'],
  ])('takes the key of %s as it stands', (url, bucket, key) => {
    expect(parseObjectUrl(url)).toEqual({ bucket, key });
  });

  it.each([
    ['photos.tar', 'does not start with s3://'],
    ['https://backups/photos.tar', 'does not start with s3://'],
    ['S3://backups/photos.tar', 'does not start with s3://'],
    ['s3:/backups/photos.tar', 'does not start with s3://'],
    ['s3://backups', 'the key is missing'],
    ['s3://backups/', 'the key is missing'],
    ['s3:///photos.tar', 'not a bucket name'],
    ['s3://ab/photos.tar', 'not a bucket name'],
    [`s3://${'a'.repeat(64)}/photos.tar`, 'not a bucket name'],
    ['s3://-backups/photos.tar', 'not a bucket name'],
    ['s3://back..ups/photos.tar', 'not a bucket name'],
    ['s3://user@backups/photos.tar', 'not a bucket name'],
    ['s3://backups/\ud800', 'not valid Unicode'],
    [`s3://backups/${'é'.repeat(512)}x`, 'longer than 1024 bytes'],
  ])('refuses %s', (url, why) => {
    expect(() => parseObjectUrl(url)).toThrow(
      expect.objectContaining({
        code: 'bad-url',
        message: expect.stringContaining(why),
        hint: expect.stringContaining('s3://bucket/key'),
      }),
    );
  });

  it('is the inverse of formatObjectUrl for every key', () => {
    const keys = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 200 })
      .filter((key) => Buffer.byteLength(key) <= 1024);
    fc.assert(
      fc.property(keys, (key) => {
        const url: ObjectUrl = { bucket: 'backups', key };
        expect(parseObjectUrl(formatObjectUrl(url))).toEqual(url);
      }),
    );
  });
});
