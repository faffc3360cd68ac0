import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeContext } from '../../src/formats/esdk/context.ts';
import {
  authenticateHeader,
  checkEncryptionContext,
  DEFAULT_MAX_ENCRYPTED_DATA_KEYS,
  decodeHeader,
  type EncryptedDataKey,
  encodeHeader,
  headerBytes,
  MAX_HEADER_SIZE,
} from '../../src/formats/esdk/header.ts';
import { checkCommitment, deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { CONTEXT, DATA_KEY, errorOf, SOME_KEYS, somePlain } from './message.ts';

const messageId = somePlain(32);
const keys = deriveMessageKeys({ dataKey: DATA_KEY, messageId });

function encode(changes: { encryptionContext?: Record<string, string>; encryptedDataKeys?: EncryptedDataKey[] } = {}) {
  return encodeHeader({
    messageId,
    encryptionContext: CONTEXT,
    encryptedDataKeys: SOME_KEYS,
    frameSize: 4096,
    keys,
    ...changes,
  });
}

/** The header's bytes with its context field, sizes included, replaced. */
function withContextField(field: Buffer): Buffer {
  const empty = headerBytes(encode({ encryptionContext: {} }));
  return Buffer.concat([empty.subarray(0, 35), field, empty.subarray(37)]);
}

/** A context field of these pairs, in this order. */
function contextField(pairs: [string | Buffer, string | Buffer][], count = pairs.length): Buffer {
  const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
  const fields = pairs.flat().flatMap((text) => [u16(Buffer.from(text as Buffer).length), Buffer.from(text as Buffer)]);
  const body = Buffer.concat([u16(count), ...fields]);
  return Buffer.concat([u16(body.length), body]);
}

describe('encode and decode', () => {
  test('what is written is read', () => {
    const context = fc.dictionary(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.string({ unit: 'grapheme', maxLength: 50 }),
    );
    const field = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    const key = fc.record({
      providerId: fc.string({ unit: 'grapheme', maxLength: 20 }),
      providerInfo: field,
      ciphertext: field,
    });
    fc.assert(
      fc.property(
        context,
        fc.array(key, { minLength: 1, maxLength: 5 }),
        fc.uint8Array(),
        (encryptionContext, list, behind) => {
          const header = encode({ encryptionContext, encryptedDataKeys: list });
          const decoded = decodeHeader(Buffer.concat([headerBytes(header), behind]));
          expect(decoded).toEqual(header);
          expect(new Map(Object.entries(decoded!.encryptionContext))).toEqual(
            new Map(Object.entries(encryptionContext)),
          );
          authenticateHeader(decoded!, keys);
        },
      ),
      {
        examples: [
          [JSON.parse('{"__proto__":"kept"}'), SOME_KEYS, new Uint8Array()],
          [{ '\ufeffmark': '\ufeff' }, SOME_KEYS, new Uint8Array()],
        ],
      },
    );
  });

  test('more bytes are needed until the last is there', () => {
    const bytes = headerBytes(encode());
    for (let size = 0; size < bytes.length; size++) expect(decodeHeader(bytes.subarray(0, size))).toBeUndefined();
    expect(decodeHeader(bytes)).toBeDefined();
  });

  test('the result keeps nothing of the bytes it was read from', () => {
    const bytes = headerBytes(encode());
    const decoded = decodeHeader(bytes);
    bytes.fill(0);
    expect(decoded).toEqual(encode());
  });

  test('pairs are sorted by the bytes of their names', () => {
    // In UTF-16 the emoji would come before U+FF5E; its UTF-8 comes after.
    const encoded = encodeContext({ '\u{1f600}': '4', b: '2', '\uff5e': '3', B: '1' }).toString();
    expect([...encoded].filter((character) => /[1-4]/.test(character)).join('')).toBe('1234');
  });

  test('an empty context is two zero bytes', () => {
    expect(encode({ encryptionContext: {} }).body.subarray(35, 37)).toEqual(Buffer.alloc(2));
    expect(encodeContext({})).toHaveLength(0);
  });
});

describe('what is not a message', () => {
  test.each([
    ['text', Buffer.from('Hello'), /not an AWS Encryption SDK message/],
    ['zeros', Buffer.alloc(100), /not an AWS Encryption SDK message/],
    ['a version 1 with another type', Buffer.from('0101017800', 'hex'), /not an AWS Encryption SDK message/],
    ['a message as base64', Buffer.from(headerBytes(encode()).toString('base64')), /base64 text/],
    ['a version 1 message as base64', Buffer.from('AYADeAajxv4OAyR3'), /base64 text/],
  ])('%s is not-sealed', (_, bytes, message) => {
    const error = errorOf(() => decodeHeader(bytes));
    expect(error.code).toBe('not-sealed');
    expect(error.message).toMatch(message);
  });

  test.each([
    ['unknown', '020479'],
    ['reserved', '020000'],
    ['of version 1 in version 2', '020378'],
    ['of version 2 in version 1', '01800478'],
  ])('a suite that is %s is a bad header', (_, start) => {
    expect(errorOf(() => decodeHeader(Buffer.from(start, 'hex'))).code).toBe('bad-header');
  });

  test.each([
    ['frames of a size', 2, 4096, true],
    ['frames without a size', 2, 0, false],
    ['a single block', 1, 0, true],
    ['a single block with a frame size', 1, 4096, false],
    ['another content type', 3, 4096, false],
    ['no content type', 0, 0, false],
  ])('%s: content type %i with frame size %i', (_, contentType, frameSize, isRead) => {
    const bytes = headerBytes(encode());
    bytes[bytes.length - 16 - 32 - 4 - 1] = contentType;
    bytes.writeUInt32BE(frameSize, bytes.length - 16 - 32 - 4);
    if (isRead) expect(decodeHeader(bytes)?.frameSize).toBe(frameSize);
    else expect(errorOf(() => decodeHeader(bytes)).code).toBe('bad-header');
  });
});

describe('encryption contexts read', () => {
  test('unsorted pairs are tolerated, and authenticated as they stand', () => {
    const bytes = withContextField(
      contextField([
        ['b', '1'],
        ['a', '2'],
      ]),
    );
    expect(decodeHeader(bytes)?.encryptionContext).toEqual({ a: '2', b: '1' });
    expect(decodeHeader(bytes)?.body).toEqual(bytes.subarray(0, -16));
  });

  test.each([
    [
      'a name twice',
      contextField([
        ['a', '1'],
        ['a', '1'],
      ]),
    ],
    ['a count of zero', contextField([])],
    ['fewer pairs than counted', contextField([['a', '1']], 2)],
    [
      'more bytes than pairs',
      contextField(
        [
          ['a', '1'],
          ['b', '2'],
        ],
        1,
      ),
    ],
    ['a size of one byte', Buffer.from([0, 1, 0])],
    ['a name that is not UTF-8', contextField([[Buffer.from([0xff]), '1']])],
    ['a value that is not UTF-8', contextField([['a', Buffer.from([0xc3])]])],
  ])('%s is a bad header', (_, field) => {
    expect(errorOf(() => decodeHeader(withContextField(field))).code).toBe('bad-header');
  });
});

describe('limits', () => {
  test('encrypted data keys: one to the limit', () => {
    const [key] = SOME_KEYS as [EncryptedDataKey];
    const most = Array.from({ length: DEFAULT_MAX_ENCRYPTED_DATA_KEYS }, () => key);
    const bytes = headerBytes(encode({ encryptedDataKeys: most }));
    expect(decodeHeader(bytes)?.encryptedDataKeys).toHaveLength(DEFAULT_MAX_ENCRYPTED_DATA_KEYS);
    expect(errorOf(() => decodeHeader(bytes, { maxEncryptedDataKeys: DEFAULT_MAX_ENCRYPTED_DATA_KEYS - 1 })).code).toBe(
      'bad-header',
    );
    expect(errorOf(() => encode({ encryptedDataKeys: [...most, key] })).code).toBe('bad-option');
    expect(errorOf(() => encode({ encryptedDataKeys: [] })).code).toBe('bad-option');
    const none = Buffer.concat([headerBytes(encode({ encryptionContext: {} })).subarray(0, 37), Buffer.alloc(100)]);
    expect(errorOf(() => decodeHeader(none)).code).toBe('bad-header');
  });

  test('the size of the whole header', () => {
    const base =
      encode({ encryptedDataKeys: [{ ...SOME_KEYS[0]!, ciphertext: Buffer.alloc(0) }, ...SOME_KEYS] }).body.length + 16;
    const keysOfSize = (size: number) => [
      { ...SOME_KEYS[0]!, ciphertext: Buffer.alloc(65_535) },
      { ...SOME_KEYS[0]!, ciphertext: Buffer.alloc(SOME_KEYS[0]!.ciphertext.length + size - base - 65_535) },
    ];
    const largest = headerBytes(encode({ encryptedDataKeys: keysOfSize(MAX_HEADER_SIZE) }));
    expect(largest).toHaveLength(MAX_HEADER_SIZE);
    expect(decodeHeader(largest)).toBeDefined();
    expect(errorOf(() => encode({ encryptedDataKeys: keysOfSize(MAX_HEADER_SIZE + 1) })).code).toBe('bad-option');
    const endless = Buffer.concat([
      encode().body.subarray(0, 35),
      Buffer.from('0000000200010041', 'hex'),
      Buffer.alloc(MAX_HEADER_SIZE, 0xff),
    ]);
    expect(decodeHeader(endless.subarray(0, MAX_HEADER_SIZE - 1))).toBeUndefined();
    expect(errorOf(() => decodeHeader(endless)).code).toBe('bad-header');
  });

  test('encryption contexts for writers', () => {
    checkEncryptionContext({});
    checkEncryptionContext({ 'AWS-crypto-': 'no prefix', name: 'v'.repeat(65_535 - 2 - 4 - 4 - 4 - 11 - 9) });
    for (const context of [
      { 'aws-crypto-public-key': 'x' },
      { '': 'x' },
      { 'lone \ud800': 'x' },
      { name: '\udc00' },
      { 'AWS-crypto-': 'no prefix', name: 'v'.repeat(65_535 - 2 - 4 - 4 - 4 - 11 - 8) },
      { name: 'é'.repeat(32_800) },
    ]) {
      expect(errorOf(() => checkEncryptionContext(context)).code).toBe('bad-context');
      expect(errorOf(() => encode({ encryptionContext: context })).code).toBe('bad-context');
    }
  });
});

describe('authentication', () => {
  test('another data key or message id does not meet the commitment', () => {
    const header = encode();
    for (const other of [
      deriveMessageKeys({ dataKey: Buffer.alloc(32, 1), messageId }),
      deriveMessageKeys({ dataKey: DATA_KEY, messageId: Buffer.alloc(32) }),
    ]) {
      expect(errorOf(() => checkCommitment(header, other)).message).toMatch(/commits to another key/);
      expect(errorOf(() => authenticateHeader(header, other)).message).toMatch(/commits to another key/);
    }
  });

  test('body and tag are authenticated, and the commitment apart from them', () => {
    const header = encode();
    const flipped = (bytes: Buffer) => bytes.map((byte, index) => (index === 10 ? byte ^ 1 : byte)) as Buffer;
    expect(errorOf(() => authenticateHeader({ ...header, body: flipped(header.body) }, keys)).code).toBe('bad-header');
    expect(errorOf(() => authenticateHeader({ ...header, authTag: flipped(header.authTag) }, keys)).code).toBe(
      'bad-header',
    );
    expect(errorOf(() => authenticateHeader({ ...header, commitment: flipped(header.commitment) }, keys)).code).toBe(
      'bad-header',
    );
  });
});
