/** Jobs whose ledger is damaged, foreign, from the future, or in other hands; every remedy that is told must work. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kmsKeyring, type PutRequest } from '../../src/index.ts';
import { KiB } from '../../src/units.ts';
import type { Outcome } from '../support/cli.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { type Act, failureOf, kill, PART_SIZE, refusal, Scene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

const keyring = kmsKeyring({ keyIds: ['alias/sandbox'] });
const FLAGS = ['--kms-key', 'alias/sandbox', '--threads', '1', '--lanes', '1', '--json'];

/** What only a ledger that can be read could tell. */
const LEFT_BEHIND = expect.stringMatching(/^The old ledger was .*; an upload it had may still be there/);

/** A put of two parts, of which one is in the store; as a program asks for it, and as a person does. */
interface Interrupted {
  act: Act;
  request: PutRequest;
  run(...more: string[]): Promise<Outcome>;
  job: string;
  ledger: string;
}

async function interruptedPut(): Promise<Interrupted> {
  const act = await scene.act();
  writeRandomFile(act.path('film'), 2 * PART_SIZE);
  const request = { source: act.path('film'), target: act.url('film'), partSize: PART_SIZE };
  const stop = new AbortController();
  const onEvent = ({ type }: { type: string }) => type === 'progress' && stop.abort();
  await using engine = act.engine({ keyring });
  const told = await refusal(engine.put({ ...request, onEvent, signal: stop.signal }));
  expect(told).toMatchObject({ code: 'interrupted', exit: 4 });
  const [file] = readdirSync(act.stateDir).filter((name) => name.endsWith('.db'));
  const command = ['put', 'film', act.url('film'), '--part-size', '5MiB', ...FLAGS];
  const run = (...more: string[]) => act.runHere([...command, ...more]);
  return { act, request, run, job: file!.slice(0, -3), ledger: join(act.stateDir, file!) };
}

function rewrite(ledger: string, sql: string): void {
  const db = new DatabaseSync(ledger);
  db.exec(sql);
  db.close();
}

async function expectWhole({ act }: Interrupted): Promise<void> {
  await using engine = act.engine({ keyring });
  await engine.get({ source: act.url('film'), target: act.path('back') });
  expect(await sha256Of(act.path('back'))).toBe(await sha256Of(act.path('film')));
}

describe('a ledger', () => {
  test('that is damaged: told by put, resume and jobs; --fresh starts over', async () => {
    const story = await interruptedPut();
    const { act, run, job, ledger } = story;
    rewrite(ledger, 'PRAGMA wal_checkpoint(TRUNCATE)');
    writeFileSync(ledger, Buffer.alloc(4096, 'x'), { flag: 'r+' });
    const told = failureOf(await run());
    expect(told).toMatchObject({ code: 'ledger-corrupt', exit: 1, message: expect.stringContaining(ledger) });
    expect(told.hint).toContain('--fresh');
    const resume = await act.runHere(['resume', '--json']);
    expect(resume).toMatchObject({ exit: 1, last: { code: 'ledger-corrupt', job } });
    expect((await act.runHere(['jobs', '--json'])).lines).toMatchObject([{ job, state: 'damaged' }]);

    expect(await run('--fresh')).toMatchObject({ exit: 3, last: { partsReused: 0, warnings: [LEFT_BEHIND] } });
    await expectWhole(story);
    expect(await act.left()).toMatchObject({ objects: ['film'], uploads: 1, jobs: 0 });
  });

  test('that is damaged: cancel forgets it, and says what it cannot know', async () => {
    const { act, job, ledger } = await interruptedPut();
    rewrite(ledger, 'PRAGMA wal_checkpoint(TRUNCATE)');
    writeFileSync(ledger, Buffer.alloc(4096, 'x'), { flag: 'r+' });
    const cancel = await act.runHere(['cancel', job]);
    expect(cancel).toMatchObject({ exit: 0, stderr: expect.stringContaining('upload') });
    expect(await act.left()).toMatchObject({ jobs: 0 });
  });

  test('of a newer Sealift: left alone, until --fresh', async () => {
    const story = await interruptedPut();
    const { act, run, ledger } = story;
    rewrite(ledger, 'PRAGMA user_version = 999');
    const told = failureOf(await run());
    expect(told).toMatchObject({ code: 'ledger-too-new', exit: 1, hint: expect.stringContaining('--fresh') });
    const resume = failureOf(await act.runHere(['resume', story.job, '--json']));
    expect(resume).toMatchObject({ code: 'ledger-too-new', exit: 1 });
    expect(await run('--fresh')).toMatchObject({ exit: 3, last: { partsReused: 0, warnings: [LEFT_BEHIND] } });
    await expectWhole(story);
  });

  test.each(['--fresh', 'cancel'])('that was copied: not gone on with; %s is the way out', async (way) => {
    const story = await interruptedPut();
    const { act, request, job, ledger } = story;
    rewrite(ledger, 'PRAGMA wal_checkpoint(TRUNCATE)');
    copyFileSync(ledger, `${ledger}.copy`);
    renameSync(`${ledger}.copy`, ledger);
    await using engine = act.engine({ keyring });
    const told = await refusal(engine.put(request));
    expect(told).toMatchObject({ code: 'ledger-moved', exit: 1, hint: expect.stringMatching(/--fresh.*cancel/) });
    expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
    if (way === 'cancel') {
      expect(await engine.cancel(job)).toBe('cancelled');
      expect(await act.left()).toMatchObject({ objects: [], uploads: 0, jobs: 0 });
    } else {
      expect(await engine.put({ ...request, fresh: true })).toMatchObject({ partsReused: 0 });
      await expectWhole(story);
      expect(await act.left()).toMatchObject({ objects: ['film'], uploads: 0, jobs: 0 });
    }
  });
});

describe('a job', () => {
  test('begun with other options: told which, with both ways out', async () => {
    const { act, request } = await interruptedPut();
    await using engine = act.engine({ keyring });
    const other = { ...request, frameSize: 64 * KiB };
    const told = await refusal(engine.put(other));
    expect(told).toMatchObject({ code: 'options-differ', exit: 2, hint: expect.stringMatching(/--fresh/) });
    expect(told.message).toContain('frameSize');
    expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
    expect(await engine.put({ ...other, fresh: true })).toMatchObject({ partsReused: 0 });
    expect(await act.left()).toMatchObject({ objects: ['film'], uploads: 0, jobs: 0 });
  });

  test('that runs already: a second process is told by whom, and changes nothing', async () => {
    const act = await scene.act();
    writeFileSync(act.path('film'), 'content');
    scene.sandbox.setFaults('PutObject:1=stall');
    const first = act.start(['put', 'film', act.url('film'), ...FLAGS]);
    const job = (await first.until(({ type }) => type === 'start')).job as string;

    await using engine = act.engine({ keyring });
    const request = { source: act.path('film'), target: act.url('film') };
    const seconds = [
      () => engine.put(request),
      () => engine.put({ ...request, fresh: true }),
      () => engine.cancel(job),
    ];
    for (const second of seconds) {
      const told = await refusal(second());
      expect(told).toMatchObject({ code: 'job-busy', exit: 1, hint: expect.stringMatching(/Wait.*or interrupt it/) });
      expect(told.message).toBe(`Job ${job} is in use by process ${first.child.pid}`);
    }
    expect(failureOf(await act.runHere(['resume', job, '--json']))).toMatchObject({ code: 'job-busy', exit: 1 });
    expect(await act.runHere(['resume', '--json'])).toMatchObject({ exit: 0, last: { objects: 0 } });

    await kill(first);
    scene.sandbox.setFaults('');
    await engine.put(request);
    expect(await act.left()).toEqual({ objects: ['film'], uploads: 0, jobs: 0, files: ['film'] });
  });

  test('that is not there', async () => {
    const act = await scene.act();
    const told = failureOf(await act.runHere(['resume', 'put-aaaaaaaaaa', '--json']));
    expect(told).toMatchObject({ code: 'no-such-job', exit: 2, hint: expect.stringContaining('sealift jobs') });
    await using engine = act.engine();
    expect(await refusal(engine.cancel('put-aaaaaaaaaa'))).toMatchObject({ code: 'no-such-job', exit: 2 });
  });
});

describe('a state folder', () => {
  test.each<[what: string, told: RegExp, remedy: RegExp, make: (path: string) => void]>([
    ['that others may read', /open to others/, /chmod 700/, (path) => mkdirSync(path)],
    ['that is a file', /cannot be made/, /--state-dir/, (path) => writeFileSync(path, '')],
  ])('%s', async (_what, message, remedy, make) => {
    const act = await scene.act();
    writeFileSync(act.path('film'), 'content');
    make(act.stateDir);
    if (message.test('open to others')) chmodSync(act.stateDir, 0o755);
    await using engine = act.engine();
    const told = await refusal(engine.put({ source: act.path('film'), target: act.url('film') }));
    expect(told).toMatchObject({ code: 'state-dir-unsafe', exit: 1 });
    expect(told.message).toMatch(message);
    expect(told.message).toContain(act.stateDir);
    expect(told.hint).toMatch(remedy);
    rmSync(act.stateDir, { recursive: true });
    expect(await act.left()).toEqual({ objects: [], uploads: 0, jobs: 0, files: ['film'] });
  });
});
