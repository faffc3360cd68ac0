/** The S3 Encryption Client's metadata: what official clients write is read and written back, and lies are refused. */
import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeHeader, encodeWithInstructions } from '../../src/formats/s3ec/encode-header.ts';
import { fingerprint } from '../../src/formats/s3ec/fingerprint.ts';
import {
  decodeHeader,
  type Fields,
  headerPlace,
  type ObjectHeader,
  parsePairs,
} from '../../src/formats/s3ec/header.ts';
import { layoutOfObject, partOf, planLayout } from '../../src/formats/s3ec/layout.ts';
import { COMMITTING_SUITE, GCM_SUITE } from '../../src/formats/s3ec/suites.ts';
import { bindDataKey, unbindDataKey, WRAPPINGS } from '../../src/formats/s3ec/wrapping.ts';
import { MiB } from '../../src/units.ts';
import { OFFICIAL_OBJECTS } from './s3ec-official.ts';

const base64 = (size: number, fill = 1) => Buffer.alloc(size, fill).toString('base64');

const V3 = {
  'x-amz-c': '115',
  'x-amz-d': base64(28),
  'x-amz-i': base64(28),
  'x-amz-3': base64(60),
  'x-amz-w': '02',
};
const V2 = {
  'x-amz-key-v2': base64(60),
  'x-amz-iv': base64(12),
  'x-amz-matdesc': '{}',
  'x-amz-wrap-alg': 'AES/GCM',
  'x-amz-cek-alg': 'AES/GCM/NoPadding',
  'x-amz-tag-len': '128',
};
const V1 = { 'x-amz-key': base64(48), 'x-amz-iv': base64(16) };

function expectBad(metadata: Fields, what: string, instructions?: Fields): void {
  const error = { code: 'bad-header', message: expect.stringContaining(what) };
  expect(() => decodeHeader(metadata, instructions)).toThrow(expect.objectContaining(error));
}

/** JSON in them in one spelling, without what clients may leave out. */
function plainFields(fields: Fields): Fields {
  const { 'x-amz-unencrypted-content-length': _size, ...rest } = fields;
  return Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [name, JSON.stringify(parsePairs(value) ?? value)]),
  );
}

test('what official clients wrote is read, and written back as they wrote it', () => {
  expect(OFFICIAL_OBJECTS.length).toBeGreaterThan(100);
  for (const { format, wrapping, metadata, instructions, context } of OFFICIAL_OBJECTS) {
    const file = instructions && parsePairs(instructions.toString())!;
    const place = file === undefined ? 'object' : format === 'v3' ? 'instruction-file' : 'none';
    expect(headerPlace(metadata)).toBe(place);
    const header = decodeHeader(metadata, file);
    const suite = format === 'v3' ? COMMITTING_SUITE : GCM_SUITE;
    expect(header).toMatchObject({ version: Number(format[1]), suite });
    expect(header.wrapping.name).toBe({ kms: 'kms+context', aes: 'AES/GCM', rsa: 'RSA-OAEP-SHA1' }[wrapping]);
    const bound = wrapping === 'kms' ? { 'aws:x-amz-cek-alg': suite.contentAlgorithm } : {};
    expect(header.description).toEqual({ ...context, ...bound });
    if (!file) {
      expect(plainFields(encodeHeader(header))).toEqual(plainFields(metadata));
      continue;
    }
    const written = encodeWithInstructions(header);
    expect(written.metadata).toEqual(metadata);
    expect(plainFields(parsePairs(written.instructions)!)).toEqual(plainFields(file));
  }
});

describe('metadata', () => {
  test('is read whatever the case of its names; empty is absent, and other names are not ours', () => {
    const header = decodeHeader({ ...V3, 'x-amz-m': '', 'x-amz-t': '', other: 'x' });
    expect(header).toMatchObject({ version: 3, description: {}, wrapping: { name: 'AES/GCM' } });
    const shouted = Object.fromEntries(Object.entries(V2).map(([name, value]) => [name.toUpperCase(), value]));
    expect(decodeHeader(shouted)).toEqual(decodeHeader(V2));
    expect(decodeHeader(V1).wrapping.name).toBe('AES');
    expect(decodeHeader({ ...V1, 'x-amz-key': base64(256) }).wrapping.name).toBe('RSA');
    expect(headerPlace({})).toBe('none');
    expect(headerPlace({ 'sealift-id': 'x' })).toBe('none');
  });

  test('that mixes versions is refused', () => {
    expectBad({ ...V3, ...V2 }, 'different versions');
    expectBad({ ...V2, ...V1, 'x-amz-iv': V2['x-amz-iv'] }, 'different versions');
    expectBad({ ...V3, 'x-amz-key': base64(48) }, 'different versions');
    for (const name of ['x-amz-c', 'x-amz-w', 'x-amz-d', 'x-amz-i'] as const) {
      expectBad({ ...V2, [name]: V3[name] }, 'different versions');
      expectBad({ ...V1, [name]: V3[name] }, 'different versions');
    }
    for (const name of ['x-amz-iv', 'x-amz-cek-alg', 'x-amz-wrap-alg', 'x-amz-matdesc', 'x-amz-tag-len'] as const) {
      expectBad({ ...V3, [name]: V2[name] }, 'different versions');
    }
    expectBad({ ...V1, 'x-amz-cek-alg': 'AES/GCM/NoPadding' }, 'different versions');
  });

  test.each<[string, Fields, string]>([
    ['another suite', { ...V3, 'x-amz-c': '114' }, 'x-amz-c is "114"'],
    ['a suite spelled otherwise', { ...V3, 'x-amz-c': '0115' }, 'x-amz-c is "0115"'],
    ['another wrapping', { ...V3, 'x-amz-w': '01' }, 'x-amz-w is "01"'],
    ['a short id', { ...V3, 'x-amz-i': base64(27) }, 'x-amz-i holds 27 bytes instead of 28'],
    ['a long commitment', { ...V3, 'x-amz-d': base64(32) }, 'x-amz-d holds 32 bytes instead of 28'],
    ['an id of zeros', { ...V3, 'x-amz-i': base64(28, 0) }, 'x-amz-i is all zeros'],
    ['no commitment', { ...V3, 'x-amz-d': '' }, 'x-amz-d is missing'],
    ['half base64', { ...V3, 'x-amz-3': 'A' }, 'x-amz-3 is not base64'],
    ['a description of numbers', { ...V3, 'x-amz-m': '{"a":1}' }, 'x-amz-m is not a JSON object of texts'],
    ['a description that is a list', { ...V3, 'x-amz-m': '["a"]' }, 'x-amz-m is not a JSON object of texts'],
    ['a description that is no JSON', { ...V2, 'x-amz-matdesc': '{' }, 'x-amz-matdesc is not a JSON object of texts'],
    ['another algorithm', { ...V2, 'x-amz-cek-alg': 'AES/CTR' }, 'x-amz-cek-alg is "AES/CTR"'],
    ['another wrapping of version 2', { ...V2, 'x-amz-wrap-alg': '02' }, 'x-amz-wrap-alg is "02"'],
    ['a shorter tag', { ...V2, 'x-amz-tag-len': '96' }, 'x-amz-tag-len is "96"'],
    ['no size of tag', { ...V2, 'x-amz-tag-len': '' }, 'x-amz-tag-len is undefined'],
    ['a tag where there is none', { ...V2, 'x-amz-cek-alg': 'AES/CBC/PKCS5Padding' }, 'x-amz-tag-len is "128"'],
    ['an IV of zeros', { ...V2, 'x-amz-iv': base64(12, 0) }, 'x-amz-iv is all zeros'],
    ["an IV of another algorithm's size", { ...V2, 'x-amz-iv': base64(16) }, 'x-amz-iv holds 16 bytes instead of 12'],
  ])('with %s is refused', (_name, metadata, what) => expectBad(metadata, what));
});

describe('an instruction file', () => {
  const { 'x-amz-c': c, 'x-amz-d': d, 'x-amz-i': i, ...file } = V3;

  test('holds what opens the key, and in version 3 nothing of what binds it', () => {
    const onObject = { 'x-amz-c': c, 'x-amz-d': d, 'x-amz-i': i };
    expect(decodeHeader(onObject, file)).toEqual(decodeHeader(V3));
    expect(decodeHeader({}, V2)).toEqual(decodeHeader(V2));
    expect(decodeHeader({}, V1)).toEqual(decodeHeader(V1));
    expectBad({}, 'x-amz-c is in its instruction file', V3);
    expectBad(onObject, 'x-amz-d is in its metadata and in its instruction file', { ...file, 'x-amz-d': d });
    expectBad({ 'x-amz-iv': V2['x-amz-iv'] }, 'x-amz-iv', { ...V2, 'x-amz-iv': '' });
    expectBad({ 'x-amz-c': c, 'x-amz-d': d }, 'x-amz-i is missing', file);
    expectBad(onObject, 'different versions', V2);
  });
});

test('a description that is not ASCII is written so that S3 leaves it as it is', () => {
  const wrapping = WRAPPINGS.find(({ name }) => name === 'kms+context')!;
  const description = { größe: '中文 😀' };
  const header: ObjectHeader = { ...decodeHeader(V3), wrapping, description };
  const fields = encodeHeader(header);
  expect(fields['x-amz-t']).toMatch(/^[\x20-\x7e]+$/);
  expect(decodeHeader(fields)).toEqual(header);
});

test('a data key bound to an algorithm is bound to no other', () => {
  const bound = bindDataKey(Buffer.alloc(32, 7), '115');
  expect(bound.length).toBe(36);
  expect(unbindDataKey(bound, '115')).toEqual(Buffer.alloc(32, 7));
  expect(unbindDataKey(bound, '114')).toBeUndefined();
  expect(unbindDataKey(bound, 'AES/GCM/NoPadding')).toBeUndefined();
  expect(unbindDataKey(Buffer.concat([bound, Buffer.from('5')]), '115')).toBeUndefined();
  bound[0] = 16;
  expect(unbindDataKey(bound, '115')).toBeUndefined();
});

test('the fingerprint is another for another hash, place, number or size, and under another key', () => {
  const layout = planLayout({ plainSize: 20 * MiB });
  const ledgerKey = createSecretKey(Buffer.alloc(32, 1));
  const part = partOf(layout, 2);
  const hash = Buffer.alloc(16, 2);
  const all = [
    { ledgerKey, part, hash },
    { ledgerKey, part, hash: Buffer.alloc(16, 3) },
    { ledgerKey, part: { ...part, plainOffset: 0 }, hash },
    { ledgerKey, part: { ...part, number: 3 }, hash },
    { ledgerKey, part: { ...part, sealedSize: part.sealedSize - 1 }, hash },
    { ledgerKey: createSecretKey(Buffer.alloc(32, 4)), part, hash },
  ];
  expect(new Set(all.map((input) => fingerprint(input).toString('hex'))).size).toBe(all.length);
});

describe('the layout', () => {
  const PART = 8 * MiB;

  test.each([0, 1, 15, 16, 17, PART - 1, PART, PART + 1, 2 * PART, 5 * PART + 3])(
    'parts tile %i plain bytes',
    (size) => {
      const layout = planLayout({ plainSize: size });
      expect(layoutOfObject({ sealedSize: size + 16, tagSize: 16 })).toEqual(layout);
      let plainOffset = 0;
      let sealedOffset = 0;
      for (let number = 1; number <= layout.partCount; number++) {
        const part = partOf(layout, number);
        expect(part).toMatchObject({
          plainOffset,
          sealedOffset,
          isFirst: number === 1,
          isLast: number === layout.partCount,
        });
        expect(part.plainOffset % 16).toBe(0);
        plainOffset += part.plainSize;
        sealedOffset += part.sealedSize;
      }
      expect([plainOffset, sealedOffset]).toEqual([size, size]);
      expect(() => partOf(layout, layout.partCount + 1)).toThrow(RangeError);
    },
  );

  test('reaches 64 GiB less 32 bytes in parts of 8 MiB, and not a byte further', () => {
    const most = 2 ** 36 - 32;
    expect(planLayout({ plainSize: most }).partCount).toBe(8192);
    const tooLarge = expect.objectContaining({ code: 'too-large', hint: expect.stringContaining('--format esdk') });
    expect(() => planLayout({ plainSize: most + 1 })).toThrow(tooLarge);
    expect(() => layoutOfObject({ sealedSize: most + 17, tagSize: 16 })).toThrow('No object of this suite');
    expect(() => layoutOfObject({ sealedSize: 15, tagSize: 16 })).toThrow('No object of this suite');
  });

  test('takes parts that S3 takes, rounded up to whole blocks', () => {
    expect(planLayout({ plainSize: 6 * MiB, partSize: 5 * MiB + 1 }).partSize).toBe(5 * MiB + 16);
    for (const partSize of [0, 5 * MiB - 1, 5 * 1024 * MiB, 0.5]) {
      expect(() => planLayout({ plainSize: 1, partSize })).toThrow('Part size');
    }
    expect(() => planLayout({ plainSize: 60_000 * MiB, partSize: 5 * MiB })).toThrow('more than 10000');
  });
});
