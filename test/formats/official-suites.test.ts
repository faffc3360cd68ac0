/** What the official client writes in any suite opens here, frame by frame and from front to back. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  type KeyringNode,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from '@aws-crypto/client-node';
import { describe, expect, test } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { multiKeyring } from '../../src/keys/multi.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import { KiB, MiB } from '../../src/units.ts';
import { openInOrder, openMessage, somePlain } from './message.ts';

const names = { namespace: 'sealift test', name: 'key' };
const { AES128_GCM_IV12_TAG16_NO_PADDING, AES192_GCM_IV12_TAG16_NO_PADDING, AES256_GCM_IV12_TAG16_NO_PADDING } =
  RawAesWrappingSuiteIdentifier;

const SUITES = Object.entries(AlgorithmSuiteIdentifier)
  .filter(([, id]) => typeof id === 'number')
  .map(([name, id]) => ({ name, suiteId: id as AlgorithmSuiteIdentifier }));

interface Keys {
  official: KeyringNode;
  ours: Keyring;
}

function aesKeys(size: 16 | 24 | 32): Keys {
  const key = randomBytes(size);
  const wrappingSuites = {
    16: AES128_GCM_IV12_TAG16_NO_PADDING,
    24: AES192_GCM_IV12_TAG16_NO_PADDING,
    32: AES256_GCM_IV12_TAG16_NO_PADDING,
  } as const;
  const official = new RawAesKeyringNode({
    keyNamespace: names.namespace,
    keyName: names.name,
    unencryptedMasterKey: new Uint8Array(key),
    wrappingSuite: wrappingSuites[size],
    utf8Sorting: true,
  });
  return { official, ours: rawAesKeyring({ ...names, key }) };
}

function rsaKeys(): Keys {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const privateKey = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const publicKey = pair.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const official = new RawRsaKeyringNode({
    keyNamespace: names.namespace,
    keyName: 'rsa',
    rsaKey: { privateKey, publicKey },
    oaepHash: 'sha384',
  });
  return { official, ours: rawRsaKeyring({ ...names, name: 'rsa', padding: 'oaep-sha384', privateKey }) };
}

interface Request extends Keys {
  suiteId: AlgorithmSuiteIdentifier;
  frameLength: number;
  plain: Buffer;
}

async function opensBothWays({ official, ours, suiteId, frameLength, plain }: Request): Promise<void> {
  const isOld = suiteId < AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  const { FORBID_ENCRYPT_ALLOW_DECRYPT, REQUIRE_ENCRYPT_REQUIRE_DECRYPT } = CommitmentPolicy;
  const client = buildClient(isOld ? FORBID_ENCRYPT_ALLOW_DECRYPT : REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const encryptionContext = { purpose: 'test', é: '' };
  const { result } = await client.encrypt(official, plain, { suiteId, frameLength, encryptionContext });
  const header = decodeHeader(result)!;
  expect(header.suite.id).toBe(suiteId);
  using dataKey = await ours.openDataKey({ ...header, dataKeySize: header.suite.keySize });
  const chunkSize = Math.max(1000, Math.ceil(result.length / 7));
  expect(openMessage(result, { dataKey: dataKey.bytes, chunkSize }).equals(plain)).toBe(true);
  expect(openInOrder(result, { dataKey: dataKey.bytes, chunkSize }).equals(plain)).toBe(true);
}

test('it writes eleven suites', () => {
  expect(SUITES).toHaveLength(11);
});

const keys = aesKeys(32);
const lengthsOf = (f: number) => [...new Set([0, 1, f - 1, f, f + 1, 3 * f])];

describe.each(SUITES)('$name', ({ suiteId }) => {
  test.each([1, 512, 4 * KiB])('frames of %i bytes', async (frameLength) => {
    for (const length of lengthsOf(frameLength)) {
      await opensBothWays({ ...keys, suiteId, frameLength, plain: somePlain(length) });
    }
  });

  test.each([
    ['a raw AES key of 128 bits', aesKeys(16)],
    ['a raw AES key of 192 bits', aesKeys(24)],
    ['a raw RSA key', rsaKeys()],
  ])('under %s', async (_, others) => {
    await opensBothWays({ ...others, suiteId, frameLength: 100, plain: somePlain(250) });
  });
});

describe('large frames', () => {
  const { ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384, ALG_AES128_GCM_IV12_TAG16 } = AlgorithmSuiteIdentifier;
  test.each([256 * KiB, MiB])('of %i bytes', async (frameLength) => {
    for (const suiteId of [ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384, ALG_AES128_GCM_IV12_TAG16]) {
      for (const length of lengthsOf(frameLength)) {
        await opensBothWays({ ...keys, suiteId, frameLength, plain: Buffer.alloc(length, 'plain') });
      }
    }
  });
});

test('several keyrings: each of them opens', async () => {
  const [first, second] = [keys, rsaKeys()];
  const official = new MultiKeyringNode({ generator: first.official, children: [second.official] });
  const { ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384: suiteId } = AlgorithmSuiteIdentifier;
  for (const ours of [
    first.ours,
    second.ours,
    multiKeyring([
      rawAesKeyring({ ...names, name: 'other', key: randomBytes(32) }),
      second.ours as ReturnType<typeof rawRsaKeyring>,
    ]),
  ]) {
    await opensBothWays({ official, ours, suiteId, frameLength: 100, plain: somePlain(250) });
  }
});
