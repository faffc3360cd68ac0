/** Parts that are not sealed, read twice: the bytes and the promise of one that is held, and not one changed piece on the socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { partOf, roomFor } from '../../src/formats/message.ts';
import { planLayout } from '../../src/formats/plain/layout.ts';
import { ledgerKeyOf } from '../../src/formats/plain/mark.ts';
import { readTwice } from '../../src/parts/read-twice.ts';
import { sealInto } from '../../src/parts/seal-once.ts';
import { openSource } from '../../src/parts/source.ts';
import { MiB } from '../../src/units.ts';
import { changeQuietly, setRoundTimes, writeRandomFile } from '../support/files.ts';

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  path = join(folder, 'source');
  writeRandomFile(path, 11 * MiB + 5);
  setRoundTimes(path);
});

afterAll(() => rm(folder, { recursive: true }));

async function partToRead(number: number) {
  const { file, identity: source } = await openSource(path);
  await file.close();
  const layout = planLayout({ plainSize: source.size, partSize: 6 * MiB });
  const message = { format: 'plain' as const, layout, keys: { ledgerKey: ledgerKeyOf(Buffer.alloc(32, 1)) } };
  return { message, source, header: Buffer.alloc(0), number };
}

async function collect(slices: AsyncIterable<Uint8Array>, into: Uint8Array[] = []): Promise<Buffer> {
  for await (const slice of slices) into.push(Buffer.from(slice));
  return Buffer.concat(into);
}

test.each([1, 2])('part %i has the bytes and the intent of one that is held, at every reading', async (number) => {
  const input = await partToRead(number);
  const held = await sealInto(Buffer.alloc(roomFor(input.message, number)), input);
  const { intent, body } = await readTwice(input);
  expect(intent).toEqual(held.intent);
  expect(body.byteLength).toBe(held.sealed.length);
  expect((await collect(body.slices())).equals(held.sealed)).toBe(true);
  expect((await collect(body.slices())).equals(held.sealed)).toBe(true);
});

test('a piece that changed between the passes stops it before one byte of that piece', async () => {
  const input = await partToRead(2);
  const { body } = await readTwice(input);
  const whole = await collect(body.slices());
  changeQuietly(path, [partOf(input.message, 2).plainOffset + 3 * MiB + 99]);
  const sent: Uint8Array[] = [];
  await expect(collect(body.slices(), sent)).rejects.toMatchObject({ code: 'source-changed' });
  expect(Buffer.concat(sent).equals(whole.subarray(0, 3 * MiB))).toBe(true);
});
