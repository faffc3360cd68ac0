import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SealiftError } from '../../src/errors.ts';
import { readKeyFile, writeKeyFile } from '../../src/keys/key-file.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import { run } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const newPath = () => join(folder, `${count++}.json`);

function fileOf(content: string, mode = 0o600): string {
  const path = newPath();
  writeFileSync(path, content, { mode });
  chmodSync(path, mode);
  return path;
}

const secret = Buffer.alloc(32, 'secret').toString('base64');
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const good = { type: 'raw-aes', namespace: 'lab', name: 'n', key: secret };

describe('keygen', () => {
  it('writes a new key that reads back, for its owner alone', async () => {
    const paths = [newPath(), newPath()];
    const names = [await writeKeyFile(paths[0]!), await writeKeyFile(paths[1]!)];
    expect(names[0]).not.toEqual(names[1]);
    expect(statSync(paths[0]!).mode & 0o777).toBe(0o600);
    const content = JSON.parse(readFileSync(paths[0]!, 'utf8'));
    expect(content).toMatchObject({ type: 'raw-aes', ...names[0] });
    expect(Buffer.from(content.key, 'base64')).toHaveLength(32);

    const [first, second] = [await readKeyFile(paths[0]!), await readKeyFile(paths[1]!)];
    using made = await first.makeDataKey({ encryptionContext: {} });
    const request = { encryptionContext: {}, encryptedDataKeys: made.encryptedDataKeys };
    using opened = await (await readKeyFile(paths[0]!)).openDataKey(request);
    expect(opened.bytes).toEqual(made.dataKey.bytes);
    await expect(second.openDataKey(request)).rejects.toMatchObject({ code: 'wrong-key' });
  });

  it('overwrites nothing', async () => {
    const path = fileOf('precious');
    await expect(writeKeyFile(path)).rejects.toMatchObject({
      code: 'target-exists',
      hint: expect.stringMatching(/.../),
    });
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  it('leaves nothing where it cannot write all of it, so that the next try finds room', async () => {
    const path = newPath();
    const keygen = ['keygen', path, '--json'];
    const cut = await run(keygen, { under: ['sh', '-c', 'ulimit -f 0; exec "$@"', 'sh'] });
    expect(cut).toMatchObject({
      exit: 1,
      last: { code: 'target-unwritable', message: expect.stringContaining('EFBIG') },
    });
    expect(await run(keygen)).toMatchObject({ exit: 0 });
  });

  it('says where it cannot write', async () => {
    await expect(writeKeyFile(join(folder, 'none', 'key'))).rejects.toMatchObject({ code: 'target-unwritable' });
  });
});

describe('reading', () => {
  it('takes any raw AES key', async () => {
    const keyring = await readKeyFile(fileOf(JSON.stringify(good)));
    expect(keyring.id).toBe(rawAesKeyring({ namespace: 'lab', name: 'n', key: Buffer.from(secret, 'base64') }).id);
  });

  it.each([0o640, 0o604, 0o620, 0o666])('refuses mode %o and says how to mend it', async (mode) => {
    const path = fileOf(JSON.stringify(good), mode);
    await expect(readKeyFile(path)).rejects.toMatchObject({
      code: 'bad-key-file',
      exit: 2,
      hint: expect.stringContaining(`chmod 600 ${path}`),
    });
  });

  it.each([
    ['no JSON', `{"key": ${secret}`],
    ['no object', `["${secret}"]`],
    ['a missing member', JSON.stringify({ ...good, name: undefined })],
    ['a name that is no text', JSON.stringify({ ...good, name: 7 })],
    ['a key that is not base64', JSON.stringify({ ...good, key: `${secret}!` })],
    ['a key of a wrong size', JSON.stringify({ ...good, key: secret.slice(0, 20) })],
    ['a namespace of AWS', JSON.stringify({ ...good, namespace: 'aws-kms' })],
    ['far too much', JSON.stringify({ ...good, more: 'x'.repeat(100_000) })],
  ])('refuses %s, and shows nothing of the key', async (_, content) => {
    const error = await readKeyFile(fileOf(content)).then(
      () => undefined,
      (thrown: SealiftError) => thrown,
    );
    expect(error).toMatchObject({ code: 'bad-key-file', hint: expect.stringContaining('keygen') });
    expect(`${error!.message} ${error!.hint} ${error!.stack} ${String(error!.cause)}`).not.toContain(
      secret.slice(0, 16),
    );
  });

  it('refuses what is not a file, without waiting for it', async () => {
    const directory = newPath();
    mkdirSync(directory);
    const pipe = newPath();
    execFileSync('mkfifo', ['-m', '600', pipe]);
    for (const path of [newPath(), directory, pipe]) {
      await expect(readKeyFile(path)).rejects.toMatchObject({ code: 'bad-key-file' });
    }
  });

  it('takes RSA keys, and PKCS#1 v1.5 only where it is allowed', async () => {
    const file = { type: 'raw-rsa', namespace: 'lab', name: 'n', padding: 'oaep-sha256', privateKey: pem };
    const keyring = await readKeyFile(fileOf(JSON.stringify(file)));
    expect(keyring.id).toBe(rawRsaKeyring({ namespace: 'lab', name: 'n', padding: 'oaep-sha256', privateKey: pem }).id);
    const old = fileOf(JSON.stringify({ ...file, padding: 'pkcs1' }));
    await expect(readKeyFile(old)).rejects.toMatchObject({
      code: 'bad-option',
      hint: expect.stringContaining('--allow-pkcs1'),
    });
    await readKeyFile(old, { allowPkcs1: true });
  });

  it.each([
    ['another type', { type: 'raw-ec' }],
    ['no type', { type: undefined }],
    ['an RSA key without a padding', { type: 'raw-rsa', privateKey: pem }],
    ['an RSA key of another padding', { type: 'raw-rsa', padding: 'none', privateKey: pem }],
    ['no RSA key', { type: 'raw-rsa', padding: 'oaep-sha1' }],
    ['an RSA key that is none', { type: 'raw-rsa', padding: 'oaep-sha1', privateKey: pem.slice(0, 500) }],
  ])('refuses %s, and shows nothing of the key', async (_, changes) => {
    const path = fileOf(JSON.stringify({ namespace: 'lab', name: 'n', ...changes }));
    const error = await readKeyFile(path).then(
      () => undefined,
      (thrown: SealiftError) => thrown,
    );
    expect(error).toMatchObject({ code: 'bad-key-file', message: expect.stringContaining(path) });
    expect(`${error!.message} ${error!.stack} ${String(error!.cause)}`).not.toContain(pem.slice(100, 120));
  });
});
