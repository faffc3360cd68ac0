/** KMS keys that are not there, not usable, or not ours; and a KMS that answers for another. */
import { writeFileSync } from 'node:fs';
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { type Engine, kmsKeyring } from '../../src/index.ts';
import { writeRandomFile } from '../support/files.ts';
import { type Act, PART_SIZE, refusal, Scene } from './scene.ts';

let scene: Scene;
let admin: KMSClient;
/** A key for these tests to break. */
let keyId: string;
beforeAll(async () => {
  scene = await Scene.open();
  const { env, kmsUrl } = scene.sandbox;
  const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! };
  admin = new KMSClient({ endpoint: kmsUrl, region: env.AWS_REGION!, credentials });
  keyId = (await admin.send(new CreateKeyCommand())).KeyMetadata!.Arn!;
});
afterEach(async () => {
  scene.calm();
  scene.sandbox.kms.denied.clear();
  await admin.send(new EnableKeyCommand({ KeyId: keyId }));
});
afterAll(async () => {
  admin.destroy();
  await scene.close();
});

function engineUnder(act: Act, ...keyIds: string[]): Engine {
  return act.engine({ keyring: kmsKeyring({ keyIds }) });
}

async function actWithObject(...keyIds: string[]): Promise<Act> {
  const act = await scene.act();
  writeFileSync(act.path('file'), 'content');
  await using engine = engineUnder(act, ...keyIds);
  await engine.put({ source: act.path('file'), target: act.url('there') });
  return act;
}

describe('a KMS key', () => {
  test.each<[what: string, code: string, remedy: RegExp, change: () => Promise<unknown> | undefined]>([
    ['that is disabled', 'kms-key-disabled', /enable-key/, () => admin.send(new DisableKeyCommand({ KeyId: keyId }))],
    ['that denies', 'kms-access-denied', /You need kms:/, () => void scene.sandbox.kms.denied.add(keyId)],
    ['while the credentials expire', 'credentials-expired', /Renew/, expire],
  ])('%s', async (_what, code, remedy, change) => {
    const act = await actWithObject(keyId);
    await change();
    await using engine = engineUnder(act, keyId);
    const told = await refusal(engine.put({ source: act.path('file'), target: act.url('new') }));
    expect(told).toMatchObject({ code, exit: 1, hint: expect.stringMatching(remedy) });
    expect(told.message).toContain(`KMS GenerateDataKey ${keyId}`);
    const toldByGet = await refusal(engine.get({ source: act.url('there'), target: act.path('back') }));
    expect(toldByGet).toMatchObject({ code, exit: 1, hint: expect.stringMatching(remedy) });
    expect(toldByGet.message).toContain(`KMS Decrypt ${keyId}`);
    expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
  });

  async function expire(): Promise<void> {
    scene.sandbox.setFaults('GenerateDataKey:*=ExpiredTokenException; Decrypt:*=ExpiredTokenException');
  }

  test.each(['alias/no-such-key', '00000000-0000-0000-0000-000000000000'])('that is unknown: %s', async (name) => {
    const act = await scene.act();
    writeFileSync(act.path('file'), 'content');
    await using engine = engineUnder(act, name);
    const told = await refusal(engine.put({ source: act.path('file'), target: act.url('new') }));
    expect(told).toMatchObject({ code: 'kms-key-not-found', exit: 1, message: expect.stringContaining(name) });
    expect(told.hint).toMatch(/--kms-key.*AWS_REGION/);
    expect(await act.left()).toEqual({ objects: [], uploads: 0, jobs: 0, files: ['file'] });
  });

  test('other than the one that sealed the object', async () => {
    const act = await actWithObject(keyId);
    await using engine = engineUnder(act, scene.sandbox.kmsKeyId);
    const told = await refusal(engine.get({ source: act.url('there'), target: act.path('back') }));
    expect(told).toMatchObject({ code: 'wrong-key', exit: 1, hint: expect.stringContaining(keyId) });
    expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
  });

  test('disabled between the put and its resume: the job waits for it', async () => {
    const act = await scene.act();
    writeRandomFile(act.path('film'), 2 * PART_SIZE);
    const request = { source: act.path('film'), target: act.url('film'), partSize: PART_SIZE };
    const stop = new AbortController();
    const onEvent = ({ type }: { type: string }) => type === 'progress' && stop.abort();
    {
      await using engine = engineUnder(act, keyId);
      expect(await refusal(engine.put({ ...request, onEvent, signal: stop.signal }))).toMatchObject({ exit: 4 });
    }
    await admin.send(new DisableKeyCommand({ KeyId: keyId }));
    await using engine = engineUnder(act, keyId);
    expect(await refusal(engine.put(request))).toMatchObject({ code: 'kms-key-disabled', exit: 1 });
    expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
    await admin.send(new EnableKeyCommand({ KeyId: keyId }));
    expect(await engine.put(request)).toMatchObject({ partsReused: 1 });
  });
});

test('a wrapped key that was altered beside one that was not: the header shows it', async () => {
  const act = await actWithObject(keyId, scene.sandbox.kmsKeyId);
  const { sealed, metadata } = await act.fetch('there');
  const second = decodeHeader(sealed)!.encryptedDataKeys[1]!.ciphertext;
  sealed[sealed.indexOf(second) + second.length - 1]! ^= 1;
  await act.store('there', sealed, metadata);
  await using engine = engineUnder(act);
  const told = await refusal(engine.get({ source: act.url('there'), target: act.path('back') }));
  expect(told).toMatchObject({ code: 'bad-header', exit: 6, hint: expect.stringMatching(/another (version|copy)/) });
  expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
});

describe('an endpoint of KMS', () => {
  test.each(['http://198.51.100.7', 'http://localhost:1'])('without TLS (%s): not one request', async (endpoint) => {
    const act = await scene.act();
    writeFileSync(act.path('file'), 'content');
    vi.stubEnv('AWS_ENDPOINT_URL_KMS', endpoint);
    await using engine = engineUnder(act, keyId);
    const told = await refusal(engine.put({ source: act.path('file'), target: act.url('new') }));
    expect(told).toMatchObject({ code: 'plain-http', exit: 2, message: expect.stringContaining(endpoint) });
    expect(told.hint).toMatch(/https/);
    expect(await act.left()).toEqual({ objects: [], uploads: 0, jobs: 0, files: ['file'] });
  });
});
