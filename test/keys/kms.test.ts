import { inspect } from 'node:util';
import { KmsKeyringNode } from '@aws-crypto/client-node';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  KMS,
  type KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { cachingKeyring } from '../../src/keys/cache.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { kmsKeyring } from '../../src/keys/kms.ts';
import { createKmsClient } from '../../src/keys/kms-client.ts';
import type { Limiter } from '../../src/limits/limiter.ts';
import { kmsLimiter } from '../../src/limits/token-bucket.ts';
import type { RequestRecord } from '../../src/sandbox/log.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { officialUnwrap, officialWrap } from './official.ts';

const encryptionContext = { purpose: 'test', 'sealift-name': '1' };

let sandbox: Sandbox;
let client: KMSClient;
let limiter: Limiter;
let first: string;
let second: string;
const records: RequestRecord[] = [];

beforeAll(async () => {
  sandbox = await startSandbox({ onRequest: (record) => records.push(record) });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  client = await createKmsClient({ stallMs: 300 });
  limiter = kmsLimiter({ ratePerSecond: 1000 });
  first = sandbox.kmsKeyId;
  second = await newKey();
  records.length = 0;
});

afterEach(() => {
  sandbox.setFaults('');
  sandbox.kms.denied.clear();
  records.length = 0;
});

afterAll(async () => {
  vi.unstubAllEnvs();
  client.destroy();
  await limiter.close();
  await sandbox.close();
});

async function newKey(): Promise<string> {
  return (await client.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
}

function keyringOf(keyIds: string[], options: { maxAttempts?: number } = {}): Keyring {
  return kmsKeyring({ client, limiter, keyIds, ...options });
}

const make = (keyring: Keyring, signal?: AbortSignal, onCall?: () => void) =>
  keyring.makeDataKey({ encryptionContext, signal, onCall });

async function open(
  keyring: Keyring,
  made: { encryptedDataKeys: Parameters<Keyring['openDataKey']>[0]['encryptedDataKeys'] },
  onCall?: () => void,
) {
  return keyring.openDataKey({ encryptionContext, encryptedDataKeys: made.encryptedDataKeys, onCall });
}

describe('data keys', () => {
  it('cost one call to make and one to open', async () => {
    const onCall = vi.fn();
    const keyring = keyringOf([first]);
    using made = await make(keyring, undefined, onCall);
    expect(made.dataKey.bytes).toHaveLength(32);
    expect(made.encryptedDataKeys.map((copy) => [copy.providerId, copy.providerInfo.toString()])).toEqual([
      ['aws-kms', first],
    ]);
    using opened = await open(keyring, made, onCall);
    expect(opened.bytes).toEqual(made.dataKey.bytes);
    expect(onCall).toHaveBeenCalledTimes(2);
    expect(records.map((record) => record.operation)).toEqual(['GenerateDataKey', 'Decrypt']);
  });

  it('open with any of their keys', async () => {
    using made = await make(keyringOf([first, second]));
    expect(made.encryptedDataKeys.map((copy) => copy.providerInfo.toString())).toEqual([first, second]);
    records.length = 0;
    for (const keyId of [first, second]) {
      using opened = await open(keyringOf([keyId]), made);
      expect(opened.bytes).toEqual(made.dataKey.bytes);
    }
    // Each keyring asks about its own key only.
    expect(records).toHaveLength(2);
  });

  it('open with whatever the message names, without a key or under an alias', async () => {
    await client.send(new CreateAliasCommand({ AliasName: 'alias/mine', TargetKeyId: second }));
    for (const keyIds of [[], ['alias/mine'], [second.split('/')[1]!]]) {
      using made = await make(keyringOf(keyIds.length === 0 ? [first] : keyIds));
      using opened = await open(keyringOf(keyIds), made);
      expect(opened.bytes).toEqual(made.dataKey.bytes);
    }
  });

  it('cost one call for 100 equal requests through the cache', async () => {
    const cache = cachingKeyring(keyringOf([first]));
    await Promise.all(Array.from({ length: 100 }, () => make(cache)));
    expect(records).toHaveLength(1);
    cache.close();
  });

  it('are those of the official client, both ways', async () => {
    const officialClient = new KMS({ region: sandbox.env.AWS_REGION!, endpoint: sandbox.kmsUrl });
    const official = new KmsKeyringNode({
      generatorKeyId: first,
      keyIds: [second],
      // Its types are of an older SDK.
      clientProvider: () => officialClient as never,
    });
    using made = await make(keyringOf([first, second]));
    expect(await officialUnwrap(official, made.encryptedDataKeys, encryptionContext)).toEqual(made.dataKey.bytes);
    const theirs = await officialWrap(official, encryptionContext);
    using opened = await open(keyringOf([second]), theirs);
    expect(opened.bytes).toEqual(theirs.dataKey);
    officialClient.destroy();
  });

  it('need a key to be made with', async () => {
    await expect(make(keyringOf([]))).rejects.toMatchObject({ code: 'no-key', exit: 2 });
    expect(records).toHaveLength(0);
  });
});

describe('what does not open', () => {
  it('a data key under other keys: nobody is asked', async () => {
    using made = await make(keyringOf([first]));
    records.length = 0;
    await expect(open(keyringOf([second]), made)).rejects.toMatchObject({
      code: 'wrong-key',
      hint: expect.stringContaining(first),
    });
    expect(records).toHaveLength(0);
  });

  it('another context, or a changed copy', async () => {
    const keyring = keyringOf([first]);
    using made = await make(keyring);
    const { encryptedDataKeys } = made;
    await expect(keyring.openDataKey({ encryptionContext: {}, encryptedDataKeys })).rejects.toMatchObject({
      code: 'wrong-key',
      message: expect.stringContaining('InvalidCiphertextException'),
    });
    const ciphertext = Buffer.from(encryptedDataKeys[0]!.ciphertext);
    ciphertext[ciphertext.length - 1]! ^= 1;
    await expect(
      keyring.openDataKey({ encryptionContext, encryptedDataKeys: [{ ...encryptedDataKeys[0]!, ciphertext }] }),
    ).rejects.toMatchObject({ code: 'wrong-key' });
  });

  it('a copy whose name is no key ARN', async () => {
    const providerInfo = Buffer.from('alias/sandbox');
    const encryptedDataKeys = [{ providerId: 'aws-kms', providerInfo, ciphertext: Buffer.alloc(64) }];
    await expect(open(keyringOf([]), { encryptedDataKeys })).rejects.toMatchObject({ code: 'wrong-key' });
    expect(records).toHaveLength(0);
  });

  it('but a second copy may, where the first does not', async () => {
    const spare = await newKey();
    using made = await make(keyringOf([spare, first]));
    await client.send(new DisableKeyCommand({ KeyId: spare }));
    using opened = await open(keyringOf([spare, first]), made);
    expect(opened.bytes).toEqual(made.dataKey.bytes);
    sandbox.kms.denied.add(first);
    await expect(open(keyringOf([spare, first]), made)).rejects.toMatchObject({
      code: 'kms-key-disabled',
      message: expect.stringMatching(/DisabledException.*AccessDeniedException/),
    });
  });
});

describe('what KMS refuses', () => {
  it('an unknown key', async () => {
    for (const keyId of ['alias/nobody', first.replace(/.{4}$/, '0000')]) {
      await expect(make(keyringOf([keyId]))).rejects.toMatchObject({
        code: 'kms-key-not-found',
        exit: 1,
        hint: expect.stringContaining('AWS_REGION'),
      });
    }
    expect(records).toHaveLength(2);
  });

  it('a disabled key, or one on its way out', async () => {
    const keyId = await newKey();
    using made = await make(keyringOf([keyId]));
    await client.send(new DisableKeyCommand({ KeyId: keyId }));
    const expected = { code: 'kms-key-disabled', hint: expect.stringContaining('aws kms enable-key') };
    await expect(make(keyringOf([keyId]))).rejects.toMatchObject(expected);
    await expect(make(keyringOf([first, keyId]))).rejects.toMatchObject(expected);
    await expect(open(keyringOf([keyId]), made)).rejects.toMatchObject(expected);
    await client.send(new EnableKeyCommand({ KeyId: keyId }));
    await client.send(new ScheduleKeyDeletionCommand({ KeyId: keyId }));
    await expect(open(keyringOf([keyId]), made)).rejects.toMatchObject(expected);
  });

  it('a key that is not yours', async () => {
    using made = await make(keyringOf([first]));
    sandbox.kms.denied.add(first);
    const refusal = await make(keyringOf([first])).catch((error) => error);
    expect(refusal).toMatchObject({
      code: 'kms-access-denied',
      hint: expect.stringContaining('kms:GenerateDataKey'),
      requestId: records.at(-1)!.requestId,
    });
    // What signed the request stands in no error.
    const shown = inspect(refusal, { depth: 20, showHidden: true });
    expect(shown).toContain('AccessDeniedException');
    expect(shown).not.toContain('AWS4-HMAC-SHA256');
    await expect(open(keyringOf([first]), made)).rejects.toMatchObject({
      code: 'kms-access-denied',
      hint: expect.stringContaining('kms:Decrypt'),
    });
  });

  it('expired credentials, and wrong ones', async () => {
    sandbox.setFaults('GenerateDataKey:1=ExpiredTokenException');
    await expect(make(keyringOf([first]))).rejects.toMatchObject({ code: 'credentials-expired' });
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
    const impostor = await createKmsClient();
    await expect(make(kmsKeyring({ client: impostor, limiter, keyIds: [first] }))).rejects.toMatchObject({
      code: 'kms-access-denied',
      hint: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
    });
    impostor.destroy();
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', sandbox.env.AWS_SECRET_ACCESS_KEY!);
  });
});

describe('trouble that passes', () => {
  it.each([
    ['throttled', 'GenerateDataKey:1-2=ThrottlingException'],
    ['an error of KMS', 'GenerateDataKey:1-2=500'],
    ['a dependency of KMS', 'GenerateDataKey:1-2=503'],
    ['a reset', 'GenerateDataKey:1-2=reset'],
    ['a lost answer', 'GenerateDataKey:1-2=lose-answer'],
    ['silence', 'GenerateDataKey:1=stall'],
  ])('%s', async (_, faults) => {
    sandbox.setFaults(faults);
    const onCall = vi.fn();
    using made = await make(keyringOf([first]), undefined, onCall);
    expect(made.dataKey.bytes).toHaveLength(32);
    // Every attempt is a call that AWS counts, and took a permit.
    expect(onCall).toHaveBeenCalledTimes(faults.includes('1-2') ? 3 : 2);
  });

  it.each([
    ['ThrottlingException', 'kms-throttled'],
    ['500', 'kms-unavailable'],
    ['stall', 'kms-unavailable'],
    ['reset', 'kms-unavailable'],
  ])('is told as what it is when it does not pass: %s', async (fault, code) => {
    sandbox.setFaults(`Decrypt:*=${fault}; GenerateDataKey:*=${fault}`);
    const onCall = vi.fn();
    const keyring = keyringOf([first], { maxAttempts: 2 });
    await expect(make(keyring, undefined, onCall)).rejects.toMatchObject({
      code,
      exit: 5,
      hint: expect.stringContaining('later'),
    });
    expect(onCall).toHaveBeenCalledTimes(2);
    sandbox.setFaults(`Decrypt:*=${fault}`);
    using made = await make(keyring);
    await expect(open(keyring, made)).rejects.toMatchObject({ code });
  });

  it('is told before what is wrong with another copy', async () => {
    using made = await make(keyringOf([first, second]));
    sandbox.setFaults('Decrypt:1=AccessDeniedException; Decrypt:2-=500');
    await expect(open(keyringOf([first, second], { maxAttempts: 1 }), made)).rejects.toMatchObject({
      code: 'kms-unavailable',
    });
  });

  it('waits no longer than the caller', async () => {
    sandbox.setFaults('GenerateDataKey:*=stall');
    const startMs = performance.now();
    await expect(make(keyringOf([first]), AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'interrupted' });
    sandbox.setFaults('GenerateDataKey:*=ThrottlingException');
    await expect(make(keyringOf([first]), AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'interrupted' });
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  it('of a quota of 5 a second: 20 requests get through, and the limiter slows down', async () => {
    const busy = await startSandbox({ kmsQuota: 5 });
    vi.stubEnv('AWS_ENDPOINT_URL_KMS', busy.kmsUrl);
    const busyClient = await createKmsClient();
    vi.stubEnv('AWS_ENDPOINT_URL_KMS', sandbox.kmsUrl);
    const ownLimiter = kmsLimiter({ ratePerSecond: 40 });
    const onCall = vi.fn();
    const keyring = kmsKeyring({ client: busyClient, limiter: ownLimiter, keyIds: [busy.kmsKeyId] });
    await Promise.all(Array.from({ length: 20 }, () => make(keyring, undefined, onCall)));
    expect(onCall.mock.calls.length).toBeGreaterThan(20);
    // Without slowing down 20 callers would have made some hundred calls.
    expect(onCall.mock.calls.length).toBeLessThan(80);
    expect(ownLimiter.ratePerSecond).toBeLessThan(40);
    busyClient.destroy();
    await ownLimiter.close();
    await busy.close();
  });

  it('at 200 a second sees never more than 200 + 50 in a second', async () => {
    records.length = 0;
    const ownLimiter = kmsLimiter({ ratePerSecond: 200 });
    const keyring = kmsKeyring({ client, limiter: ownLimiter, keyIds: [first] });
    const end = AbortSignal.timeout(2500);
    const caller = async () => {
      while (!end.aborted) (await make(keyring))[Symbol.dispose]();
    };
    await Promise.all(Array.from({ length: 30 }, caller));
    await ownLimiter.close();
    const times = records.map((record) => record.time).sort((a, b) => a - b);
    const inSecondFrom = (start: number) => times.filter((time) => time >= start && time < start + 1000).length;
    expect(Math.max(...times.map(inSecondFrom))).toBeLessThanOrEqual(250);
  });
});
