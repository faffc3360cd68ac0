/** Bad input that takes patience: a KMS that throttles for long, a signal while nothing moves. */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/units.ts';
import { failureOf, Scene } from '../stories/scene.ts';
import { writeRandomFile } from '../support/files.ts';

const KEY = ['--kms-key', 'alias/sandbox', '--json'];

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

test.each([
  ['ThrottlingException', 'kms-throttled', /--kms-rate/],
  ['KMSInternalException', 'kms-unavailable', /later/],
])(
  'KMS answers %s for long: exit 5, nothing is there, and later the same command does',
  async (fault, code, remedy) => {
    const act = await scene.act();
    writeFileSync(act.path('file'), 'content');
    const command = ['put', 'file', act.url('file'), ...KEY];
    scene.sandbox.setFaults(`GenerateDataKey:*=${fault}`);
    const told = failureOf(await act.run(command));
    expect(told).toMatchObject({ code, exit: 5, hint: expect.stringMatching(remedy) });
    expect(await act.left()).toEqual({ objects: [], uploads: 0, jobs: 0, files: ['file'] });
    scene.sandbox.setFaults('');
    expect((await act.run(command)).exit).toBe(0);
  },
);

test.each([
  ['a put of one part', 1000, 'PutObject:*=stall'],
  ['a put of several', 20 * MiB, 'UploadPart:*=stall'],
])('%s that stalls is left within the grace period of one signal, and goes on later', async (_what, size, fault) => {
  const act = await scene.act();
  writeRandomFile(act.path('file'), size);
  const command = ['put', 'file', act.url('file'), ...KEY];
  scene.sandbox.setFaults(fault);
  const put = act.start(command);
  await put.until(({ type }) => type === 'start');
  const begin = performance.now();
  put.child.kill('SIGINT');
  expect(failureOf(await put.ended)).toMatchObject({ code: 'interrupted', exit: 4 });
  expect(performance.now() - begin).toBeLessThan(20_000);
  expect(await act.left()).toMatchObject({ objects: [], jobs: 1 });
  scene.sandbox.setFaults('');
  expect((await act.run(command)).exit).toBe(0);
  expect(await act.left()).toEqual({ objects: ['file'], uploads: 0, jobs: 0, files: ['file'] });
});

test.each([
  ['one piece', 1000],
  ['several', 20 * MiB],
])('a get of %s that stalls, too', async (_what, size) => {
  const act = await scene.act();
  writeRandomFile(act.path('file'), size);
  await act.run(['put', 'file', act.url('file'), ...KEY]);
  scene.sandbox.setFaults('GetObject:2-=stall');
  const get = act.start(['get', act.url('file'), 'back', '--json']);
  await get.until(({ type }) => type === 'start');
  const begin = performance.now();
  get.child.kill('SIGINT');
  expect(failureOf(await get.ended)).toMatchObject({ code: 'interrupted', exit: 4 });
  expect(performance.now() - begin).toBeLessThan(20_000);
  scene.sandbox.setFaults('');
  expect((await act.run(['resume', '--json'])).exit).toBe(0);
  expect((await act.left()).files).toEqual(['back', 'file']);
});
