/** AWS's own Encryption SDK for JavaScript, from a file to nowhere. Loaded where it is used: it takes a third of a second. */
import { createReadStream, createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AlgorithmSuiteIdentifier, CommitmentPolicy } from '@aws-crypto/client-node';

/** The same as `rawAesKeyring` takes. */
export interface RawKey {
  namespace: string;
  name: string;
  key: Buffer;
}

type Policy = keyof typeof CommitmentPolicy;

export interface OfficialOptions {
  /** Default: the client's own choice, which commits to its key and signs. */
  suite?: keyof typeof AlgorithmSuiteIdentifier;
  /** Default: the client's own, 4 KiB. */
  frameSize?: number;
  /** Default: nowhere. */
  target?: string;
}

/** Seals a file. */
export async function sealOfficially(source: string, key: RawKey, options: OfficialOptions = {}): Promise<void> {
  const { suite, frameSize, target } = options;
  const { AlgorithmSuiteIdentifier } = await import('@aws-crypto/client-node');
  const policy = suite === undefined ? 'REQUIRE_ENCRYPT_REQUIRE_DECRYPT' : 'FORBID_ENCRYPT_ALLOW_DECRYPT';
  const { client, keyring } = await clientWith(key, policy);
  const encrypt = client.encryptStream(keyring, {
    ...(suite === undefined ? {} : { suiteId: AlgorithmSuiteIdentifier[suite] }),
    ...(frameSize === undefined ? {} : { frameLength: frameSize }),
  });
  await pipeline(createReadStream(source), encrypt, target === undefined ? nowhere() : createWriteStream(target));
}

/** Opens what the file holds, and drops it. */
export async function openOfficially(
  message: string,
  key: RawKey,
  policy: Policy = 'REQUIRE_ENCRYPT_REQUIRE_DECRYPT',
): Promise<void> {
  const { client, keyring } = await clientWith(key, policy);
  await pipeline(createReadStream(message), client.decryptStream(keyring), nowhere());
}

async function clientWith({ namespace, name, key }: RawKey, policy: Policy) {
  const { buildClient, CommitmentPolicy, RawAesKeyringNode, RawAesWrappingSuiteIdentifier } = await import(
    '@aws-crypto/client-node'
  );
  const keyring = new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    unencryptedMasterKey: new Uint8Array(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  return { client: buildClient(CommitmentPolicy[policy]), keyring };
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
