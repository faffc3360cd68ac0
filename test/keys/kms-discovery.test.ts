/** Which keys KMS is asked about, and in whose name: multi-Region keys, discovery filters, grant tokens. */
import type { KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest';
import type { EncryptedDataKey } from '../../src/formats/esdk/header.ts';
import { type KmsKeyringInput, kmsKeyring } from '../../src/keys/kms.ts';
import { inRegion, isSameKey, passes } from '../../src/keys/kms-arn.ts';
import { createKmsClient } from '../../src/keys/kms-client.ts';
import type { Limiter } from '../../src/limits/limiter.ts';
import { kmsLimiter } from '../../src/limits/token-bucket.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';

const mrk = (region: string, id = 'mrk-1', account = '111122223333', partition = 'aws') =>
  `arn:${partition}:kms:${region}:${account}:key/${id}`;

describe('ARNs', () => {
  test.each([
    [mrk('eu-west-1'), mrk('eu-west-1'), true],
    [mrk('eu-west-1'), mrk('us-east-1'), true],
    [mrk('eu-west-1'), mrk('us-east-1', 'mrk-2'), false],
    [mrk('eu-west-1'), mrk('us-east-1', 'mrk-1', '999999999999'), false],
    [mrk('eu-west-1'), mrk('eu-west-1', 'mrk-1', '111122223333', 'aws-cn'), false],
    [mrk('eu-west-1', '1-mrk-1'), mrk('us-east-1', '1-mrk-1'), false],
    [mrk('eu-west-1', 'mrk-1').replace(':key/', ':alias/'), mrk('us-east-1').replace(':key/', ':alias/'), false],
    ['alias/mine', 'alias/mine', true],
    ['mrk-1', mrk('us-east-1'), false],
  ])('%s and %s are one key: %s', (a, b, same) => {
    expect(isSameKey(a, b)).toBe(same);
    expect(isSameKey(b, a)).toBe(same);
  });

  test('only multi-Region keys have replicas', () => {
    expect(inRegion(mrk('eu-west-1'), 'us-east-1')).toBe(mrk('us-east-1'));
    expect(inRegion(mrk('eu-west-1', '1'), 'us-east-1')).toBe(mrk('eu-west-1', '1'));
  });

  test('a filter is a partition, and accounts in it', () => {
    const arn = mrk('eu-west-1');
    expect(passes(arn, {})).toBe(true);
    expect(passes(arn, { partition: 'aws-cn' })).toBe(false);
    expect(passes(arn, { accountIds: ['999999999999', '111122223333'] })).toBe(true);
    expect(passes(arn, { accountIds: ['999999999999'] })).toBe(false);
    expect(passes(mrk('cn-north-1', '1', '111122223333', 'aws-cn'), { accountIds: ['111122223333'] })).toBe(false);
  });
});

describe('KMS is asked', () => {
  let sandbox: Sandbox;
  let client: KMSClient;
  let limiter: Limiter;
  let asked: { KeyId?: string; GrantTokens?: string[] }[];

  beforeAll(async () => {
    sandbox = await startSandbox();
    for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
    client = await createKmsClient();
    limiter = kmsLimiter({ ratePerSecond: 1000 });
    client.middlewareStack.add((next) => (args) => {
      asked.push(args.input as (typeof asked)[number]);
      return next(args);
    });
  });

  beforeEach(() => {
    asked = [];
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    client.destroy();
    await limiter.close();
    await sandbox.close();
  });

  const keyringOf = (options: Omit<KmsKeyringInput, 'client' | 'limiter'>) =>
    kmsKeyring({ client, limiter, ...options });

  /** The ARNs asked about, one for each copy that may open. None of them is of a key that is there. */
  async function askedFor(options: Omit<KmsKeyringInput, 'client' | 'limiter'>, ...arns: string[]) {
    const encryptedDataKeys = arns.map(
      (arn): EncryptedDataKey => ({
        providerId: 'aws-kms',
        providerInfo: Buffer.from(arn),
        ciphertext: Buffer.alloc(99),
      }),
    );
    await expect(keyringOf(options).openDataKey({ encryptionContext: {}, encryptedDataKeys })).rejects.toThrow();
    return asked.map(({ KeyId }) => KeyId);
  }

  it('about a named replica in place of any other', async () => {
    const [here, there] = [mrk('us-east-1'), mrk('eu-west-1')];
    expect(await askedFor({ keyIds: [here] }, there, mrk('us-east-1', 'mrk-2'), mrk('eu-west-1', '1'))).toEqual([here]);
  });

  it("about the client's replica where no key was named", async () => {
    const arns = [mrk('eu-west-1'), mrk('eu-west-1', '1')];
    expect(await askedFor({ keyIds: [], region: 'us-east-1' }, ...arns)).toEqual([mrk('us-east-1'), arns[1]]);
  });

  it('about keys of allowed accounts only, where no key or only an alias was named', async () => {
    const discovery = { accountIds: ['111122223333'] };
    const [allowed, other] = [mrk('us-east-1', '1'), mrk('us-east-1', '1', '999999999999')];
    expect(await askedFor({ keyIds: [], discovery }, other, allowed)).toEqual([allowed]);
    asked = [];
    expect(await askedFor({ keyIds: ['alias/mine'], discovery }, other, allowed)).toEqual([allowed]);
    asked = [];
    expect(await askedFor({ keyIds: [other], discovery }, other, allowed)).toEqual([other]);
  });

  it('with the grant tokens in every call', async () => {
    const keyIds = [sandbox.kmsKeyId, sandbox.kmsKeyId];
    const keyring = keyringOf({ keyIds, grantTokens: ['one', 'two'] });
    using made = await keyring.makeDataKey({ encryptionContext: {} });
    using opened = await keyring.openDataKey({ encryptionContext: {}, encryptedDataKeys: made.encryptedDataKeys });
    expect(opened.bytes).toEqual(made.dataKey.bytes);
    expect(asked.map(({ GrantTokens }) => GrantTokens)).toEqual(Array(3).fill(['one', 'two']));
  });

  it('to wrap what another keyring made', async () => {
    const keyring = keyringOf({ keyIds: [sandbox.kmsKeyId] });
    const dataKey = { bytes: Buffer.alloc(32, 'made elsewhere'), [Symbol.dispose]: () => {} };
    const encryptedDataKeys = await keyring.wrapDataKey(dataKey, { encryptionContext: { a: 'b' } });
    using opened = await keyring.openDataKey({ encryptionContext: { a: 'b' }, encryptedDataKeys });
    expect(opened.bytes).toEqual(dataKey.bytes);
    expect(await keyringOf({ keyIds: [] }).wrapDataKey(dataKey, { encryptionContext: {} })).toEqual([]);
  });
});
