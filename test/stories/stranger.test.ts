/** Objects that are whole but not what was asked for: under another name, under another key, never sealed, not there. */
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, rawAesKeyring } from '../../src/index.ts';
import { type Act, KEY, refusal, Scene } from './scene.ts';

let scene: Scene;
let act: Act;
let engine: Engine;
beforeAll(async () => {
  scene = await Scene.open();
  act = await scene.act();
  engine = act.engine();
  writeFileSync(act.path('file'), 'content');
  await engine.put({ source: act.path('file'), target: act.url('object') });
});
afterAll(async () => {
  await engine.close();
  await scene.close();
});

describe('under another name', () => {
  test('refused, unless the mover says so', async () => {
    const { sealed, metadata } = await act.fetch('object');
    await act.store('there', sealed, metadata);
    const request = { source: act.url('there'), target: act.path('there') };
    const told = await refusal(engine.get(request));
    expect(told).toMatchObject({ code: 'object-relocated', exit: 6 });
    expect(told.message).toContain(act.url('there'));
    expect(told.hint).toContain('--allow-relocated');
    expect((await act.left()).files).not.toContain('there');
    await engine.get({ ...request, allowRelocated: true });
    expect(await readFile(request.target, 'utf8')).toBe('content');
  });
});

describe('never sealed', () => {
  test.each([
    ['text', Buffer.from('Dear diary')],
    ['nothing', Buffer.alloc(0)],
    ['one byte that a message may begin with', Buffer.from([2])],
    ['a message as base64', Buffer.from('AgV4Ab')],
  ])('%s', async (name, bytes) => {
    await act.store(name, bytes);
    const source = act.url(name);
    const told = await refusal(engine.get({ source, target: act.path('back') }));
    expect(told).toMatchObject({ code: 'not-sealed', exit: 1, message: expect.stringContaining(source) });
    expect(await refusal(engine.inspect(source))).toEqual(told);
    expect((await act.left()).files).not.toContain('back');
  });

  test('no such object', async () => {
    const told = await refusal(engine.get({ source: act.url('no'), target: act.path('back') }));
    expect(told).toMatchObject({ code: 'object-not-found', exit: 1, message: expect.stringContaining(act.url('no')) });
    expect(told.hint).toMatch(/case-sensitive/);
    expect((await act.left()).files).not.toContain('back');
  });
});

describe('another key', () => {
  test.each([
    ['of the same name', { ...KEY, key: Buffer.alloc(32, 'second') }, /bears this name/],
    ['of another name', { ...KEY, name: 'second' }, /sealed under others/],
  ])('%s', async (_what, key, why) => {
    await using stranger = act.engine({ keyring: rawAesKeyring(key) });
    const told = await refusal(stranger.get({ source: act.url('object'), target: act.path('back') }));
    expect(told).toMatchObject({ code: 'wrong-key', exit: 1, message: expect.stringMatching(why) });
    expect(told.hint).toContain('test / first');
    expect((await act.left()).files).not.toContain('back');
  });
});
