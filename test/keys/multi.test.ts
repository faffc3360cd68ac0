import { randomBytes } from 'node:crypto';
import { MultiKeyringNode, RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/client-node';
import { expect, it } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import type { WrappingKeyring } from '../../src/keys/keyring.ts';
import { multiKeyring } from '../../src/keys/multi.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { officialUnwrap, officialWrap } from './official.ts';

const keys = ['first', 'second', 'third'].map((name) => ({ namespace: 'lab', name, key: randomBytes(32) }));
const keyrings = keys.map((key) => rawAesKeyring(key));
const [first, second, third] = keyrings as [WrappingKeyring, WrappingKeyring, WrappingKeyring];
const encryptionContext = { purpose: 'test' };

/** A keyring that only fails. */
function failing(code: 'kms-throttled' | 'kms-access-denied' | 'interrupted'): WrappingKeyring {
  const fail = async () => {
    throw new SealiftError(code, `It is ${code}`, { hint: 'Do something.' });
  };
  return { id: code, makeDataKey: fail, openDataKey: fail, wrapDataKey: fail };
}

it('the first makes, all wrap, and any of them opens', async () => {
  using made = await multiKeyring(keyrings).makeDataKey({ encryptionContext });
  const { encryptedDataKeys } = made;
  expect(encryptedDataKeys.map(({ providerInfo }) => providerInfo.toString('utf8', 0, 5))).toEqual([
    'first',
    'secon',
    'third',
  ]);
  for (const keyring of [...keyrings, multiKeyring([third, first])]) {
    using opened = await keyring.openDataKey({ encryptionContext, encryptedDataKeys });
    expect(opened.bytes).toEqual(made.dataKey.bytes);
  }
  for (const [index, keyring] of keyrings.entries()) {
    using opened = await multiKeyring(keyrings).openDataKey({
      encryptionContext,
      encryptedDataKeys: [encryptedDataKeys[index]!],
    });
    expect(opened.bytes, keyring.id).toEqual(made.dataKey.bytes);
  }
});

it('the official client unwraps ours and we its', async () => {
  const [generator, ...children] = keys.map(
    ({ namespace, name, key }) =>
      new RawAesKeyringNode({
        keyNamespace: namespace,
        keyName: name,
        unencryptedMasterKey: new Uint8Array(key),
        wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
        utf8Sorting: true,
      }),
  );
  const official = new MultiKeyringNode({ generator: generator!, children });
  const ours = multiKeyring(keyrings);
  using made = await ours.makeDataKey({ encryptionContext });
  expect(await officialUnwrap(official, made.encryptedDataKeys, encryptionContext)).toEqual(made.dataKey.bytes);
  const { dataKey, encryptedDataKeys } = await officialWrap(official, encryptionContext);
  using opened = await ours.openDataKey({ encryptionContext, encryptedDataKeys: encryptedDataKeys.slice(2) });
  expect(opened.bytes).toEqual(dataKey);
});

it('leaves no data key behind where one of them cannot wrap it', async () => {
  let bytes: Buffer | undefined;
  const watched: WrappingKeyring = {
    ...first,
    makeDataKey: async (request) => {
      const made = await first.makeDataKey(request);
      bytes = made.dataKey.bytes;
      return made;
    },
  };
  const made = multiKeyring([watched, failing('kms-access-denied')]).makeDataKey({ encryptionContext });
  await expect(made).rejects.toMatchObject({ code: 'kms-access-denied' });
  expect(bytes).toEqual(Buffer.alloc(32));
});

it('a key that fails does not keep another from opening', async () => {
  using made = await second.makeDataKey({ encryptionContext });
  const { encryptedDataKeys } = made;
  const tried = multiKeyring([first, failing('kms-throttled'), second]);
  using opened = await tried.openDataKey({ encryptionContext, encryptedDataKeys });
  expect(opened.bytes).toEqual(made.dataKey.bytes);

  const reasons = async (...members: WrappingKeyring[]) => {
    const opening = multiKeyring(members).openDataKey({ encryptionContext, encryptedDataKeys });
    return opening.then(
      () => undefined,
      (error: SealiftError) => error,
    );
  };
  expect(await reasons(first, third)).toMatchObject({ code: 'wrong-key', hint: expect.stringContaining('second') });
  expect((await reasons(first, third))!.message).toMatch(/first.*third/);
  expect(await reasons(failing('kms-access-denied'), failing('kms-throttled'))).toMatchObject({
    code: 'kms-throttled',
  });
  expect(await reasons(first, failing('kms-access-denied'))).toMatchObject({ code: 'kms-access-denied' });
  expect(await reasons(failing('interrupted'), second)).toMatchObject({ code: 'interrupted' });
});

it('has an id of all of them, in their order', () => {
  const ids = [multiKeyring(keyrings), multiKeyring([second, first]), multiKeyring([first, second])].map(
    ({ id }) => id,
  );
  expect(new Set(ids).size).toBe(3);
  expect(multiKeyring([...keyrings]).id).toBe(ids[0]);
  expect(() => multiKeyring([])).toThrow(RangeError);
});
