/** The encryption context of a put: the user's, and one name of ours that the user may not take. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine } from '../../src/engine.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';

let folder: string;
let sandbox: Sandbox;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  await writeFile(join(folder, 'file'), 'content');
  sandbox = await startSandbox({ buckets: ['bucket'] });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
});

afterAll(async () => {
  await sandbox.close();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

function newEngine() {
  const keyring = rawAesKeyring({ namespace: 'test', name: 'test', key: Buffer.alloc(32, 1) });
  return createEngine({ keyring, stateDir: join(folder, 'state') });
}

test("is the user's, with our mark", async () => {
  await using engine = newEngine();
  const target = 's3://bucket/marked';
  await engine.put({ source: join(folder, 'file'), target, context: { purpose: 'test' } });
  expect(await engine.inspect(target)).toMatchObject({
    encryptionContext: { purpose: 'test', 'sealift-name': '1' },
    boundToName: true,
  });
});

test.each(['0', '1'])('our name is refused, even with the value %s, and nothing is left behind', async (value) => {
  await using engine = newEngine();
  const target = `s3://bucket/refused ${value}`;
  const jobs = engine.jobs();
  await expect(
    engine.put({ source: join(folder, 'file'), target, context: { 'sealift-name': value } }),
  ).rejects.toMatchObject({ code: 'bad-context', message: expect.stringContaining('"sealift-name"'), exit: 2 });
  expect(engine.jobs()).toEqual(jobs);
  await expect(engine.inspect(target)).rejects.toMatchObject({ code: 'object-not-found' });
});
