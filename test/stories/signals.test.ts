/** Interrupted gets, and interruptions at odd moments. Those of a put are told in test/cli/jobs.test.ts. */
import { readdirSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type JobEvent, readKeyFile } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { type Act, failureOf, kill, refusal, Scene, untilDone } from './scene.ts';

/** Three pieces of 8 MiB. A get asks for the header first, and then for each of them. */
const SIZE = 24 * MiB;
const THIRD_PIECE = 'GetObject:4-';
const GET = ['--raw-key', 'key', '--lanes', '1', '--threads', '1', '--json'];

let scene: Scene;
let act: Act;
beforeAll(async () => {
  scene = await Scene.open();
  act = await scene.act();
  await act.runHere(['keygen', 'key']);
  writeRandomFile(act.path('film'), SIZE);
  await act.runHere(['put', 'film', act.url('film'), '--raw-key', 'key']);
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

const hidden = () => readdirSync(act.folder).filter((name) => name.startsWith('.'));
const visible = () => readdirSync(act.folder).filter((name) => !name.startsWith('.'));

describe('a get', () => {
  test('killed: nothing has its name; the same command keeps the pieces that were written', async () => {
    scene.sandbox.setFaults(`${THIRD_PIECE}=stall`);
    const get = act.start(['get', act.url('film'), 'killed', ...GET]);
    await using engine = act.engine();
    await untilDone(engine, 2);
    await kill(get);
    scene.sandbox.setFaults('');
    expect(visible()).toEqual(['film', 'key']);
    expect(hidden().length).toBe(1);

    const again = await act.runHere(['get', act.url('film'), 'killed', ...GET]);
    expect(again).toMatchObject({ exit: 0, last: { command: 'get', parts: 3, partsReused: 2 } });
    expect(await sha256Of(act.path('killed'))).toBe(await sha256Of(act.path('film')));
    expect(hidden()).toEqual([]);
  });

  test('interrupted once: exit 4, says how to go on, and resume does', async () => {
    scene.sandbox.setFaults(`${THIRD_PIECE}=slow@16MiB/s`);
    const get = act.start(['get', act.url('film'), 'once', ...GET]);
    await using engine = act.engine();
    await untilDone(engine, 2);
    get.child.kill('SIGINT');
    const told = failureOf(await get.ended);
    expect(told).toMatchObject({ code: 'interrupted', exit: 4, hint: expect.stringContaining('sealift resume') });
    expect(told.message).toMatch(/once is not there yet/);
    expect(visible()).not.toContain('once');

    scene.sandbox.setFaults('');
    const resume = await act.runHere(['resume', '--json']);
    expect(resume).toMatchObject({ exit: 0, last: { command: 'get', partsReused: expect.any(Number) } });
    expect(resume.last!.partsReused).toBeGreaterThanOrEqual(2);
    expect(await sha256Of(act.path('once'))).toBe(await sha256Of(act.path('film')));
    expect(hidden()).toEqual([]);
  });

  test('interrupted twice: exit 130 at once, and cancel removes what it wrote', async () => {
    scene.sandbox.setFaults(`${THIRD_PIECE}=stall`);
    const get = act.start(['get', act.url('film'), 'twice', ...GET]);
    await using engine = act.engine();
    await untilDone(engine, 2);
    get.child.kill('SIGINT');
    await new Promise((resolve) => get.child.stderr!.once('data', resolve));
    get.child.kill('SIGINT');
    expect((await get.ended).exit).toBe(130);
    expect(visible()).not.toContain('twice');

    const [job] = (await act.runHere(['jobs', '--json'])).lines;
    expect(job).toMatchObject({ command: 'get', state: 'interrupted', target: act.path('twice') });
    expect((await act.runHere(['cancel', job!.job as string])).exit).toBe(0);
    expect(hidden()).toEqual([]);
  });

  test('resumed without its half-written file: starts again, and says so', async () => {
    await using engine = act.engine({ keyring: await readKeyFile(act.path('key')) });
    const request = { source: act.url('film'), target: act.path('gone') };
    const stop = new AbortController();
    const stopAtFirst = ({ type }: JobEvent) => type === 'progress' && stop.abort();
    const told = await refusal(engine.get({ ...request, signal: stop.signal, onEvent: stopAtFirst }));
    expect(told).toMatchObject({ code: 'interrupted', exit: 4 });
    for (const name of hidden()) rmSync(act.path(name));

    const events: JobEvent[] = [];
    const result = await engine.get({ ...request, onEvent: (event) => events.push(event) });
    expect(result).toMatchObject({ partsReused: 0 });
    expect(events).toContainEqual({ type: 'restart', reason: expect.stringContaining('half-written file') });
    expect(await sha256Of(act.path('gone'))).toBe(await sha256Of(act.path('film')));
  });

  test('resumed after the object was replaced: starts again with the new one', async () => {
    await using engine = act.engine({ keyring: await readKeyFile(act.path('key')) });
    writeRandomFile(act.path('sequel'), SIZE);
    const request = { source: act.url('sequel'), target: act.path('replaced') };
    await engine.put({ source: act.path('film'), target: request.source });
    const stop = new AbortController();
    const stopAtFirst = ({ type }: JobEvent) => type === 'progress' && stop.abort();
    expect(await refusal(engine.get({ ...request, signal: stop.signal, onEvent: stopAtFirst }))).toMatchObject({
      exit: 4,
    });
    await engine.put({ source: act.path('sequel'), target: request.source, overwrite: true });

    const events: JobEvent[] = [];
    await engine.get({ ...request, onEvent: (event) => events.push(event) });
    expect(events).toContainEqual({ type: 'restart', reason: expect.stringContaining('object has changed') });
    expect(await sha256Of(act.path('replaced'))).toBe(await sha256Of(act.path('sequel')));
    expect(hidden()).toEqual([]);
  });
});
