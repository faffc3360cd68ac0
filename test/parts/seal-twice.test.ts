/** Parts sealed twice: the same bytes as sealed once, and not one changed frame on the socket. */
import { KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { planLayout } from '../../src/formats/esdk/plan.ts';
import { roomFor } from '../../src/formats/message.ts';
import { sealInto } from '../../src/parts/seal-once.ts';
import { sealTwice } from '../../src/parts/seal-twice.ts';
import { openSource } from '../../src/parts/source.ts';
import { MiB } from '../../src/units.ts';
import { changeQuietly, setRoundTimes, writeRandomFile } from '../support/files.ts';

const SIZE = 23 * MiB + 5;
const HEADER = Buffer.alloc(300, 'h');

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  path = join(folder, 'source');
  writeRandomFile(path, SIZE);
  setRoundTimes(path);
});

afterAll(() => rm(folder, { recursive: true }));

async function partToSeal(number: number, equalParts = false) {
  const { file, identity: source } = await openSource(path);
  await file.close();
  const layout = planLayout({ plainSize: SIZE, frameSize: 256 * 1024, headerSize: HEADER.length, equalParts });
  const messageId = Buffer.alloc(32, 7);
  const keys = deriveMessageKeys({ dataKey: Buffer.alloc(32, 1), messageId });
  expect(keys.frameKey).toBeInstanceOf(KeyObject);
  const message = { format: 'esdk' as const, layout, messageId, keys };
  return { message, source, header: HEADER, number };
}

async function collect(slices: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of slices) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe('a part sealed twice', () => {
  test.each([1, 2, 3])('part %i has the bytes and the intent of one sealed once, at every reading', async (number) => {
    const input = await partToSeal(number);
    const once = await sealInto(Buffer.alloc(roomFor(input.message, number)), input);
    const { intent, body } = await sealTwice(input);
    expect(intent).toEqual(once.intent);
    expect(body.byteLength).toBe(once.sealed.length);
    expect((await collect(body.slices())).equals(once.sealed)).toBe(true);
    expect((await collect(body.slices())).equals(once.sealed)).toBe(true);
  });

  test('equal parts make the same message, and share the tags of the frames between them', async () => {
    const messages: Buffer[] = [];
    for (const equalParts of [false, true]) {
      const parts: Buffer[] = [];
      const shared: object[] = [];
      for (const number of [1, 2, 3]) {
        const input = await partToSeal(number, equalParts);
        const { sealed, intent } = await sealInto(Buffer.alloc(roomFor(input.message, number)), input);
        const twice = await sealTwice(input);
        expect(twice.intent).toEqual(intent);
        expect(sealed.length).toBe(intent.sealedSize);
        expect((await collect(twice.body.slices())).equals(sealed)).toBe(true);
        parts.push(Buffer.from(sealed));
        shared.push(intent.sharedTags);
      }
      messages.push(Buffer.concat(parts));
      const full = 32 * (256 * 1024 + 32);
      if (equalParts) expect(parts.slice(0, -1).map(({ length }) => length)).toEqual([full, full]);
      const [one, two] = [/^{"32":"[0-9a-f]{32}"}$/, /^{"32":"[0-9a-f]{32}","64":"[0-9a-f]{32}"}$/];
      expect(JSON.stringify(shared[1])).toMatch(equalParts ? two : /^{}$/);
      expect(JSON.stringify(shared[0])).toMatch(equalParts ? one : /^{}$/);
      if (equalParts) expect(shared[1]).toEqual({ ...shared[0], ...shared[2] });
    }
    expect(messages[0]!.equals(messages[1]!)).toBe(true);
  });

  test('a frame that changed between the passes stops it before one byte of that frame', async () => {
    const input = await partToSeal(2);
    const { body } = await sealTwice(input);
    const whole = await collect(body.slices());
    const changedFrame = 13;
    changeQuietly(path, [partOf(input.message.layout, 2).plainOffset + changedFrame * 256 * 1024 + 99]);
    const sent: Uint8Array[] = [];
    const reading = (async () => {
      for await (const slice of body.slices()) sent.push(Buffer.from(slice));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'source-changed' });
    const bytes = Buffer.concat(sent);
    expect(bytes.length).toBeLessThanOrEqual(changedFrame * (256 * 1024 + 32));
    expect(bytes.length).toBeGreaterThan(8 * 256 * 1024);
    expect(bytes.equals(whole.subarray(0, bytes.length))).toBe(true);
  });
});
