/** The official client opens what we write, and we open what it writes: raw AES keys, in process. */

import { createDecipheriv, randomBytes } from 'node:crypto';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { describe, expect, test } from 'vitest';
import { encodeContext } from '../../src/formats/esdk/context.ts';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { DATA_KEY, openMessage, sealBlock, sealMessage, somePlain, wrapDataKey } from './message.ts';

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const wrappingKey = Buffer.alloc(32, 'wrapping key');
const names = { namespace: 'sealift test', name: 'key é' };
const keyring = new RawAesKeyringNode({
  keyNamespace: names.namespace,
  keyName: names.name,
  unencryptedMasterKey: new Uint8Array(wrappingKey),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  // Without it this client sorts names by the machine's locale, unlike the specification and all other clients.
  utf8Sorting: true,
});
const contexts: Record<string, string>[] = [
  {},
  { purpose: 'test', 'sealift-name': '1', b: 'é', a: '', '\u{1f600}': 'x', '\uff5e': 'y' },
];

const F = 1024;
const sizes = [0, 1, F - 1, F, F + 1, 3 * F - 1, 3 * F, 3 * F + 1, 6 * F];

describe.each(contexts)('with context %o', (encryptionContext) => {
  test.each(sizes)('the official client opens %i bytes of ours', async (size) => {
    const key = wrapDataKey({ dataKey: DATA_KEY, wrappingKey, ...names, encryptionContext, nonce: randomBytes(12) });
    const { sealed, plain } = sealMessage({
      plain: somePlain(size),
      frameSize: F,
      encryptionContext,
      encryptedDataKeys: [
        { providerId: 'unknown', providerInfo: Buffer.from('other'), ciphertext: Buffer.alloc(40) },
        key,
      ],
      order: (numbers) => numbers.reverse(),
    });
    const { plaintext, messageHeader } = await client.decrypt(keyring, sealed);
    expect(plaintext).toEqual(plain);
    expect({ ...messageHeader.encryptionContext }).toEqual(encryptionContext);
  });

  test.each(sizes)('we open %i bytes of the official client', async (size) => {
    const plain = somePlain(size);
    const { result } = await client.encrypt(keyring, plain, {
      suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
      frameLength: F,
      encryptionContext,
    });
    const header = decodeHeader(result)!;
    expect(header.encryptionContext).toEqual(encryptionContext);
    const [key] = header.encryptedDataKeys;
    const decipher = createDecipheriv('aes-256-gcm', wrappingKey, key!.providerInfo.subarray(-12), {
      authTagLength: 16,
    });
    decipher.setAAD(encodeContext(encryptionContext));
    decipher.setAuthTag(key!.ciphertext.subarray(-16));
    const dataKey = Buffer.concat([decipher.update(key!.ciphertext.subarray(0, -16)), decipher.final()]);
    expect(openMessage(result, { dataKey, chunkSize: 1000 })).toEqual(plain);
  });
});

test('the official client opens the single blocks that tests make', async () => {
  const key = wrapDataKey({ dataKey: DATA_KEY, wrappingKey, ...names, encryptionContext: {}, nonce: randomBytes(12) });
  const { sealed, plain } = sealBlock({ plain: somePlain(F), encryptionContext: {}, encryptedDataKeys: [key] });
  expect((await client.decrypt(keyring, sealed)).plaintext).toEqual(plain);
});

test('the official client refuses what was changed', async () => {
  const encryptedDataKeys = [
    wrapDataKey({ dataKey: DATA_KEY, wrappingKey, ...names, encryptionContext: {}, nonce: randomBytes(12) }),
  ];
  const { sealed } = sealMessage({ plain: somePlain(3 * F), frameSize: F, encryptionContext: {}, encryptedDataKeys });
  sealed[sealed.length - 1]! ^= 1;
  await expect(client.decrypt(keyring, sealed)).rejects.toThrow();
});
