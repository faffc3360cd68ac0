/** A request that is made again is told: to the job, to machines, with -v to people, and to the progress line. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine, type JobEvent, kmsKeyring } from '../../src/index.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { writeRandomFile } from '../support/files.ts';
import { runHere } from '../support/here.ts';

const FAULTS = 'GenerateDataKey:1=ThrottlingException; CreateMultipartUpload:1=500; UploadPart(part=1):1=SlowDown';
const RETRIES = [
  { type: 'retry', call: 'GenerateDataKey', throttled: true, reason: expect.stringContaining('ThrottlingException') },
  { type: 'retry', call: 'CreateMultipartUpload', throttled: false, reason: expect.stringMatching(/./) },
  { type: 'retry', call: 'UploadPart', throttled: true, reason: expect.stringMatching(/./) },
];

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const source = join(folder, 'file');
let sandbox: Sandbox;
beforeAll(async () => {
  writeRandomFile(source, 9 * MiB);
  sandbox = await startSandbox({ buckets: ['bucket'] });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
});
afterAll(async () => {
  await sandbox.close();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('a job hears of its requests to KMS and S3, from threads too, and other jobs do not once they are over', async () => {
  const events: Record<'one' | 'two', JobEvent[]> = { one: [], two: [] };
  await using engine = createEngine({
    keyring: kmsKeyring({ keyIds: [sandbox.kmsKeyId] }),
    stateDir: join(folder, 'state'),
    threads: 1,
    lanes: 1,
  });
  for (const name of ['one', 'two'] as const) {
    sandbox.setFaults(name === 'one' ? FAULTS : 'UploadPart:1=500');
    await engine.put({ source, target: `s3://bucket/${name}`, onEvent: (event) => events[name].push(event) });
  }
  const retries = (name: 'one' | 'two') => events[name].filter(({ type }) => type === 'retry');
  expect(retries('one')).toEqual(RETRIES);
  expect(retries('two')).toMatchObject([{ call: 'UploadPart', throttled: false }]);
});

test('a command tells machines, and with -v people', async () => {
  sandbox.setFaults(FAULTS);
  const env = { ...sandbox.env, SEALIFT_STATE_DIR: join(folder, 'state') };
  const put = await runHere(
    ['put', source, 's3://bucket/told', '--kms-key', sandbox.kmsKeyId, '--max-memory', '512MiB', '--json', '-v'],
    { env },
  );
  expect(put.lines.filter(({ type }) => type === 'retry')).toEqual(RETRIES);
  expect(put.stderr).toMatch(/^GenerateDataKey is tried again: KMS .*ThrottlingException.*\.$/m);
  expect(put.stderr).toMatch(/^UploadPart is tried again: .*\.$/m);
  expect(put.stderr).toMatch(/^The server asks to slow down: \d+ → \d+ parts at once\.$/m);
});

test('every request has attempts of its own: what others met before does not count', async () => {
  const small = join(folder, 'small');
  writeRandomFile(small, 1000);
  sandbox.setFaults('PutObject:1-60=500');
  await using engine = createEngine({
    keyring: kmsKeyring({ keyIds: [sandbox.kmsKeyId] }),
    stateDir: join(folder, 'state'),
  });
  const targets = Array.from({ length: 30 }, (_, index) => `s3://bucket/many/${index}`);
  const results = await Promise.all(targets.map((target) => engine.put({ source: small, target })));
  expect(results.map(({ object }) => object)).toEqual(targets);
});
