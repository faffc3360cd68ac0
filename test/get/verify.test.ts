/** `verify`, and what a get or a verify demands of an object's name: all of it is opened, and nothing is written. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CopyObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../src/engine.ts';
import type { OpenRules } from '../../src/get/unlock.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { somePlain } from '../formats/message.ts';
import { runHere } from '../support/here.ts';
import { BUCKET, openStage, type Plot, SIZE, type Stage } from '../support/stage.ts';
import { keyring as foreignKeyring, foreignMessage, pipeOf, suiteNamed } from './foreign-message.ts';

let stage: Stage;
let whole: Plot;
let sealed: Buffer;
let keyFile: string;
/** Opens what others wrote, and notes how often a key was asked for. */
let foreign: Engine;
let asked = 0;
beforeAll(async () => {
  stage = await openStage();
  whole = stage.plot('whole');
  await stage.put(whole);
  sealed = await stage.stored(whole);
  keyFile = join(stage.folder, 'key');
  const key = Buffer.alloc(32, 'wrapping key').toString('base64');
  writeFileSync(keyFile, JSON.stringify({ type: 'raw-aes', namespace: 'test', name: 'story', key }), { mode: 0o600 });
  const counting: Keyring = {
    ...foreignKeyring,
    makeDataKey: (request) => foreignKeyring.makeDataKey(request),
    openDataKey: (request) => {
      asked++;
      return foreignKeyring.openDataKey(request);
    },
  };
  foreign = createEngine({ keyring: counting, stateDir: join(stage.folder, 'foreign-state') });
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(async () => {
  await foreign.close();
  await stage.close();
});

async function store(key: string, body: Uint8Array): Promise<string> {
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }));
  return `s3://${BUCKET}/${key}`;
}

const plain = somePlain(100_000);
const OLD: OpenRules = { commitmentPolicy: 'require-encrypt-allow-decrypt' };
const messages: [what: string, message: Buffer][] = [
  ['framed', foreignMessage({ suite: suiteNamed('0478'), plain, frameSize: 4096 })],
  ['a single block', foreignMessage({ suite: suiteNamed('0478'), plain, frameSize: 0 })],
  ['old and signed', foreignMessage({ suite: suiteNamed('0378'), plain, frameSize: 4096 })],
];

describe('verify', () => {
  test('opens all of an object, in parallel, and leaves nothing behind', async () => {
    const stateDir = join(stage.folder, 'verify-state');
    const before = readdirSync(stage.folder);
    await using engine = stage.engine({ stateDir }, { threads: 2, lanes: 3 });
    const progress: number[] = [];
    const result = await engine.verify({
      source: whole.target,
      onEvent: (event) => event.type === 'progress' && progress.push(event.ackedBytes),
    });
    expect(result).toMatchObject({ command: 'verify', job: '', object: whole.target, plainBytes: SIZE, parts: 2 });
    expect(progress.at(-1)).toBe(SIZE);
    expect(readdirSync(stage.folder)).toEqual(before);
    expect(existsSync(stateDir)).toBe(false);
  });

  test.each([
    ['a flipped byte in the first part', 1000, 'bad-frame'],
    ['a flipped byte in the last frame', -50, 'bad-frame'],
  ])('refuses %s', async (_what, position, code) => {
    const damaged = Buffer.from(sealed);
    damaged[(position + damaged.length) % damaged.length]! ^= 1;
    // Under its own name, so that nothing but the damage is wrong with it.
    const source = pathToFileURL(join(stage.folder, whole.key)).href;
    writeFileSync(join(stage.folder, whole.key), damaged);
    await expect(stage.shared.verify({ source })).rejects.toMatchObject({ code, exit: 6 });
    writeFileSync(join(stage.folder, whole.key), sealed);
    expect(await stage.shared.verify({ source })).toMatchObject({ plainBytes: SIZE });
  });

  test.each([
    ['cut between two frames', (bytes: Buffer) => bytes.subarray(0, bytes.length - (bytes.length % 262_176) - 1)],
    ['cut in the last byte', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['with a byte behind it', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)])],
  ])('refuses one that is %s, also through a pipe', async (_what, change) => {
    const damaged = change(sealed);
    const source = await store('damaged', damaged);
    await expect(stage.shared.verify({ source, allowRelocated: true })).rejects.toMatchObject({ exit: 6 });
    const piped = { source: pipeOf(damaged, 100_000), allowRelocated: true };
    await expect(stage.shared.verify(piped)).rejects.toMatchObject({ exit: 6 });
  });

  test('checks name and context as get does', async () => {
    await stage.s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: 'moved', CopySource: `${BUCKET}/${whole.key}` }));
    const source = `s3://${BUCKET}/moved`;
    await expect(stage.shared.verify({ source })).rejects.toMatchObject({ code: 'object-relocated' });
    expect(await stage.shared.verify({ source, allowRelocated: true })).toMatchObject({ plainBytes: SIZE });
    await expect(stage.shared.verify({ source: whole.target, expectContext: { a: 'b' } })).rejects.toMatchObject({
      code: 'context-mismatch',
    });
  });

  test.each(messages)('takes every kind of message, from wherever it comes: %s', async (what, message) => {
    const source = await store(what, message);
    const path = join(stage.folder, what);
    writeFileSync(path, message);
    for (const from of [source, pathToFileURL(path).href, pipeOf(message)]) {
      const result = await foreign.verify({ source: from, ...OLD });
      expect(result).toMatchObject({ command: 'verify', plainBytes: plain.length, sealedBytes: message.length });
    }
    const damaged = Buffer.from(message);
    damaged[damaged.length - 200]! ^= 1;
    await store(what, damaged);
    for (const from of [source, pipeOf(damaged)]) {
      await expect(foreign.verify({ source: from, ...OLD })).rejects.toMatchObject({ exit: 6 });
    }
  });

  test('that is stopped is no success', async () => {
    const controller = new AbortController();
    const stopped = stage.shared.verify({
      source: whole.target,
      signal: controller.signal,
      onEvent: (event) => event.type === 'progress' && controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({
      code: 'interrupted',
      exit: 4,
      hint: expect.stringContaining('again'),
    });
  });

  test('on the command line: a result, or exit 6', async () => {
    const source = await store('flag', messages[0]![1]);
    const flags = ['--raw-key', keyFile, '--require-bound', '--json'];
    const [good, refused] = await Promise.all([whole.target, source].map((url) => runHere(['verify', url, ...flags])));
    expect(good).toMatchObject({ exit: 0, last: { type: 'result', command: 'verify', plainBytes: SIZE, job: '' } });
    expect(good!.stderr).toContain(`Verified ${whole.target}\n`);
    expect(good!.lines).toContainEqual(expect.objectContaining({ type: 'start', command: 'verify', totalBytes: SIZE }));
    expect(refused).toMatchObject({ exit: 6, last: { type: 'error', code: 'object-unbound', exit: 6 } });
  });
});

describe('an object that is bound to no name', () => {
  const rules: OpenRules = { ...OLD, requireBound: true };

  test.each(messages)('is refused before a key is asked for, where that is demanded: %s', async (what, message) => {
    const source = await store(`unbound ${what}`, message);
    asked = 0;
    for (const from of [source, pipeOf(message)]) {
      const unbound = { code: 'object-unbound', exit: 6 };
      await expect(foreign.verify({ source: from, ...rules })).rejects.toMatchObject(unbound);
    }
    const target = join(stage.folder, `unbound ${what}`);
    await expect(foreign.get({ source, target, ...rules })).rejects.toMatchObject({ code: 'object-unbound' });
    expect(asked).toBe(0);
    expect(existsSync(target)).toBe(false);
    expect(await foreign.verify({ source, ...OLD })).toMatchObject({ plainBytes: plain.length });
  });

  test('one of ours passes', async () => {
    await stage.shared.get({ source: whole.target, target: whole.back, requireBound: true });
    expect(readFileSync(whole.back).equals(readFileSync(whole.source))).toBe(true);
  });

  test('who demands a name and waives it is asked what is meant, and nothing else happens', async () => {
    stage.requests.length = 0;
    const both = { source: whole.target, requireBound: true, allowRelocated: true };
    await expect(stage.shared.verify(both)).rejects.toMatchObject({ code: 'bad-option', exit: 2 });
    expect(stage.requests).toEqual([]);
  });
});

describe('an object that is not signed', () => {
  const rules: OpenRules = { ...OLD, requireSignature: true };

  test('is refused before a key is asked for, where that is demanded', async () => {
    asked = 0;
    for (const [what, message] of messages.slice(0, 2)) {
      const source = await store(`unsigned ${what}`, message);
      const target = join(stage.folder, `unsigned ${what}`);
      for (const from of [source, pipeOf(message)]) {
        await expect(foreign.get({ source: from, target, ...rules })).rejects.toMatchObject({
          code: 'object-unsigned',
        });
      }
      expect(existsSync(target)).toBe(false);
    }
    expect(asked).toBe(0);
    const refused = await runHere(['verify', whole.target, '--raw-key', keyFile, '--require-signature', '--json']);
    expect(refused).toMatchObject({ exit: 6, last: { type: 'error', code: 'object-unsigned', exit: 6 } });
  });

  test('one that is passes', async () => {
    const [what, message] = messages[2]!;
    const source = await store(what, message);
    expect(await foreign.verify({ source, ...rules })).toMatchObject({ signed: true });
  });
});
