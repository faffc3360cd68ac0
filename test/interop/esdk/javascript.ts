/** AWS's JavaScript client as a peer, in this process. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import {
  type AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from '@aws-crypto/client-node';
import { KMS } from '@aws-sdk/client-kms';
import { type Answer, COMMITTING, type Job, type Key, type Keys, type Peer } from './cells.ts';

const WRAPPING_SUITES = {
  16: RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
  24: RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
  32: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
} as const;

export function javascriptPeer(keys: Keys): Peer {
  const keyringOf = (names: readonly string[]) => {
    const [generator, ...children] = names.map((name) => officialKeyring(keys[name]!));
    return children.length === 0 ? generator! : new MultiKeyringNode({ generator: generator!, children });
  };

  async function answer(job: Job): Promise<Answer> {
    const old = job.suite < COMMITTING;
    const { FORBID_ENCRYPT_ALLOW_DECRYPT, REQUIRE_ENCRYPT_REQUIRE_DECRYPT } = CommitmentPolicy;
    const client = buildClient(old ? FORBID_ENCRYPT_ALLOW_DECRYPT : REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
    const keyring = keyringOf(job.keyring);
    if (job.do === 'write') {
      const { result } = await client.encrypt(keyring, await readFile(job.plain), {
        suiteId: job.suite as AlgorithmSuiteIdentifier,
        frameLength: job.frameSize,
        encryptionContext: { ...job.context },
      });
      await writeFile(job.sealed, result);
      return { error: null };
    }
    const { plaintext, messageHeader } = await client.decrypt(keyring, await readFile(job.sealed));
    for (const [name, value] of Object.entries(job.context)) {
      if (messageHeader.encryptionContext[name] !== value) throw new Error(`the context lacks ${name}`);
    }
    return { error: null, sha256: createHash('sha256').update(plaintext).digest('hex') };
  }

  return {
    name: 'JavaScript 5',
    writes: ({ frameSize }) => frameSize > 0,
    reads: () => true,
    run: (jobs) => inTurn(jobs, answer),
  };
}

/** Jobs one after the other; what one throws is its answer. */
export async function inTurn(jobs: readonly Job[], answer: (job: Job) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const job of jobs) answers.push(await answer(job).catch((error: unknown) => ({ error: String(error) })));
  return answers;
}

function officialKeyring(key: Key) {
  if (key.type === 'kms') {
    const kms = new KMS({ endpoint: key.endpoint });
    // Its types are of an older SDK.
    return new KmsKeyringNode({ generatorKeyId: key.arn, clientProvider: () => kms as never });
  }
  const names = { keyNamespace: key.namespace, keyName: key.name };
  if (key.type === 'raw-rsa') {
    const { privateKey, publicKey, padding } = key;
    const oaepHash = padding.replace('oaep-', '') as 'sha1' | 'sha256' | 'sha384' | 'sha512';
    return new RawRsaKeyringNode({ ...names, rsaKey: { privateKey, publicKey }, oaepHash });
  }
  const bytes = Buffer.from(key.key, 'base64');
  const wrappingSuite = WRAPPING_SUITES[bytes.length as 16 | 24 | 32];
  // Without utf8Sorting this client sorts names by the machine's locale, unlike the specification and all other clients.
  return new RawAesKeyringNode({
    ...names,
    unencryptedMasterKey: new Uint8Array(bytes),
    wrappingSuite,
    utf8Sorting: true,
  });
}
