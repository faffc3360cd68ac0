import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprint } from '../../src/formats/esdk/fingerprint.ts';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { boundMessageId, isBoundTo } from '../../src/formats/esdk/message-id.ts';
import { sealMessage, somePlain } from './message.ts';

describe('message keys', () => {
  const messageId = somePlain(32);
  const dataKey = Buffer.alloc(32, 9);

  test('frame key, ledger key and commitment are three different things, and the data key is left as it was', () => {
    const { frameKey, ledgerKey, commitment } = deriveMessageKeys({ dataKey, messageId });
    const all = [frameKey.export(), ledgerKey.export(), commitment, dataKey].map((bytes) => bytes.toString('hex'));
    expect(new Set(all).size).toBe(4);
    expect(all.every((hex) => hex.length === 64)).toBe(true);
    expect(dataKey).toEqual(Buffer.alloc(32, 9));
  });

  test('another message id or data key gives other keys', () => {
    const hex = (keys: ReturnType<typeof deriveMessageKeys>) =>
      [keys.frameKey.export(), keys.ledgerKey.export()].map((key) => key.toString('hex'));
    const all = [
      deriveMessageKeys({ dataKey, messageId }),
      deriveMessageKeys({ dataKey, messageId: Buffer.alloc(32) }),
      deriveMessageKeys({ dataKey: Buffer.alloc(32), messageId }),
    ].flatMap(hex);
    expect(new Set(all).size).toBe(6);
  });

  test('a data key has 32 bytes, and so has a message id', () => {
    for (const size of [0, 16, 31, 33]) {
      expect(() => deriveMessageKeys({ dataKey: Buffer.alloc(size), messageId })).toThrow(RangeError);
      expect(() => deriveMessageKeys({ dataKey, messageId: Buffer.alloc(size) })).toThrow(RangeError);
    }
  });
});

describe('message ids', () => {
  const random = () => fc.uint8Array({ minLength: 16, maxLength: 16 });
  const name = () => fc.string({ unit: 'grapheme', maxLength: 30 });

  test('are bound to one name', () => {
    fc.assert(
      fc.property(random(), name(), name(), (bytes, objectKey, other) => {
        const id = boundMessageId({ random: bytes, objectKey });
        expect(id).toHaveLength(32);
        expect(id.subarray(0, 16)).toEqual(Buffer.from(bytes));
        expect(isBoundTo(id, objectKey)).toBe(true);
        expect(isBoundTo(id, other)).toBe(objectKey === other);
      }),
    );
  });

  test('are broken by any changed byte', () => {
    const id = boundMessageId({ random: Buffer.alloc(16, 3), objectKey: 'a/b' });
    for (let index = 0; index < id.length; index++) {
      const changed = Buffer.from(id);
      changed[index]! ^= 1;
      expect(isBoundTo(changed, 'a/b')).toBe(false);
    }
    expect(isBoundTo(id.subarray(0, 31), 'a/b')).toBe(false);
    expect(() => boundMessageId({ random: Buffer.alloc(15), objectKey: 'a/b' })).toThrow(RangeError);
  });
});

describe('fingerprints', () => {
  const { keys, layout, header, tags } = sealMessage({ plain: somePlain(300), frameSize: 32, partSize: 64 });
  const first = {
    ledgerKey: keys.ledgerKey,
    format: 'esdk',
    part: partOf(layout, 1),
    headerTag: header.authTag,
    tags: tags[0]!,
  } as const;
  const second = { ledgerKey: keys.ledgerKey, format: 'esdk', part: partOf(layout, 2), tags: tags[1]! } as const;
  const flip = (bytes: Buffer, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)) as Buffer;

  test('are equal for the same part', () => {
    expect(fingerprint(first)).toHaveLength(32);
    expect(fingerprint({ ...first })).toEqual(fingerprint(first));
  });

  test('change with everything they cover', () => {
    const { part } = second;
    const others = [
      fingerprint(first),
      fingerprint({ ...first, headerTag: flip(header.authTag, 15) }),
      fingerprint({ ...first, tags: flip(first.tags, 0) }),
      fingerprint({ ...second, tags: flip(second.tags, 31) }),
      fingerprint({ ...second, part: { ...part, number: 3 } }),
      fingerprint({ ...second, part: { ...part, plainOffset: part.plainOffset + 1 } }),
      fingerprint({ ...second, part: { ...part, sealedSize: part.sealedSize + 1 } }),
      fingerprint({ ...second, ledgerKey: keys.frameKey }),
      fingerprint({ ...second, part: { ...part, plainOffset: 2 ** 45, sealedSize: 2 ** 32 } }),
    ];
    expect(new Set([fingerprint(second), ...others].map((bytes) => bytes.toString('hex'))).size).toBe(
      others.length + 1,
    );
  });

  test('are made only of what belongs to the part', () => {
    expect(() => fingerprint({ ...first, headerTag: undefined })).toThrow(RangeError);
    expect(() => fingerprint({ ...second, headerTag: header.authTag })).toThrow(RangeError);
    expect(() => fingerprint({ ...second, headerTag: header.authTag.subarray(1) })).toThrow(RangeError);
    expect(() => fingerprint({ ...second, tags: second.tags.subarray(16) })).toThrow(RangeError);
  });
});
