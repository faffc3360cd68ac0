/**
 * Objects that are not what they were when they were sealed. Whoever can write to the bucket does what he likes to the
 * bytes here, and `get` must see all of it: exit 6, no file, nothing unverified to a sink.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeHeader, headerBytes } from '../../src/formats/esdk/header.ts';
import { frameRange, type Layout, layoutOfObject } from '../../src/formats/esdk/layout.ts';
import type { Engine } from '../../src/index.ts';
import { KiB, MiB } from '../../src/units.ts';
import { writeRandomFile } from '../support/files.ts';
import { type Act, KEY, PART_SIZE, refusal, Scene, type Told } from './scene.ts';

let scene: Scene;
let act: Act;
let engine: Engine;
beforeAll(async () => {
  scene = await Scene.open();
  act = await scene.act();
  engine = act.engine();
});
afterAll(async () => {
  await engine.close();
  await scene.close();
});

interface Message {
  sealed: Buffer;
  metadata: Record<string, string>;
  plain: Buffer;
  layout: Layout;
}

/** Seals `plain` and takes the object out of the store again. */
async function sealedObject(key: string, plain: Buffer, frameSize = KiB): Promise<Message> {
  writeFileSync(act.path(key), plain);
  await engine.put({
    source: act.path(key),
    target: act.url(key),
    frameSize,
    overwrite: true,
    context: { of: 'test' },
  });
  const { sealed, metadata } = await act.fetch(key);
  const header = decodeHeader(sealed)!;
  const layout = layoutOfObject({
    sealedSize: sealed.length,
    headerSize: headerBytes(header).length,
    frameSize: header.frameSize,
  });
  return { sealed, metadata, plain, layout };
}

/** Puts `sealed` in the object's place and gets it, into a file and into a sink. Neither may receive anything. */
async function refused(message: Message, sealed: Uint8Array): Promise<Told> {
  const before = readdirSync(act.folder);
  await act.store('object', sealed, message.metadata);
  const source = act.url('object');
  const told = await refusal(engine.get({ source, target: act.path('back') }));
  expect(readdirSync(act.folder)).toEqual(before);
  expect(engine.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  const sink = vi.fn(async () => {});
  expect(await refusal(engine.get({ source, target: sink }))).toEqual(told);
  expect(sink).not.toHaveBeenCalled();
  return told;
}

let message: Message;
/** Four frames, the last of them short. */
beforeAll(async () => {
  message = await sealedObject('object', Buffer.from(`${'All the world is a stage.\n'.repeat(138)}.`));
  expect(message.layout.frameCount).toBe(4);
});

test('untouched it opens, so that what follows proves something', async () => {
  await act.store('object', message.sealed, message.metadata);
  await engine.get({ source: act.url('object'), target: act.path('whole') });
  expect((await readFile(act.path('whole'))).equals(message.plain)).toBe(true);
});

/** The header's fields in their order, with the places they take. */
function headerFields(sealed: Buffer): Map<string, { first: number; end: number }> {
  const fields = new Map<string, { first: number; end: number }>();
  let offset = 0;
  const field = (name: string, size: number) => {
    fields.set(name, { first: offset, end: offset + size });
    offset += size;
  };
  const sizedField = (name: string) => {
    field(`size of ${name}`, 2);
    field(name, sealed.readUInt16BE(offset - 2));
  };
  field('version', 1);
  field('suite', 2);
  field('message id', 32);
  sizedField('encryption context');
  field('count of wrapped keys', 2);
  sizedField('provider id');
  sizedField('provider info');
  sizedField('wrapped key');
  field('content type', 1);
  field('frame size', 4);
  field('commitment', 32);
  field('header tag', 16);
  return fields;
}

function flipped(sealed: Buffer, offset: number): Buffer {
  const copy = Buffer.from(sealed);
  copy[offset]! ^= 1;
  return copy;
}

describe('a bit flipped in the header', () => {
  test('the table below has every field', () => {
    const fields = headerFields(message.sealed);
    expect([...fields.keys()]).toEqual(HEADER.map(([name]) => name));
    expect(fields.get('header tag')!.end).toBe(message.layout.headerSize);
  });

  // What the wrapping key authenticates itself cannot be told from another key: nothing opened so far says otherwise.
  const HEADER: [field: string, codes: string[]][] = [
    ['version', ['bad-header']],
    ['suite', ['bad-header', 'truncated']],
    ['message id', ['bad-header']],
    ['size of encryption context', ['bad-header']],
    ['encryption context', ['bad-header', 'wrong-key']],
    ['count of wrapped keys', ['bad-header']],
    ['size of provider id', ['bad-header', 'truncated']],
    ['provider id', ['wrong-key']],
    ['size of provider info', ['bad-header', 'truncated']],
    ['provider info', ['wrong-key']],
    ['size of wrapped key', ['bad-header', 'truncated']],
    ['wrapped key', ['wrong-key']],
    ['content type', ['bad-header']],
    ['frame size', ['bad-header', 'truncated']],
    ['commitment', ['bad-header']],
    ['header tag', ['bad-header']],
  ];

  test.each(HEADER)('%s', async (name, codes) => {
    const { first, end } = headerFields(message.sealed).get(name)!;
    for (const offset of new Set([first, end - 1])) {
      const told = await refused(message, flipped(message.sealed, offset));
      expect(codes).toContain(told.code);
      expect(told.exit).toBe(told.code === 'wrong-key' ? 1 : 6);
    }
  });
});

describe('a bit flipped in a frame', () => {
  const REGULAR: [field: string, offset: number, code: string][] = [
    ['number', 3, 'bad-frame'],
    ['nonce', 4, 'bad-frame'],
    ['first byte', 16, 'bad-frame'],
    ['last byte', 16 + KiB - 1, 'bad-frame'],
    ['tag', 16 + KiB, 'bad-frame'],
  ];
  test.each(REGULAR)('%s', async (_field, offset, code) => {
    for (const number of [1, 2, 3]) {
      const { first } = placeOf(message, number);
      const told = await refused(message, flipped(message.sealed, first + offset));
      expect(told).toMatchObject({ code, exit: 6, message: expect.stringContaining(`rame ${number} of 4`) });
      expect(told.hint).toMatch(/changed or damaged/);
    }
  });

  const FINAL: [field: string, offset: number, code: string][] = [
    ['marker', 3, 'bad-frame'],
    ['number', 7, 'bad-frame'],
    ['nonce', 8, 'bad-frame'],
    ['size, upwards', 22, 'truncated'],
    ['size, downwards', 23, 'trailing-bytes'],
    ['first byte', 24, 'bad-frame'],
    ['tag', -1, 'bad-frame'],
  ];
  test.each(FINAL)('of the final frame: %s', async (_field, offset, code) => {
    const { first } = placeOf(message, 4);
    const at = offset < 0 ? message.sealed.length + offset : first + offset;
    const told = await refused(message, flipped(message.sealed, at));
    expect(told).toMatchObject({ code, exit: 6, message: expect.stringContaining('rame 4 of 4') });
  });
});

function placeOf({ layout }: Message, number: number): { first: number; end: number } {
  const { sealedOffset, sealedSize } = frameRange(layout, { firstFrame: number, lastFrame: number });
  return { first: sealedOffset, end: sealedOffset + sealedSize };
}

/** The header and then these frames, by number. */
function assembled(of: Message, numbers: readonly number[]): Buffer {
  const frames = numbers.map((number) => {
    const { first, end } = placeOf(of, number);
    return of.sealed.subarray(first, end);
  });
  return Buffer.concat([of.sealed.subarray(0, of.layout.headerSize), ...frames]);
}

test.each<[what: string, frames: number[], code: string]>([
  ['two swapped', [2, 1, 3, 4], 'bad-frame'],
  ['the first dropped', [2, 3, 4], 'bad-frame'],
  ['one in the middle dropped', [1, 3, 4], 'bad-frame'],
  ['the final one dropped', [1, 2, 3], 'truncated'],
  ['all but the final one dropped', [4], 'bad-frame'],
  ['one repeated', [1, 2, 2, 3, 4], 'bad-frame'],
  ['the final one repeated', [1, 2, 3, 4, 4], 'trailing-bytes'],
  ['none left', [], 'truncated'],
])('frames: %s', async (_what, frames, code) => {
  expect(await refused(message, assembled(message, frames))).toMatchObject({ code, exit: 6 });
});

describe('cut short', () => {
  test.each([-1, 0, 1])('at every frame boundary, and %i', async (beside) => {
    for (const number of [1, 2, 3, 4]) {
      const size = placeOf(message, number).first + beside;
      const told = await refused(message, message.sealed.subarray(0, size));
      expect(told, `${size} of ${message.sealed.length} bytes`).toMatchObject({ exit: 6 });
      expect(['truncated', 'bad-frame']).toContain(told.code);
    }
  });

  test.each([0, 1, 40])('to %i bytes, within the header', async (size) => {
    const told = await refused(message, message.sealed.subarray(0, size));
    expect(told).toMatchObject({ code: 'truncated', exit: 6 });
    expect(told.hint).toMatch(/another (version|copy)/);
  });

  test('by its last byte', async () => {
    expect(await refused(message, message.sealed.subarray(0, -1))).toMatchObject({ code: 'truncated', exit: 6 });
  });
});

test('bytes at the end that do not belong there: one, a frame of them, another message', async () => {
  for (const [more, code] of [
    [Buffer.alloc(1), 'trailing-bytes'],
    [Buffer.alloc(KiB + 32), 'trailing-bytes'],
    [message.sealed, 'trailing-bytes'],
  ] as const) {
    const told = await refused(message, Buffer.concat([message.sealed, more]));
    expect(told).toMatchObject({ code, exit: 6 });
  }
});

describe('parts and frames of another object', () => {
  test('sealed under the same data key', async () => {
    const other = await sealedObject('other', Buffer.from(`${'And all the men and women.\n'.repeat(138)}.`));
    const { first, end } = placeOf(message, 2);
    const theirs = placeOf(other, 2);
    expect(theirs.first).toBe(first);
    const mixed = Buffer.from(message.sealed);
    other.sealed.copy(mixed, first, first, end);
    expect(await refused(message, mixed)).toMatchObject({ code: 'bad-frame', exit: 6 });
    const exchanged = Buffer.concat([
      message.sealed.subarray(0, message.layout.headerSize),
      other.sealed.subarray(other.layout.headerSize),
    ]);
    expect(await refused(message, exchanged)).toMatchObject({ code: 'bad-frame', exit: 6 });
  });

  test('a whole part', async () => {
    const parts = await Promise.all(['left', 'right'].map(async (name) => twoParts(name)));
    const [left, right] = parts as [Message, Message];
    const first = left.sealed.length - right.sealed.subarray(-PART_SIZE).length;
    const mixed = Buffer.concat([left.sealed.subarray(0, first), right.sealed.subarray(first)]);
    await act.store('left', mixed, left.metadata);
    const told = await refusal(engine.get({ source: act.url('left'), target: act.path('back') }));
    expect(told).toMatchObject({ code: 'bad-frame', exit: 6 });
    expect((await act.left()).files).not.toContain('back');
  });

  async function twoParts(name: string): Promise<Message> {
    writeRandomFile(act.path(name), 2 * PART_SIZE);
    await engine.put({ source: act.path(name), target: act.url(name), partSize: PART_SIZE });
    return { ...message, ...(await act.fetch(name)) };
  }
});

describe('to standard output', () => {
  const LINE = `${'x'.repeat(KiB - 1)}\n`;

  test('only what was verified: the pieces before the one that is damaged', async () => {
    const plain = Buffer.from(LINE.repeat(9 * KiB));
    const { sealed, metadata } = await sealedObject('long', plain, 256 * KiB);
    await act.store('long', flipped(sealed, sealed.length - 1), metadata);
    const key = { type: 'raw-aes', ...KEY, key: KEY.key.toString('base64') };
    writeFileSync(act.path('test.key'), JSON.stringify(key), { mode: 0o600 });
    const flags = ['--raw-key', 'test.key', '--lanes', '1', '-q'];
    const { exit, stdout, stderr } = await act.run(['get', act.url('long'), '-', ...flags]);
    expect(exit).toBe(6);
    expect(stdout.length).toBe(8 * MiB);
    expect(stdout).toBe(LINE.repeat(8 * KiB));
    expect(stderr).toMatch(/\(bad-frame\)\n.*[Nn]othing from this frame on was released\./);
  });
});
