/**
 * AWS's own client, end to end: it opens what the command line put into a bucket, and the command line opens what it
 * wrote there, with raw AES keys and with KMS keys. The bytes go through AWS's SDK on its side.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  type KeyringNode,
  KmsKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { KMS } from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MiB } from '../../src/units.ts';
import { BUCKET, credentialsOf, openSandbox, type TestSandbox } from '../sandbox/s3-client.ts';
import { runHere } from '../support/here.ts';

const official = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const folder = mkdtempSync(join(tmpdir(), 'sealift-official-'));
const keyFile = join(folder, 'raw.key');
const stateDir = ['--state-dir', join(folder, 'jobs')];
/** Two parts, the second not a whole frame. */
const plain = randomBytes(8 * MiB + 100_000);

let there: TestSandbox;
let kms: KMS;

beforeAll(async () => {
  there = await openSandbox();
  const { sandbox } = there;
  kms = new KMS({ endpoint: sandbox.kmsUrl, region: sandbox.env.AWS_REGION!, credentials: credentialsOf(sandbox) });
  writeFileSync(join(folder, 'plain'), plain);
  await runHere(['keygen', keyFile]);
});

afterAll(async () => {
  kms.destroy();
  await there.close();
  rmSync(folder, { recursive: true });
});

function rawKeyring(): KeyringNode {
  const { namespace, name, key } = JSON.parse(readFileSync(keyFile, 'utf8'));
  return new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    unencryptedMasterKey: new Uint8Array(Buffer.from(key, 'base64')),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    utf8Sorting: true,
  });
}

function kmsKeyring(): KeyringNode {
  // Its types are of an older SDK.
  return new KmsKeyringNode({ generatorKeyId: there.sandbox.kmsKeyId, clientProvider: () => kms as never });
}

const KEYS = [
  { name: 'a raw AES key', keyring: rawKeyring, flags: () => ['--raw-key', keyFile] },
  { name: 'a KMS key', keyring: kmsKeyring, flags: () => ['--kms-key', there.sandbox.kmsKeyId] },
];

describe.each(KEYS)('$name', ({ name, keyring, flags }) => {
  test('the official client opens what put wrote', async () => {
    const key = `ours by ${name}`;
    const args = ['put', join(folder, 'plain'), `s3://${BUCKET}/${key}`, '--context', 'purpose=test', ...flags()];
    const put = await runHere([...args, ...stateDir], { env: there.sandbox.env });
    expect(put.exit, put.stderr).toBe(0);
    const { Body } = await there.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    const { plaintext, messageHeader } = await official.decrypt(keyring(), await Body!.transformToByteArray());
    expect(plaintext.equals(plain)).toBe(true);
    expect(messageHeader.suiteId).toBe(0x0478);
    expect(messageHeader.encryptionContext).toMatchObject({ purpose: 'test' });
  });

  test('get opens what the official client wrote', async () => {
    const key = `theirs by ${name}`;
    const { result } = await official.encrypt(keyring(), plain, {
      suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
      encryptionContext: { purpose: 'test' },
    });
    await there.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: result }));
    const target = join(folder, key);
    const got = await runHere(['get', `s3://${BUCKET}/${key}`, target, ...flags(), ...stateDir], {
      env: there.sandbox.env,
    });
    expect(got.exit, got.stderr).toBe(0);
    expect(readFileSync(target).equals(plain)).toBe(true);
  });
});
