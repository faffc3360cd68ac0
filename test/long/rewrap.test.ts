/**
 * Large objects under other keys: `rewrap` has S3 copy 6 GiB in parts and moves none of them through here, and `reseal` that
 * is killed half way goes on where it stopped.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { decodeHeader } from '../../src/formats/s3ec/header.ts';
import { GiB, MiB } from '../../src/units.ts';
import { run, type SandboxProcess, start, startSandboxProcess } from '../support/cli.ts';
import { sha256Of, writeRandomFile, writeSparseFile } from '../support/files.ts';
import { hasJava, JAVA_BUILD_MS, JavaClient, OPENED_BY_JAVA } from '../support/java-client.ts';
import { checkRecords } from '../support/records.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-rewrap-'));
let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess(
    ['--bucket', 'bkt', '--dir', join(folder, 'store')],
    join(folder, 'requests.log'),
  );
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  vi.stubEnv('SEALIFT_STATE_DIR', join(folder, 'state'));
});
afterAll(async () => {
  await sandbox.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test(`rewrap of 6 GiB moves no bytes of the object, and the old key opens it no longer (${OPENED_BY_JAVA})`, {
  timeout: 900_000 + JAVA_BUILD_MS,
}, async () => {
  const source = join(folder, 'large');
  const size = 6 * GiB;
  writeSparseFile(source, size);
  const object = 's3://bkt/large';
  const [old, next] = [await newKey(), await newKey()];
  expect(await run(['put', source, object, '--kms-key', old, '--format', 's3ec', '--json'])).toMatchObject({ exit: 0 });
  const before = await headOf('large');
  const seen = sandbox.log().length;
  const rewrapped = await run(['rewrap', object, '--kms-key', next, '--json']);
  expect(rewrapped).toMatchObject({ exit: 0, last: { command: 'rewrap', plainBytes: size, parts: 7, kmsCalls: 2 } });
  const made = sandbox.log().slice(seen);
  expect(made.filter(({ operation }) => operation === 'UploadPartCopy')).toHaveLength(7);
  expect(made.reduce((sum, { bytesIn, bytesOut }) => sum + bytesIn + bytesOut, 0)).toBeLessThan(64 * 1024);

  // The bytes are the same, and so what opens them is the key alone.
  const after = await headOf('large');
  expect(after).toMatchObject({ ContentLength: before.ContentLength, ChecksumCRC32: before.ChecksumCRC32 });
  const header = decodeHeader(after.Metadata!);
  expect(header).toEqual({ ...decodeHeader(before.Metadata!), wrappedKey: header.wrappedKey });
  expect(await run(['verify', object, '--kms-key', next])).toMatchObject({ exit: 0 });
  if (hasJava) {
    const java = new JavaClient(sandbox.env);
    const open = (kmsKeyId: string) => java.sha256Of({ bucket: 'bkt', key: 'large', size, kmsKeyId });
    expect(await open(next)).toBe(await sha256Of(source));
    await expect(open(old)).rejects.toThrow('IncorrectKeyException');
    java.close();
  }
  expect(await run(['rewrap', object, '--kms-key', old, '--old-kms-key', old])).toMatchObject({ exit: 1 });
  expect(await run(['rewrap', object, '--kms-key', old, '--old-kms-key', next])).toMatchObject({ exit: 0 });
});

test.each([
  ['a message', [], []],
  ['a signed message', ['--sign'], ['--sign']],
  ['an object of the S3 Encryption Client', ['--format', 's3ec'], []],
  ['one that becomes a message', ['--format', 's3ec'], ['--format', 'esdk']],
])(
  'reseal of %s that is killed half way goes on, and seals nothing twice under one nonce',
  {
    timeout: 600_000,
  },
  async (name, put, reseal) => {
    const source = join(folder, name);
    const records = join(folder, `records of ${name}`);
    mkdirSync(records);
    writeRandomFile(source, 256 * MiB);
    const object = `s3://bkt/${name}`;
    const key = ['--kms-key', 'alias/sandbox', '--json'];
    expect(await run(['put', source, object, ...put, ...key])).toMatchObject({ exit: 0 });
    const { ETag } = await headOf(name);
    const begun = start(['reseal', object, ...reseal, ...key, '--bwlimit', '100MiB/s'], { records });
    await begun.until(({ type, ackedBytes }) => type === 'progress' && Number(ackedBytes) >= 64 * MiB);
    begun.child.kill('SIGKILL');
    await begun.ended;
    expect((await headOf(name)).ETag).toBe(ETag);
    const resumed = await run(['resume', '--json'], { records });
    expect(resumed).toMatchObject({ exit: 0, last: { command: 'reseal', plainBytes: 256 * MiB, parts: 32 } });
    expect(resumed.last!.partsReused).toBeGreaterThanOrEqual(8);
    expect(checkRecords(records).violations).toEqual([]);
    const back = join(folder, `back of ${name}`);
    expect(await run(['get', object, back])).toMatchObject({ exit: 0 });
    expect(await sha256Of(back)).toBe(await sha256Of(source));
  },
);

async function headOf(Key: string) {
  const s3 = new S3Client({ forcePathStyle: true });
  const head = await s3.send(new HeadObjectCommand({ Bucket: 'bkt', Key, ChecksumMode: 'ENABLED' }));
  s3.destroy();
  return head;
}

async function newKey(): Promise<string> {
  const kms = new KMSClient({});
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  kms.destroy();
  return KeyMetadata!.Arn!;
}
