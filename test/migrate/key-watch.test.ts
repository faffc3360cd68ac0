/** A key that is taken away in the middle: a migration is paused by it, though its data key would serve for an hour. */
import { DisableKeyCommand, EnableKeyCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { EngineKeys } from '../../src/engine/keys.ts';
import { SealiftError } from '../../src/errors.ts';
import { kmsKeyring } from '../../src/index.ts';
import type { Tools } from '../../src/job.ts';
import { watchKey } from '../../src/migrate/key-watch.ts';
import { Pause } from '../../src/migrate/pause.ts';
import { Progress } from '../../src/progress.ts';
import { formatFor } from '../../src/put/format.ts';
import { kmsClientOf, openSandbox, type TestSandbox } from '../sandbox/s3-client.ts';
import { keyring as rawKeyring } from '../support/stage.ts';

let stage: TestSandbox;
beforeAll(async () => {
  stage = await openSandbox();
  for (const [name, value] of Object.entries(stage.sandbox.env)) vi.stubEnv(name, value);
});
afterAll(async () => {
  await stage.close();
  vi.unstubAllEnvs();
});

/** Watches without a wait, until it ends by itself or `through`. */
async function watch(keyring: ConstructorParameters<typeof EngineKeys>[0]['keyring'], through: AbortSignal) {
  const keys = new EngineKeys({ keyring }, { onRetry: () => {}, onNotice: () => {} });
  const pause = new Pause(undefined, 'migrate-test');
  const tools = { keyring: keys } as unknown as Tools;
  try {
    await watchKey({ tools, format: formatFor({}), pause, progress: new Progress({}) }, through, 1);
  } finally {
    await keys.close();
  }
  return pause;
}

const calls = () => stage.records.filter(({ operation }) => operation === 'GenerateDataKey');
const never = new AbortController().signal;

test('a key that is disabled pauses the job, and says how it goes on', async () => {
  const kms = kmsClientOf(stage.sandbox);
  const { kmsKeyId: KeyId } = stage.sandbox;
  await kms.send(new DisableKeyCommand({ KeyId }));
  const pause = await watch(kmsKeyring({ keyIds: [KeyId] }), never);
  await kms.send(new EnableKeyCommand({ KeyId }));
  kms.destroy();
  expect(() => pause.check()).toThrow(
    expect.objectContaining({ code: 'kms-key-disabled', hint: expect.stringContaining('sealift resume migrate-test') }),
  );
});

test('a key that may be used, or of which KMS does not tell, pauses nothing', async () => {
  const before = calls().length;
  stage.sandbox.setFaults('GenerateDataKey:2=400/LimitExceededException');
  const through = new AbortController();
  const watching = watch(kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId] }), through.signal);
  await vi.waitUntil(() => calls().length >= before + 3);
  through.abort();
  const pause = await watching;
  stage.sandbox.setFaults('');
  expect(() => pause.check()).not.toThrow();
});

test('a key of our own is asked for once, and then no more', async () => {
  const pause = await watch(rawKeyring, never);
  expect(() => pause.check()).not.toThrow();
});

test('a failure before KMS was asked ends no watch: the next time it may be asked', async () => {
  let count = 0;
  const makeDataKey: typeof rawKeyring.makeDataKey = async (request) => {
    count++;
    if (count === 1) throw new SealiftError('limiter-unavailable', 'No word from the limiter');
    return await rawKeyring.makeDataKey(request);
  };
  await watch({ ...rawKeyring, makeDataKey }, never);
  expect(count).toBe(2);
});
