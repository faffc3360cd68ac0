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

describe('parseObjectUrl of a file', () => {
  it.each([
    ['file:///backups/photos.tar', '/backups', 'photos.tar'],
    ['file://localhost/backups/photos.tar', '/backups', 'photos.tar'],
    ['file:///photos.tar', '/', 'photos.tar'],
    ['file:///my%20disk/a b%25%3F%23.tar', '/my disk', 'a b%?#.tar'],
    ['file:///backups/%E6%97%A5本語', '/backups', '日本語'],
    ['file:///backups/ends in a blank ', '/backups', 'ends in a blank '],
    ['file:///backups/back\\slash\tand tab', '/backups', 'back\\slash\tand tab'],
    ['file:///a//b/./c/../photos.tar', '/a/b', 'photos.tar'],
    ['file:///a/%2e%2e/photos.tar', '/', 'photos.tar'],
    ['file:///backups/.hidden', '/backups', '.hidden'],
  ])('follows the rules of URLs: %s', (url, directory, key) => {
    expect(parseObjectUrl(url)).toEqual({ directory, key });
  });

  it.each([
    ['file:/backups/photos.tar', 'does not start with'],
    ['file://backups/photos.tar', 'another machine'],
    ['file://~/photos.tar', 'another machine'],
    ['file:///', 'name is missing'],
    ['file:///backups/', 'name is missing'],
    ['file:///backups/..', 'name is missing'],
    ['file:///backups/what?', '%3F'],
    ['file:///backups/song #1', '%23'],
    ['file:///backups/100%', '%25'],
    ['file:///backups/%FF', 'UTF-8'],
    ['file:///backups%2Fphotos.tar', 'no slash'],
    ['file:///backups/a%00b', 'zero byte'],
    ['file:///backups/\ud800', 'not valid Unicode'],
    [`file:///backups/${'x'.repeat(221)}`, 'longer than 220 bytes'],
    ['file:///backups/.photos.tar.sealift-0123456789abcdef.json', 'belongs to an object'],
  ])('refuses %s', (url, why) => {
    expect(() => parseObjectUrl(url)).toThrow(
      expect.objectContaining({
        code: 'bad-url',
        message: expect.stringContaining(why),
        hint: expect.stringMatching(/\.$/),
      }),
    );
  });

  it('is the inverse of formatObjectUrl for every name', () => {
    const names = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 50 })
      .filter((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..');
    fc.assert(
      fc.property(names, names, (folder, key) => {
        const url: ObjectUrl = { directory: `/${folder}`, key };
        expect(parseObjectUrl(formatObjectUrl(url))).toEqual(url);
      }),
    );
  });
});
