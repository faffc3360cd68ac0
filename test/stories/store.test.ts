/** A store that refuses, is elsewhere, or has something there already. */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEngine, type Keyring, rawAesKeyring } from '../../src/index.ts';
import { writeRandomFile } from '../support/files.ts';
import { type Act, KEY, PART_SIZE, refusal, Scene, type Told } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

/** A small file that is to go up, and an object that is there. */
async function actWithBoth(): Promise<Act & { source: string }> {
  const act = await scene.act();
  writeFileSync(act.path('file'), 'content');
  await using engine = act.engine();
  await engine.put({ source: act.path('file'), target: act.url('there') });
  return Object.assign(act, { source: act.path('file') });
}

/** Puts and gets, expects both to fail alike, and nothing to be there that was not. */
async function bothRefused(act: Act & { source: string }, remedy: RegExp): Promise<Told> {
  await using engine = act.engine();
  const told = await refusal(engine.put({ source: act.source, target: act.url('new') }));
  const toldByGet = await refusal(engine.get({ source: act.url('there'), target: act.path('back') }));
  for (const { hint } of [told, toldByGet]) expect(hint).toMatch(remedy);
  expect(toldByGet.code).toBe(told.code);
  expect((await refusal(engine.inspect(act.url('there')))).code).toBe(told.code);
  vi.unstubAllEnvs();
  scene.calm();
  expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
  return told;
}

describe('the bucket', () => {
  test('is not there', async () => {
    const act = await actWithBoth();
    await using engine = act.engine();
    for (const work of [
      () => engine.put({ source: act.source, target: 's3://no-such-bucket/x' }),
      () => engine.get({ source: 's3://no-such-bucket/x', target: act.path('back') }),
      () => engine.inspect('s3://no-such-bucket/x'),
    ]) {
      const told = await refusal(work());
      expect(told).toMatchObject({ code: 'bucket-not-found', exit: 1 });
      expect(told.message).toContain('s3://no-such-bucket/');
      expect(told.hint).toMatch(/Check the bucket name/);
    }
    expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
  });

  test('lies in another region', async () => {
    const act = await actWithBoth();
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    expect(await bothRefused(act, /AWS_REGION=us-east-1/)).toMatchObject({ code: 'wrong-region', exit: 1 });
  });
});

describe('the credentials', () => {
  test.each<[what: string, code: string, remedy: RegExp, change: () => void]>([
    ['have another secret', 'access-denied', /AWS_SECRET_ACCESS_KEY/, () => vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x')],
    ['are unknown', 'access-denied', /AWS_ACCESS_KEY_ID/, () => vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAUNKNOWN')],
    ['may do nothing', 'access-denied', /s3:(Get|Put)Object/, () => scene.sandbox.setFaults('*:*=AccessDenied')],
    ['have expired', 'credentials-expired', /Renew/, () => scene.sandbox.setFaults('*:*=ExpiredToken')],
    ['are missing', 'credentials-missing', /AWS_PROFILE/, withoutCredentials],
  ])('%s', async (_what, code, remedy, change) => {
    const act = await actWithBoth();
    change();
    expect(await bothRefused(act, remedy)).toMatchObject({ code, exit: 1 });
  });

  function withoutCredentials(): void {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/nowhere');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  }

  test.each([
    ['ExpiredToken', 'credentials-expired', /Renew/],
    ['AccessDenied', 'access-denied', /s3:PutObject/],
  ])('fail in the middle (%s): the job stays, and goes on once they are good again', async (fault, code, remedy) => {
    const act = await scene.act();
    writeRandomFile(act.path('film'), 3 * PART_SIZE);
    const request = { source: act.path('film'), target: act.url('film'), partSize: PART_SIZE };
    await using engine = act.engine();
    scene.sandbox.setFaults(`UploadPart:2-=${fault}`);
    expect(await refusal(engine.put(request))).toMatchObject({ code, exit: 1, hint: expect.stringMatching(remedy) });
    expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
    scene.sandbox.setFaults('');
    expect(await engine.put(request)).toMatchObject({ partsReused: 1 });
    expect(await act.left()).toEqual({ objects: ['film'], uploads: 0, jobs: 0, files: ['film'] });
  });
});

/** A keyring for which something happens while it is asked: after the first look at the object, before all else. */
function meanwhile(happens: () => Promise<void>): Keyring {
  const keyring = rawAesKeyring(KEY);
  return {
    id: keyring.id,
    makeDataKey: (request) => happens().then(() => keyring.makeDataKey(request)),
    openDataKey: (request) => happens().then(() => keyring.openDataKey(request)),
  };
}

describe('something is there already', () => {
  test('put: refused before KMS or S3 is asked for anything more, and replaced where that is wanted', async () => {
    const act = await actWithBoth();
    const etag = await act.etag('there');
    const request = { source: act.source, target: act.url('there') };
    await using engine = act.engine();
    const told = await refusal(engine.put(request));
    expect(told).toMatchObject({ code: 'target-exists', exit: 1, message: `${act.url('there')} exists already` });
    expect(told.hint).toContain('--overwrite');
    expect(await act.etag('there')).toBe(etag);
    expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
    await engine.put({ ...request, overwrite: true });
    expect(await act.etag('there')).not.toBe(etag);
  });

  test.each([
    ['of one part', 1000],
    ['of several', PART_SIZE + 1],
  ])('put %s: what comes while it works is not replaced', async (_what, size) => {
    const act = await scene.act();
    writeRandomFile(act.path('film'), size);
    await using engine = act.engine({ keyring: meanwhile(() => act.store('film', Buffer.from('theirs'))) });
    const request = { source: act.path('film'), target: act.url('film'), partSize: PART_SIZE };
    expect(await refusal(engine.put(request))).toMatchObject({ code: 'target-exists', exit: 1 });
    expect((await act.fetch('film')).sealed.toString()).toBe('theirs');
    expect(await act.left()).toEqual({ objects: ['film'], uploads: 0, jobs: 0, files: ['film'] });
  });

  test('put --overwrite: what was changed by another since is not replaced', async () => {
    const act = await actWithBoth();
    await using engine = act.engine({ keyring: meanwhile(() => act.store('there', Buffer.from('theirs'))) });
    const request = { source: act.source, target: act.url('there'), overwrite: true };
    const told = await refusal(engine.put(request));
    expect(told).toMatchObject({ code: 'target-changed', exit: 1, hint: expect.stringMatching(/Look at it/) });
    expect((await act.fetch('there')).sealed.toString()).toBe('theirs');
    expect(await act.left()).toEqual({ objects: ['there'], uploads: 0, jobs: 0, files: ['file'] });
  });

  test('get: an object replaced while it is read is not mixed with its successor', async () => {
    const act = await scene.act();
    writeRandomFile(act.path('film'), 4 * PART_SIZE);
    {
      await using engine = act.engine();
      await engine.put({ source: act.path('film'), target: act.url('film') });
    }
    await using engine = act.engine({ keyring: meanwhile(() => act.store('film', Buffer.from('theirs'))) });
    const told = await refusal(engine.get({ source: act.url('film'), target: act.path('back') }));
    expect(told).toMatchObject({ code: 'object-changed', exit: 1, hint: expect.stringMatching(/again/) });
    expect(await act.left()).toEqual({ objects: ['film'], uploads: 0, jobs: 0, files: ['film'] });
  });
});

describe('out of reach', () => {
  test.each([
    ['SlowDown', 'store-throttled'],
    ['InternalError', 'store-unavailable'],
    ['reset', 'store-unavailable'],
  ])('%s for too long: exit 5, and the job goes on later', async (fault, code) => {
    vi.stubEnv('AWS_MAX_ATTEMPTS', '2');
    const act = await scene.act();
    writeRandomFile(act.path('film'), 2 * PART_SIZE);
    const request = { source: act.path('film'), target: act.url('film'), partSize: PART_SIZE };
    await using engine = act.engine();
    scene.sandbox.setFaults(`UploadPart:2-=${fault}`);
    const told = await refusal(engine.put(request));
    expect(told).toMatchObject({ code, exit: 5, hint: expect.stringMatching(/goes on where it stopped/) });
    // It crossed from a thread to here with the error.
    expect(told.requestId).toEqual(fault === 'reset' ? undefined : expect.stringMatching(/^SANDBOX/));
    expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
    scene.sandbox.setFaults('');
    expect(await engine.put(request)).toMatchObject({ partsReused: 1 });
  });

  test('nobody listens there', async () => {
    const act = await scene.act();
    vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
    vi.stubEnv('AWS_ENDPOINT_URL_S3', 'http://127.0.0.1:1');
    await using engine = createEngine({ stateDir: act.stateDir });
    const told = await refusal(engine.inspect(act.url('x')));
    expect(told).toMatchObject({ code: 'store-unavailable', exit: 5, hint: expect.stringMatching(/endpoint/) });
  });
});
