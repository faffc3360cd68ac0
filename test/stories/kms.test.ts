/** What objects cost at KMS: one call for one, and one for many that the same engine seals. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine, kmsKeyring } from '../../src/index.ts';
import { runLanes } from '../../src/parts/lanes.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { MEMORY_FOLDER } from '../support/files.ts';

const OBJECT_COUNT = 100;
const folder = mkdtempSync(join(MEMORY_FOLDER, 'sealift-kms-'));
const source = join(folder, 'source');
let sandbox: SandboxProcess;

beforeAll(async () => {
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'requests.log'));
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  writeFileSync(source, Buffer.alloc(1000, 'small'));
});

afterAll(async () => {
  await sandbox.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const calls = () => sandbox.log().filter(({ service }) => service === 'kms');

function newEngine() {
  return createEngine({ keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }), stateDir: join(folder, 'jobs') });
}

test('one object costs one call', async () => {
  await using engine = newEngine();
  const { kmsCalls, kmsRequestIds } = await engine.put({ source, target: 's3://bkt/one' });
  expect(kmsCalls).toBe(1);
  expect(calls().map(({ requestId }) => requestId)).toEqual(kmsRequestIds);
});

test(`${OBJECT_COUNT} small puts of one engine cost one call`, async () => {
  const before = calls().length;
  let counted = 0;
  await using engine = newEngine();
  await runLanes({
    items: Array(OBJECT_COUNT).keys(),
    lanes: { count: 16 },
    work: async (index) => {
      const { kmsCalls } = await engine.put({ source, target: `s3://bkt/many/${index}` });
      counted += kmsCalls;
    },
  });
  expect(calls().length - before).toBe(1);
  expect(counted).toBe(1);
  expect(engine.keyStats()).toEqual({ hits: OBJECT_COUNT - 1, misses: 1 });
});
