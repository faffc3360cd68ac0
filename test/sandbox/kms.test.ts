import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SandboxKms, type SandboxKmsOptions } from '../../src/sandbox/kms.ts';

const account = { region: 'eu-west-1', accountId: '111122223333' };
const folder = mkdtempSync(join(tmpdir(), 'sealift-kms-'));
afterAll(() => rmSync(folder, { recursive: true }));

// biome-ignore lint/suspicious/noExplicitAny: answers are JSON, and each test knows its own.
type Answer = any;

function sandbox(options: Partial<SandboxKmsOptions> = {}) {
  const kms = new SandboxKms({ ...account, ...options });
  return {
    kms,
    key: kms.defaultKeyArn,
    ok(operation: string, body: object): Answer {
      const answer = kms.handle(operation, body);
      expect(answer, `${operation} should succeed`).toMatchObject({ status: 200 });
      return answer.body;
    },
    /** The error's type, after checking that it came as KMS sends it. */
    fails(operation: string, body: object): string {
      const { status, body: error } = kms.handle(operation, body) as { status: number; body: Answer };
      expect(status).toBe(400);
      return error.__type;
    },
    message(operation: string, body: object): string {
      return (kms.handle(operation, body).body as Answer).message;
    },
  };
}

describe('data keys', () => {
  it('come back from Decrypt, whatever the order of the context', () => {
    const { ok, key } = sandbox();
    const made = ok('GenerateDataKey', { KeyId: key, NumberOfBytes: 32, EncryptionContext: { a: '1', b: '2' } });
    expect(Buffer.from(made.Plaintext, 'base64')).toHaveLength(32);
    const opened = ok('Decrypt', { CiphertextBlob: made.CiphertextBlob, EncryptionContext: { b: '2', a: '1' } });
    expect(opened).toEqual({ KeyId: key, Plaintext: made.Plaintext, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
  });

  it('take KeySpec or NumberOfBytes, one of them', () => {
    const { ok, fails, key: KeyId } = sandbox();
    const sizeOf = (answer: Answer) => Buffer.from(answer.Plaintext, 'base64').length;
    expect(sizeOf(ok('GenerateDataKey', { KeyId, KeySpec: 'AES_256' }))).toBe(32);
    expect(sizeOf(ok('GenerateDataKey', { KeyId, KeySpec: 'AES_128' }))).toBe(16);
    expect(sizeOf(ok('GenerateDataKey', { KeyId, NumberOfBytes: 1024 }))).toBe(1024);
    for (const wrong of [{}, { KeySpec: 'AES_256', NumberOfBytes: 32 }, { KeySpec: 'DES' }, { NumberOfBytes: 1025 }]) {
      expect(fails('GenerateDataKey', { KeyId, ...wrong })).toBe('ValidationException');
    }
  });

  it('come without their plaintext where asked', () => {
    const { ok, key: KeyId } = sandbox();
    const made = ok('GenerateDataKeyWithoutPlaintext', { KeyId, NumberOfBytes: 24 });
    expect(Object.keys(made).sort()).toEqual(['CiphertextBlob', 'KeyId']);
    const opened = ok('Decrypt', { CiphertextBlob: made.CiphertextBlob });
    expect(Buffer.from(opened.Plaintext, 'base64')).toHaveLength(24);
  });

  it('are moved by ReEncrypt from key to key and context to context', () => {
    const { ok, fails, key } = sandbox();
    const other = ok('CreateKey', {}).KeyMetadata.Arn;
    const made = ok('GenerateDataKey', { KeyId: key, NumberOfBytes: 32, EncryptionContext: { from: 'here' } });
    const moved = ok('ReEncrypt', {
      CiphertextBlob: made.CiphertextBlob,
      SourceEncryptionContext: { from: 'here' },
      DestinationKeyId: other,
      DestinationEncryptionContext: { to: 'there' },
    });
    expect(moved).toMatchObject({ SourceKeyId: key, KeyId: other });
    const CiphertextBlob = moved.CiphertextBlob;
    expect(fails('Decrypt', { CiphertextBlob, EncryptionContext: { from: 'here' } })).toBe(
      'InvalidCiphertextException',
    );
    const opened = ok('Decrypt', { CiphertextBlob, EncryptionContext: { to: 'there' } });
    expect(opened).toMatchObject({ KeyId: other, Plaintext: made.Plaintext });
  });

  it('are sealed for any key by Encrypt, up to 4,096 bytes', () => {
    const { ok, fails, key: KeyId } = sandbox();
    const Plaintext = Buffer.alloc(4096, 7).toString('base64');
    const sealed = ok('Encrypt', { KeyId, Plaintext });
    expect(ok('Decrypt', { CiphertextBlob: sealed.CiphertextBlob }).Plaintext).toBe(Plaintext);
    const tooLong = Buffer.alloc(4097).toString('base64');
    expect(fails('Encrypt', { KeyId, Plaintext: tooLong })).toBe('ValidationException');
  });
});

describe('what does not open', () => {
  it.each([
    ['another value', { a: '2' }],
    ['another case', { A: '1' }],
    ['one more pair', { a: '1', b: '' }],
    ['no context', {}],
  ])('another context: %s', (_, EncryptionContext) => {
    const { ok, fails, key } = sandbox();
    const { CiphertextBlob } = ok('GenerateDataKey', {
      KeyId: key,
      NumberOfBytes: 32,
      EncryptionContext: { a: '1' },
    });
    expect(fails('Decrypt', { CiphertextBlob, EncryptionContext })).toBe('InvalidCiphertextException');
  });

  it('a blob with any one bit flipped', () => {
    const { ok, kms, key } = sandbox();
    const blob = Buffer.from(ok('GenerateDataKey', { KeyId: key, NumberOfBytes: 32 }).CiphertextBlob, 'base64');
    for (let index = 0; index < blob.length; index++) {
      const flipped = Buffer.from(blob);
      flipped[index]! ^= 1 << (index % 8);
      expect(kms.handle('Decrypt', { CiphertextBlob: flipped.toString('base64') }).status).toBe(400);
    }
  });

  it('a blob of another sandbox, or no blob at all', () => {
    const foreign = sandbox();
    const { CiphertextBlob } = foreign.ok('GenerateDataKey', { KeyId: foreign.key, NumberOfBytes: 32 });
    const { fails } = sandbox();
    expect(fails('Decrypt', { CiphertextBlob })).toBe('AccessDeniedException');
    expect(fails('Decrypt', { CiphertextBlob: 'AAAA' })).toBe('InvalidCiphertextException');
    expect(fails('Decrypt', { CiphertextBlob: '' })).toBe('ValidationException');
    expect(fails('Decrypt', { CiphertextBlob: '!' })).toBe('SerializationException');
    expect(fails('Decrypt', {})).toBe('ValidationException');
  });

  it('a blob under another key than KeyId names', () => {
    const { ok, fails, key } = sandbox();
    const other = ok('CreateKey', {}).KeyMetadata.KeyId;
    const { CiphertextBlob } = ok('GenerateDataKey', { KeyId: key, NumberOfBytes: 32 });
    ok('Decrypt', { CiphertextBlob, KeyId: key });
    expect(fails('Decrypt', { CiphertextBlob, KeyId: other })).toBe('IncorrectKeyException');
    const missing = '00000000-0000-0000-0000-000000000000';
    expect(fails('Decrypt', { CiphertextBlob, KeyId: missing })).toBe('NotFoundException');
  });
});

describe('names of keys', () => {
  it('are ids, ARNs, aliases and alias ARNs', () => {
    const { ok, key } = sandbox();
    ok('CreateAlias', { AliasName: 'alias/mine', TargetKeyId: key });
    const id = key.split('/')[1];
    for (const KeyId of [id, key, 'alias/mine', 'arn:aws:kms:eu-west-1:111122223333:alias/mine']) {
      expect(ok('GenerateDataKey', { KeyId, NumberOfBytes: 32 }).KeyId).toBe(key);
    }
  });

  it.each([
    ['alias/nobody', 'Alias arn:aws:kms:eu-west-1:111122223333:alias/nobody is not found.'],
    ['0000', "Key 'arn:aws:kms:eu-west-1:111122223333:key/0000' does not exist"],
    ['arn:aws:kms:us-east-1:111122223333:key/0000', 'Invalid arn us-east-1'],
  ])('%s is not found', (KeyId, words) => {
    const { fails, message } = sandbox();
    expect(fails('DescribeKey', { KeyId })).toBe('NotFoundException');
    expect(message('DescribeKey', { KeyId })).toBe(words);
  });

  it('are not aliases where a key is changed', () => {
    const { fails } = sandbox();
    expect(fails('DisableKey', { KeyId: 'alias/sandbox' })).toBe('NotFoundException');
  });

  it('must be new and well formed to become aliases', () => {
    const { fails, key: TargetKeyId } = sandbox();
    expect(fails('CreateAlias', { AliasName: 'alias/sandbox', TargetKeyId })).toBe('AlreadyExistsException');
    for (const AliasName of ['mine', 'alias/', 'alias/aws/s3', 'alias/a b']) {
      expect(fails('CreateAlias', { AliasName, TargetKeyId })).toBe('InvalidAliasNameException');
    }
  });

  it('are listed page by page', () => {
    const { ok, fails } = sandbox();
    for (let count = 0; count < 6; count++) {
      const { KeyId } = ok('CreateKey', {}).KeyMetadata;
      ok('CreateAlias', { AliasName: `alias/${count}`, TargetKeyId: KeyId });
    }
    for (const [operation, list] of [
      ['ListKeys', 'Keys'],
      ['ListAliases', 'Aliases'],
    ] as const) {
      const first = ok(operation, { Limit: 4 });
      const second = ok(operation, { Limit: 4, Marker: first.NextMarker });
      expect([first[list].length, first.Truncated, second[list].length, second.Truncated]).toEqual([4, true, 3, false]);
      expect(new Set([...first[list], ...second[list]].map((item) => JSON.stringify(item))).size).toBe(7);
      expect(fails(operation, { Marker: 'x' })).toBe('InvalidMarkerException');
    }
  });
});

describe('key states', () => {
  const uses: [string, (key: string, blob: string) => object][] = [
    ['GenerateDataKey', (KeyId) => ({ KeyId, NumberOfBytes: 32 })],
    ['GenerateDataKeyWithoutPlaintext', (KeyId) => ({ KeyId, NumberOfBytes: 32 })],
    ['Encrypt', (KeyId) => ({ KeyId, Plaintext: 'AAAA' })],
    ['Decrypt', (_, CiphertextBlob) => ({ CiphertextBlob })],
    ['ReEncrypt', (DestinationKeyId, CiphertextBlob) => ({ DestinationKeyId, CiphertextBlob })],
  ];

  it.each(uses)('%s needs an enabled key that is allowed', (operation, request) => {
    const { kms, ok, fails, key: KeyId } = sandbox();
    const body = request(KeyId, ok('GenerateDataKey', { KeyId, NumberOfBytes: 32 }).CiphertextBlob);
    ok('DisableKey', { KeyId });
    expect(fails(operation, body)).toBe('DisabledException');
    ok('EnableKey', { KeyId });
    ok(operation, body);
    ok('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    expect(fails(operation, body)).toBe('KMSInvalidStateException');
    ok('CancelKeyDeletion', { KeyId });
    expect(fails(operation, body)).toBe('DisabledException');
    ok('EnableKey', { KeyId });
    kms.denied.add(KeyId);
    expect(fails(operation, body)).toBe('AccessDeniedException');
    kms.denied.delete(KeyId);
    ok(operation, body);
  });

  it('are described, with the day of deletion', () => {
    const { ok, fails, key: KeyId } = sandbox();
    expect(ok('DescribeKey', { KeyId }).KeyMetadata).toMatchObject({ Arn: KeyId, Enabled: true, KeyState: 'Enabled' });
    const { DeletionDate } = ok('ScheduleKeyDeletion', { KeyId });
    expect(DeletionDate * 1000 - Date.now()).toBeGreaterThan(29.9 * 86_400_000);
    expect(ok('DescribeKey', { KeyId }).KeyMetadata).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate });
    for (const operation of ['EnableKey', 'DisableKey', 'ScheduleKeyDeletion']) {
      expect(fails(operation, { KeyId })).toBe('KMSInvalidStateException');
    }
    ok('CancelKeyDeletion', { KeyId });
    expect(ok('DescribeKey', { KeyId }).KeyMetadata).not.toHaveProperty('DeletionDate');
    expect(fails('CancelKeyDeletion', { KeyId })).toBe('KMSInvalidStateException');
  });
});

describe('the quota', () => {
  /** Waits for a fresh second, so that the calls that follow share one. */
  async function nextSecond(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1001 - (Date.now() % 1000)));
  }

  it('is shared by cryptographic operations, in each second of the clock', async () => {
    const { kms, ok, key: KeyId } = sandbox({ quotaPerSecond: 4 });
    await nextSecond();
    const { CiphertextBlob } = ok('GenerateDataKey', { KeyId, NumberOfBytes: 32 });
    ok('Encrypt', { KeyId, Plaintext: 'AAAA' });
    ok('Decrypt', { CiphertextBlob });
    ok('GenerateRandom', { NumberOfBytes: 1 });
    expect(kms.handle('Decrypt', { CiphertextBlob })).toEqual({
      status: 400,
      body: {
        __type: 'ThrottlingException',
        message: 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
      },
    });
    ok('DescribeKey', { KeyId });
    await nextSecond();
    ok('Decrypt', { CiphertextBlob });
  });
});

describe('the state file', () => {
  it('keeps keys, aliases and states over a restart, readable by its owner alone', () => {
    const stateFile = join(folder, 'keys.json');
    const before = sandbox({ stateFile });
    const other = before.ok('CreateKey', { Description: 'other' }).KeyMetadata.Arn;
    before.ok('CreateAlias', { AliasName: 'alias/other', TargetKeyId: other });
    const { CiphertextBlob, Plaintext } = before.ok('GenerateDataKey', { KeyId: before.key, NumberOfBytes: 32 });
    before.ok('DisableKey', { KeyId: other });
    expect(statSync(stateFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(stateFile, 'utf8')).not.toContain(Plaintext);

    const after = sandbox({ stateFile });
    expect(after.key).toBe(before.key);
    expect(after.ok('Decrypt', { CiphertextBlob }).Plaintext).toBe(Plaintext);
    const { KeyMetadata } = after.ok('DescribeKey', { KeyId: 'alias/other' });
    expect(KeyMetadata).toMatchObject({ Arn: other, Description: 'other', KeyState: 'Disabled' });
  });
});

it('refuses a state file that is damaged, and shows nothing of it', () => {
  const stateFile = join(folder, 'damaged.json');
  writeFileSync(stateFile, 'secret');
  const starting = () => new SandboxKms({ ...account, stateFile });
  expect(starting).toThrow(
    expect.objectContaining({ code: 'bad-option', message: expect.not.stringMatching(/secret/) }),
  );
});

describe('requests that are wrong in themselves', () => {
  it.each<[string, string, unknown, string]>([
    ['an unknown operation', 'Sign', {}, 'UnknownOperationException'],
    ['an operation named like a method', 'constructor', {}, 'UnknownOperationException'],
    ['a body that is no object', 'ListKeys', [], 'SerializationException'],
    ['a number for a string', 'DescribeKey', { KeyId: 5 }, 'SerializationException'],
    [
      'a context of numbers',
      'Encrypt',
      { KeyId: 'x', Plaintext: 'AAAA', EncryptionContext: { a: 1 } },
      'SerializationException',
    ],
    ['no key', 'DescribeKey', {}, 'ValidationException'],
    ['an empty key', 'DescribeKey', { KeyId: '' }, 'ValidationException'],
    ['random bytes without a number', 'GenerateRandom', {}, 'ValidationException'],
    ['an asymmetric key', 'CreateKey', { KeySpec: 'RSA_2048' }, 'UnsupportedOperationException'],
    ['a dry run', 'GenerateRandom', { NumberOfBytes: 1, DryRun: true }, 'UnsupportedOperationException'],
  ])('%s', (_, operation, body, type) => {
    const answer = new SandboxKms(account).handle(operation, body);
    expect(answer).toMatchObject({ status: 400, body: { __type: type } });
  });
});
