/** Sources that are not there, not readable, or not what they were a moment ago. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { JobEvent } from '../../src/index.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { type Act, failureOf, PART_SIZE, refusal, Scene } from './scene.ts';

/** Three parts, the last of them short. */
const SIZE = 2 * PART_SIZE + 1000;
const NOTHING = { objects: [], uploads: 0, jobs: 0 };

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

describe('refused before anything is sent', () => {
  test('no such file', async () => {
    const act = await scene.act();
    await using engine = act.engine();
    const told = await refusal(engine.put({ source: act.path('no'), target: act.url('x') }));
    expect(told).toMatchObject({ code: 'source-not-found', exit: 1 });
    expect(told.message).toContain(act.path('no'));
    expect(told.hint).toMatch(/spelling/);
    expect(await act.left()).toEqual({ ...NOTHING, files: [] });
  });

  test('a directory', async () => {
    const act = await scene.act();
    mkdirSync(act.path('folder'));
    await using engine = act.engine();
    const told = await refusal(engine.put({ source: act.path('folder'), target: act.url('x') }));
    expect(told).toMatchObject({ code: 'source-is-directory', exit: 2 });
    expect(told.hint).toMatch(/tar/);
    expect(await act.left()).toEqual({ ...NOTHING, files: ['folder'] });
  });

  test.each(['a pipe', 'a device'])('%s', async (kind) => {
    const act = await scene.act();
    const source = kind === 'a pipe' ? act.path('pipe') : '/dev/null';
    if (kind === 'a pipe') execFileSync('mkfifo', [source]);
    await using engine = act.engine();
    const told = await refusal(engine.put({ source, target: act.url('x') }));
    expect(told).toMatchObject({ code: 'source-not-a-file', exit: 1 });
    expect(told.hint).toMatch(/copy it into a file/i);
    expect(await act.left()).toMatchObject(NOTHING);
  });

  test.skipIf(nobody() === undefined)('a file that may not be read', async () => {
    const act = await scene.act();
    writeFileSync(act.path('secret'), 'x');
    chmodSync(act.path('secret'), 0);
    chmodSync(act.folder, 0o777);
    const told = failureOf(
      await act.run(['put', 'secret', act.url('x'), '--kms-key', 'alias/sandbox', '--json'], {
        under: nobody()!,
        env: { SEALIFT_STATE_DIR: act.path('state') },
      }),
    );
    expect(told).toMatchObject({ code: 'source-unreadable', exit: 1 });
    expect(told.hint).toMatch(/permissions/);
    expect(await act.left()).toMatchObject(NOTHING);
  });
});

/** How to run a program as somebody whom permissions bind; undefined where that cannot be done here. */
function nobody(): string[] | undefined {
  if (process.getuid?.() !== 0) return [];
  const under = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  try {
    execFileSync(under[0]!, [...under.slice(1), process.execPath, '--version']);
    return under;
  } catch {
    return undefined;
  }
}

test('an empty file goes up, and comes back empty', async () => {
  const act = await scene.act();
  writeFileSync(act.path('empty'), '');
  await using engine = act.engine();
  expect(await engine.put({ source: act.path('empty'), target: act.url('empty') })).toMatchObject({ plainBytes: 0 });
  expect(await engine.get({ source: act.url('empty'), target: act.path('back') })).toMatchObject({ plainBytes: 0 });
  expect(readFileSync(act.path('back')).length).toBe(0);
  expect(await act.left()).toEqual({ objects: ['empty'], uploads: 0, jobs: 0, files: ['back', 'empty'] });
});

/** What may happen to a file, and how it is told. */
const CHANGES: [name: string, told: RegExp, change: (path: string) => void][] = [
  ['grows', /its size went from 10486760 to 10486764 bytes/, (path) => appendFileSync(path, 'more')],
  ['shrinks', /its size went from 10486760 to 10485761 bytes/, (path) => truncateSync(path, 2 * PART_SIZE + 1)],
  ['is written to', /it was written to/, rewriteEnd],
  ['is replaced by another file', /another file has taken its place/, replace],
];

function rewriteEnd(path: string): void {
  const bytes = readFileSync(path);
  bytes.fill('!', SIZE - 1000);
  writeFileSync(path, bytes);
}

/** In the part that is in the store already; only sealing it again can tell. */
function rewriteStart(path: string): void {
  const file = openSync(path, 'r+');
  writeFileSync(`${path}.time`, '');
  execFileSync('touch', ['-r', path, `${path}.time`]);
  writeSync(file, '!', 17);
  closeSync(file);
  execFileSync('touch', ['-r', `${path}.time`, path]);
  rmSync(`${path}.time`);
}

function replace(path: string): void {
  const { atime, mtime } = statSync(path);
  writeRandomFile(`${path}.new`, SIZE);
  utimesSync(`${path}.new`, atime, mtime);
  renameSync(`${path}.new`, path);
}

/** A listener that strikes once, when `when` is true of an event: between one part and the next. */
function strikeAt(when: (event: JobEvent) => boolean, strike: () => void) {
  let struck = false;
  return (event: JobEvent) => {
    if (struck || !when(event)) return;
    struck = true;
    strike();
  };
}

const firstPart = (event: JobEvent) => event.type === 'progress' && event.ackedBytes === PART_SIZE;
const lastPart = (event: JobEvent) => event.type === 'progress' && event.ackedBytes === SIZE;

async function filmIn(act: Act, size = SIZE): Promise<{ source: string; target: string; partSize: number }> {
  const source = act.path('film');
  writeRandomFile(source, size);
  return { source, target: act.url('film'), partSize: PART_SIZE };
}

describe('while it is read', () => {
  test.each(CHANGES)('a source that %s: nothing is completed', async (_name, how, change) => {
    const act = await scene.act();
    const request = await filmIn(act);
    await using engine = act.engine();
    const onEvent = strikeAt(firstPart, () => change(request.source));
    const told = await refusal(engine.put({ ...request, onEvent }));
    expect(told).toMatchObject({ code: 'source-changed', exit: 1, message: expect.stringMatching(how) });
    expect(told.hint).toMatch(/Nothing was completed.*snapshot/);
    expect(await act.left()).toEqual({ ...NOTHING, files: ['film'] });
  });

  test('after the last part was sent, too', async () => {
    const act = await scene.act();
    const request = await filmIn(act);
    await using engine = act.engine();
    const onEvent = strikeAt(lastPart, () => appendFileSync(request.source, 'more'));
    expect(await refusal(engine.put({ ...request, onEvent }))).toMatchObject({ code: 'source-changed' });
    expect(await act.left()).toEqual({ ...NOTHING, files: ['film'] });
  });

  test('a file of one part, too; and the same command does once the file is left alone', async () => {
    const act = await scene.act();
    const request = await filmIn(act, 1000);
    await using engine = act.engine();
    const onEvent = strikeAt(
      ({ type }) => type === 'start',
      () => appendFileSync(request.source, 'more'),
    );
    expect(await refusal(engine.put({ ...request, onEvent }))).toMatchObject({ code: 'source-changed', exit: 1 });
    expect(await act.left()).toEqual({ ...NOTHING, files: ['film'] });
    expect(await engine.put(request)).toMatchObject({ plainBytes: 1004 });
  });

  test('a source that goes away', async () => {
    const act = await scene.act();
    const request = await filmIn(act);
    await using engine = act.engine();
    const onEvent = strikeAt(firstPart, () => rmSync(request.source));
    expect(await refusal(engine.put({ ...request, onEvent }))).toMatchObject({ code: 'source-not-found', exit: 1 });
    // It may come back: a disk that was unplugged, a share that was not mounted.
    expect(await act.left()).toEqual({ objects: [], uploads: 1, jobs: 1, files: [] });
  });
});

describe('before the resume', () => {
  const changes: typeof CHANGES = [...CHANGES, ['is written to, with its time set back', /./, rewriteStart]];
  test.each(changes)('a source that %s is sealed anew, under another key', async (_name, _how, change) => {
    const act = await scene.act();
    const request = await filmIn(act);
    await using engine = act.engine();
    await interruptedPut(act, request);
    change(request.source);

    const events: JobEvent[] = [];
    const result = await engine.put({ ...request, onEvent: (event) => events.push(event) });
    expect(result).toMatchObject({ partsReused: 0 });
    expect(events).toContainEqual({ type: 'restart', reason: expect.stringMatching(/source changed/) });
    await engine.get({ source: request.target, target: act.path('back') });
    expect(await sha256Of(act.path('back'))).toBe(await sha256Of(request.source));
    expect(await act.left()).toEqual({ objects: ['film'], uploads: 0, jobs: 0, files: ['back', 'film'] });
  });

  test('a source that is gone: the job waits for it', async () => {
    const act = await scene.act();
    const request = await filmIn(act);
    await interruptedPut(act, request);
    renameSync(request.source, act.path('elsewhere'));
    await using engine = act.engine();
    expect(await refusal(engine.put(request))).toMatchObject({ code: 'source-not-found' });
    expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
    renameSync(act.path('elsewhere'), request.source);
    expect(await engine.put(request)).toMatchObject({ partsReused: 1 });
  });
});

/** A put that has one part in the store and its job in the ledger. */
async function interruptedPut(act: Act, request: { source: string; target: string; partSize: number }): Promise<void> {
  const stop = new AbortController();
  const onEvent = strikeAt(firstPart, () => stop.abort());
  await using engine = act.engine();
  const told = await refusal(engine.put({ ...request, onEvent, signal: stop.signal }));
  expect(told).toMatchObject({ code: 'interrupted', exit: 4, hint: expect.stringContaining('sealift resume') });
  expect(await act.left()).toMatchObject({ objects: [], uploads: 1, jobs: 1 });
}
