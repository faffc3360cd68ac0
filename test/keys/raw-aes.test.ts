import crypto, { randomBytes } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/client-node';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { EncryptedDataKey } from '../../src/formats/esdk/header.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { officialUnwrap, officialWrap } from './official.ts';

const key = Buffer.alloc(32, 'wrapping key');
const names = { namespace: 'lab', name: 'key é' };
const keyring = rawAesKeyring({ ...names, key });
const encryptionContext = { purpose: 'test', 'sealift-name': '1', ä: '', '\u{1f600}': 'x', '\uff5e': 'y' };

const { AES128_GCM_IV12_TAG16_NO_PADDING, AES192_GCM_IV12_TAG16_NO_PADDING, AES256_GCM_IV12_TAG16_NO_PADDING } =
  RawAesWrappingSuiteIdentifier;

describe.each([
  [16, AES128_GCM_IV12_TAG16_NO_PADDING],
  [24, AES192_GCM_IV12_TAG16_NO_PADDING],
  [32, AES256_GCM_IV12_TAG16_NO_PADDING],
] as const)('with a key of %i bytes', (size, wrappingSuite) => {
  const wrappingKey = randomBytes(size);
  const ours = rawAesKeyring({ ...names, key: wrappingKey });
  const official = new RawAesKeyringNode({
    keyNamespace: names.namespace,
    keyName: names.name,
    unencryptedMasterKey: new Uint8Array(wrappingKey),
    wrappingSuite,
    utf8Sorting: true,
  });

  it.each([{}, encryptionContext])('the official client unwraps ours and we its, with context %o', async (context) => {
    using made = await ours.makeDataKey({ encryptionContext: context });
    expect(await officialUnwrap(official, made.encryptedDataKeys, context)).toEqual(made.dataKey.bytes);

    const { dataKey, encryptedDataKeys } = await officialWrap(official, context);
    using opened = await ours.openDataKey({ encryptionContext: context, encryptedDataKeys });
    expect(opened.bytes).toEqual(dataKey);
  });
});

test('the official client as it is made by default sorts names otherwise, and its data keys open', async () => {
  const official = new RawAesKeyringNode({
    keyNamespace: names.namespace,
    keyName: names.name,
    unencryptedMasterKey: new Uint8Array(key),
    wrappingSuite: AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const context = { purpose: 'test', Zone: 'x', 'a-b': '1', ab: '2', a_c: '3', é: '4' };
  const { dataKey, encryptedDataKeys } = await officialWrap(official, context);
  using opened = await keyring.openDataKey({ encryptionContext: context, encryptedDataKeys });
  expect(opened.bytes).toEqual(dataKey);
  const other = { ...context, Zone: 'y' };
  await expect(keyring.openDataKey({ encryptionContext: other, encryptedDataKeys })).rejects.toMatchObject({
    code: 'wrong-key',
  });
});

describe('a data key', () => {
  it('comes back whatever the context, and under no other', async () => {
    const context = fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }));
    await fc.assert(
      fc.asyncProperty(context, context, async (sealed, other) => {
        using made = await keyring.makeDataKey({ encryptionContext: sealed });
        const { encryptedDataKeys } = made;
        using opened = await keyring.openDataKey({ encryptionContext: sealed, encryptedDataKeys });
        expect(opened.bytes).toEqual(made.dataKey.bytes);
        fc.pre(JSON.stringify(Object.entries(sealed).sort()) !== JSON.stringify(Object.entries(other).sort()));
        await expect(keyring.openDataKey({ encryptionContext: other, encryptedDataKeys })).rejects.toMatchObject({
          code: 'wrong-key',
        });
      }),
    );
  });

  it('and its IV are new in every clone of a process, whose generator goes on in the same state', async () => {
    const { randomBytes, randomFillSync } = crypto;
    crypto.randomBytes = ((size: number) => Buffer.alloc(size, 7)) as typeof randomBytes;
    crypto.randomFillSync = ((buffer: Buffer) => buffer.fill(7)) as typeof randomFillSync;
    syncBuiltinESMExports();
    try {
      const [one, other] = [
        await keyring.makeDataKey({ encryptionContext }),
        await keyring.makeDataKey({ encryptionContext }),
      ];
      expect(one.dataKey.bytes).not.toEqual(other.dataKey.bytes);
      expect(one.encryptedDataKeys[0]!.providerInfo).not.toEqual(other.encryptedDataKeys[0]!.providerInfo);
    } finally {
      Object.assign(crypto, { randomBytes, randomFillSync });
      syncBuiltinESMExports();
    }
  });

  it('is new each time, and zero once disposed of', async () => {
    const first = await keyring.makeDataKey({ encryptionContext });
    const second = await keyring.makeDataKey({ encryptionContext });
    expect(first.dataKey.bytes).not.toEqual(second.dataKey.bytes);
    expect(first.encryptedDataKeys[0]!.providerInfo).not.toEqual(second.encryptedDataKeys[0]!.providerInfo);
    first[Symbol.dispose]();
    expect(first.dataKey.bytes).toEqual(Buffer.alloc(32));
    expect(second.dataKey.bytes).not.toEqual(Buffer.alloc(32));
  });

  it('does not open with any one bit of its wrapped copy flipped', async () => {
    using made = await keyring.makeDataKey({ encryptionContext });
    const wrapped = made.encryptedDataKeys[0]!;
    for (const field of ['providerInfo', 'ciphertext'] as const) {
      for (let index = 0; index < wrapped[field].length; index++) {
        const bytes = Buffer.from(wrapped[field]);
        bytes[index]! ^= 1 << (index % 8);
        const encryptedDataKeys = [{ ...wrapped, [field]: bytes }];
        await expect(keyring.openDataKey({ encryptionContext, encryptedDataKeys })).rejects.toMatchObject({
          code: 'wrong-key',
        });
      }
    }
  });

  it('is found among copies for others, and behind a copy that lies', async () => {
    using made = await keyring.makeDataKey({ encryptionContext });
    const ours = made.encryptedDataKeys[0]!;
    const others: EncryptedDataKey[] = [
      { providerId: 'aws-kms', providerInfo: Buffer.from('arn'), ciphertext: Buffer.alloc(100) },
      { ...ours, providerId: 'elsewhere' },
      { ...ours, ciphertext: Buffer.alloc(48) },
      { ...ours, ciphertext: Buffer.alloc(0) },
    ];
    using opened = await keyring.openDataKey({ encryptionContext, encryptedDataKeys: [...others, ours] });
    expect(opened.bytes).toEqual(made.dataKey.bytes);
  });
});

describe('wrong-key', () => {
  it('says which key was tried and which would do', async () => {
    const other = rawAesKeyring({ namespace: 'lab', name: 'other', key: randomBytes(32) });
    const { encryptedDataKeys } = await other.makeDataKey({ encryptionContext });
    const arn = 'arn:aws:kms:eu-west-1:111122223333:key/1';
    const kmsCopy = { providerId: 'aws-kms', providerInfo: Buffer.from(arn), ciphertext: Buffer.alloc(9) };
    const strange = { providerId: 'a\u001b[2J', providerInfo: Buffer.from('b'), ciphertext: Buffer.alloc(9) };
    const opening = keyring.openDataKey({
      encryptionContext,
      encryptedDataKeys: [...encryptedDataKeys, kmsCopy, strange],
    });
    await expect(opening).rejects.toMatchObject({
      code: 'wrong-key',
      exit: 1,
      message: expect.stringContaining('lab / key é'),
      hint: expect.stringContaining(`lab / other, ${arn}, a?[2J / b.`),
    });
  });

  it('tells another key under the same name', async () => {
    const { encryptedDataKeys } = await rawAesKeyring({ ...names, key: randomBytes(32) }).makeDataKey({
      encryptionContext,
    });
    await expect(keyring.openDataKey({ encryptionContext, encryptedDataKeys })).rejects.toThrow(/the key is another/);
  });
});

describe('the keyring', () => {
  it('has an id that is equal for equal keys, and shows none of the key', () => {
    expect(rawAesKeyring({ ...names, key: Buffer.from(key) }).id).toBe(keyring.id);
    const ids = [
      { ...names, key: randomBytes(32) },
      { ...names, key: key.subarray(0, 16) },
      { namespace: 'other', name: names.name, key },
      { namespace: names.namespace, name: 'other', key },
    ].map((changed) => rawAesKeyring(changed).id);
    expect(new Set([...ids, keyring.id]).size).toBe(5);
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      expect(keyring.id).not.toContain(key.toString(encoding));
  });

  it('keeps its own copy of the key', async () => {
    const mine = Buffer.from(key);
    const copy = rawAesKeyring({ ...names, key: mine });
    mine.fill(0);
    const { encryptedDataKeys } = await copy.makeDataKey({ encryptionContext });
    using opened = await keyring.openDataKey({ encryptionContext, encryptedDataKeys });
    expect(opened.bytes).toHaveLength(32);
  });

  it.each([
    ['namespace', { namespace: 'aws-kms', name: 'n', key }],
    ['namespace', { namespace: 'aws-kms-rsa', name: 'n', key }],
    ['namespace', { namespace: '', name: 'n', key }],
    ['name', { namespace: 'lab', name: '', key }],
    ['key', { namespace: 'lab', name: 'n', key: Buffer.alloc(31) }],
  ])('refuses a bad %s', (member, options) => {
    expect(() => rawAesKeyring(options)).toThrow(
      expect.objectContaining({ code: 'bad-option', message: expect.stringContaining(member) }),
    );
  });
});
