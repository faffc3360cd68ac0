/** Pipes as people use them: real ones, through a shell, from producers that end well, fail, or are killed. */
import { mkdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { MiB } from '../../src/units.ts';
import { type Act, failureOf, kill, PART_SIZE, Scene, untilDone } from '../stories/scene.ts';
import type { Outcome, Running } from '../support/cli.ts';
import { checkRecords } from '../support/records.ts';

let scene: Scene;
let act: Act;
let records: string;
beforeAll(async () => {
  scene = await Scene.open();
  act = await scene.act();
  await act.runHere(['keygen', 'key']);
  records = act.path('records');
  mkdirSync(records);
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

const FLAGS = ['--raw-key', 'key', '--part-size', String(PART_SIZE), '--threads', '1', '--lanes', '1', '--json'];

/** `PRODUCER | sealift put - KEY`. */
function pipe(producer: string, key: string, flags: string[] = []): Running {
  // So that the process which is started, and killed, is Sealift and not the shell.
  const under = ['bash', '-c', `exec "$@" < <({ ${producer}; } 2> /dev/null)`, 'bash'];
  return act.start(['put', '-', act.url(key), ...FLAGS, ...flags], { under, records });
}

function fromCommand(command: string, key: string): Promise<Outcome> {
  return act.runHere(['put', '--from-command', command, act.url(key), ...FLAGS]);
}

async function expectBack(key: string, bytes: Buffer): Promise<void> {
  await act.runHere(['get', act.url(key), 'back', '--raw-key', 'key', '--overwrite']);
  expect(readFileSync(act.path('back')).equals(bytes)).toBe(true);
}

/** Nothing is left but the objects that were there. */
async function expectNothingOf(key: string): Promise<void> {
  const left = await act.left();
  expect(left).toMatchObject({ uploads: 0, jobs: 0 });
  expect(left.objects).not.toContain(key);
}

const ZEROS = 3 * PART_SIZE + 17;

describe('put -', () => {
  test.each([
    ['nothing', 0, 1],
    ['several parts', ZEROS, 4],
  ])('of %s comes back', async (key, size, parts) => {
    const outcome = await pipe(`head -c ${size} /dev/zero`, key).ended;
    expect(outcome, outcome.stderr).toMatchObject({ exit: 0, last: { plainBytes: size, parts, partsReused: 0 } });
    expect(outcome.stderr).toMatch(/^The pipe may have up to [\d.]+ [GT]iB\.\nSealed standard input into /);
    expect(outcome.lines).toContainEqual(expect.objectContaining({ type: 'start', reachBytes: expect.any(Number) }));
    await expectBack(key, Buffer.alloc(size));
  });

  test('with an expected size begins with parts that reach so far', async () => {
    const flags = ['--expected-size', '200GiB', '--max-memory', '256MiB'];
    const { lines } = await pipe('echo', 'expected', flags).ended;
    expect(lines.find(({ type }) => type === 'start')!.reachBytes).toBeGreaterThan(200 * 1024 * MiB);
    const refused = await pipe('exec sleep 5', 'too large', ['--expected-size', '1TiB', '--max-memory', '256MiB'])
      .ended;
    expect(failureOf(refused)).toMatchObject({
      code: 'too-many-parts',
      exit: 2,
      hint: expect.stringMatching('max-memory'),
    });
  });

  test('onto what exists: exit 1, and the producer hears of it by its broken pipe', async () => {
    await pipe('echo first', 'exists').ended;
    const outcome = await pipe('yes; kill -l $? > status', 'exists').ended;
    expect(failureOf(outcome)).toMatchObject({ code: 'target-exists' });
    await vi.waitFor(() => expect(readFileSync(act.path('status'), 'utf8')).toBe('PIPE\n'));
    await expectBack('exists', Buffer.from('first\n'));
  });

  test('while the store fails and the producer is silent: nobody waits for it, nothing is left', async () => {
    scene.sandbox.setFaults('UploadPart:2-=AccessDenied');
    const outcome = await pipe(`head -c ${ZEROS} /dev/zero; exec sleep 5`, 'denied').ended;
    expect(failureOf(outcome)).toMatchObject({ code: 'access-denied', exit: 1 });
    await expectNothingOf('denied');
  });

  test('interrupted: exit 1, and the upload is aborted', async () => {
    const put = pipe(`head -c ${2 * PART_SIZE + 1} /dev/zero; exec sleep 5`, 'interrupted');
    await put.until(({ type, ackedBytes }) => type === 'progress' && Number(ackedBytes) > PART_SIZE);
    put.child.kill('SIGINT');
    expect(failureOf(await put.ended)).toMatchObject({ code: 'pipe-interrupted', exit: 1 });
    await expectNothingOf('interrupted');
  });
});

describe('--from-command', () => {
  test('seals what a command writes that succeeds, also nothing; a - may stand for it', async () => {
    const command = `head -c ${ZEROS} /dev/zero`;
    const put = act.run(['put', '--from-command', command, act.url('command'), ...FLAGS], { records });
    expect(await put).toMatchObject({ exit: 0, last: { parts: 4 } });
    await expectBack('command', Buffer.alloc(ZEROS));
    const empty = await act.runHere(['put', '-', act.url('true'), '--from-command', 'true', ...FLAGS]);
    expect(empty).toMatchObject({ exit: 0, last: { plainBytes: 0, parts: 1 } });
    await expectBack('true', Buffer.alloc(0));
  });

  test.each([
    ['that fails', 'false', 'ended with status 1'],
    ['that fails after several parts', `head -c ${ZEROS} /dev/zero; exit 7`, 'ended with status 7'],
    ['that is killed midway', `head -c ${ZEROS} /dev/zero; kill -9 $$`, 'was ended by SIGKILL'],
    ['that does not exist', 'no-such-command-of-ours', 'ended with status 127'],
  ])('%s leaves no object and no upload', async (key, command, message) => {
    const told = failureOf(await fromCommand(command, key));
    expect(told).toMatchObject({ code: 'source-failed', exit: 1, message: expect.stringContaining(message) });
    await expectNothingOf(key);
  });

  test('whose object cannot be stored is ended', async () => {
    scene.sandbox.setFaults('UploadPart:2-=AccessDenied');
    const outcome = await fromCommand(`head -c ${ZEROS} /dev/zero; exec sleep 60`, 'ended');
    expect(failureOf(outcome)).toMatchObject({ code: 'access-denied' });
    await expectNothingOf('ended');
  });

  test('beside a file is too much, and a folder is no name', async () => {
    const both = await act.runHere(['put', 'key', act.url('x'), '--from-command', 'true', ...FLAGS]);
    expect(failureOf(both)).toMatchObject({ code: 'usage', exit: 2 });
    expect(failureOf(await fromCommand('true', 'folder/'))).toMatchObject({ code: 'usage', exit: 2 });
    expect(failureOf(await act.runHere(['put', 'key', ...FLAGS]))).toMatchObject({ code: 'usage', exit: 2 });
  });
});

describe('killed, a pipe', () => {
  /** Kills it when one part is acknowledged; its upload is there, and its job. */
  async function killed(key: string): Promise<string> {
    scene.sandbox.setFaults('UploadPart:2=stall');
    const put = pipe(`head -c ${ZEROS} /dev/zero`, key);
    await using engine = act.engine();
    await untilDone(engine, 1);
    await kill(put);
    scene.sandbox.setFaults('');
    expect(await act.left()).toMatchObject({ uploads: 1, jobs: 1 });
    return engine.jobs().find((job) => job.state === 'running')!.id;
  }

  test('is in the list with what is known of it, and can be cancelled', async () => {
    const id = await killed('cancelled');
    const jobs = await act.runHere(['jobs', id]);
    for (const row of [/^state +interrupted$/m, /^from +-$/m, /^done +5\.0 MiB so far$/m, /^parts +1$/m]) {
      expect(jobs.stdout).toMatch(row);
    }
    expect(await act.runHere(['cancel', id])).toMatchObject({ exit: 0 });
    await expectNothingOf('cancelled');
  });

  test('is dropped by the next one to the same object, which says so', async () => {
    await killed('again');
    const outcome = await pipe(`head -c ${ZEROS} /dev/zero`, 'again').ended;
    expect(outcome).toMatchObject({ exit: 0, last: { parts: 4, partsReused: 0 } });
    expect(outcome.stderr).toContain('The upload of an interrupted pipe was dropped: starting over.\n');
    expect(await act.left()).toMatchObject({ uploads: 0, jobs: 0 });
    await expectBack('again', Buffer.alloc(ZEROS));
  });

  test('is not resumed: its upload is aborted, exit 1', async () => {
    const id = await killed('resumed');
    const outcome = await act.runHere(['resume', id, '--json']);
    expect(failureOf(outcome)).toMatchObject({ code: 'pipe-interrupted', exit: 1 });
    await expectNothingOf('resumed');
  });
});

test('no nonce sealed two plaintexts', () => {
  const { calls, violations } = checkRecords(records);
  expect(violations).toEqual([]);
  expect(calls).toBeGreaterThan(300);
});
