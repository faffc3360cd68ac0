import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encryptionOf } from '../../src/stores/encryption.ts';
import { decodeCrc32, encodeCrc32, fullObjectCrc32, headerFields } from '../../src/stores/s3-fields.ts';
import { inheritedOf } from '../../src/stores/s3-kept.ts';

describe('a CRC32', () => {
  it.each([
    [0, 'AAAAAA=='],
    // The check value of CRC-32: the checksum of "123456789".
    [0xcbf43926, 'y/Q5Jg=='],
    [0xffffffff, '/////w=='],
  ])('%i is %s', (crc32, text) => {
    expect(encodeCrc32(crc32)).toBe(text);
  });

  it('comes back as it was', () => {
    fc.assert(fc.property(fc.nat(0xffffffff), (crc32) => decodeCrc32(encodeCrc32(crc32)) === crc32));
  });

  it.each([undefined, '', 'y/Q5Jg==-3', 'y/Q5Jg', 'AAAAAAAAAAA='])('is not read out of %s', (text) => {
    expect(decodeCrc32(text)).toBeUndefined();
  });

  it('of parts is not one of the whole', () => {
    const ChecksumCRC32 = 'y/Q5Jg==';
    expect(fullObjectCrc32({ ChecksumCRC32, ChecksumType: 'FULL_OBJECT' })).toBe(0xcbf43926);
    expect(fullObjectCrc32({ ChecksumCRC32, ChecksumType: 'COMPOSITE' })).toBeUndefined();
    expect(fullObjectCrc32({ ChecksumType: 'FULL_OBJECT' })).toBeUndefined();
  });
});

it('what an object inherits, and how it is encrypted at rest, is written as it was read', () => {
  const head = {
    CacheControl: 'no-store',
    ContentDisposition: 'attachment',
    ContentEncoding: 'zstd',
    ContentLanguage: 'de',
    WebsiteRedirectLocation: '/elsewhere',
    ServerSideEncryption: 'aws:kms',
    SSEKMSKeyId: 'arn:aws:kms:eu-central-1:000000000000:key/1',
    BucketKeyEnabled: true,
    ObjectLockMode: 'COMPLIANCE',
    ObjectLockRetainUntilDate: new Date('2031-02-03T04:05:06Z'),
    ObjectLockLegalHoldStatus: 'ON',
  } as const;
  const expires = new Date('2030-01-01T00:00:00Z');
  const inherited = inheritedOf({ ...head, ExpiresString: expires.toUTCString(), $metadata: {} });
  const sse = encryptionOf(head);
  // The ledger keeps it as JSON.
  const kept = JSON.parse(JSON.stringify({ inherited, sse }));
  expect(headerFields({ metadata: {}, ...kept })).toMatchObject({ ...head, Expires: expires });
});

it('tags are written as a query', () => {
  const tags = { team: 'a & b', größe: '1+1=2' };
  expect(headerFields({ metadata: {}, tags }).Tagging).toBe('team=a%20%26%20b&gr%C3%B6%C3%9Fe=1%2B1%3D2');
  expect(headerFields({ metadata: {} }).Tagging).toBeUndefined();
});

it.each([
  ['metadata', { metadata: { Name: 'x' } }],
  ['metadata', { metadata: { name: 'a\nb' } }],
  ['content type', { metadata: {}, contentType: 'a\nb' }],
  ['storage class', { metadata: {}, storageClass: 'GLACIÉR' }],
  ['tag', { metadata: {}, tags: { team: '\ud800' } }],
])('%s that no header can carry is refused', (what, headers) => {
  const refusal = {
    code: 'bad-option',
    message: expect.stringContaining(what),
    hint: expect.stringMatching(/must|are/),
  };
  expect(() => headerFields(headers)).toThrow(expect.objectContaining(refusal));
});
