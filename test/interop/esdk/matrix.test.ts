/** The matrix's own harness, with the peers that need no installation: it is green, and a wrong byte makes a cell red. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cell, cellsOf, type Peer, rawKeys } from './cells.ts';
import { javascriptPeer } from './javascript.ts';
import { type Outcome, redLines, runMatrix, tableOf } from './matrix.ts';
import { sealiftPeer } from './sealift.ts';

const keyring = { name: 'raw AES', writes: ['aes', 'rsa'], reads: ['rsa'], frameSizes: [4096] };
const cells = cellsOf([0x0378, 0x0578], [keyring]);
let folder: string;
let peers: Peer[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
  const keys = rawKeys();
  peers = [javascriptPeer(keys), sealiftPeer(keys, folder)];
});

afterAll(() => rmSync(folder, { recursive: true }));

function run(tamper: (cell: Cell, sealed: string) => void = () => {}, some: readonly Cell[] = cells) {
  return runMatrix({ writers: peers, readers: peers, cells: some, folder, tamper });
}

const ofSealift = ({ suite, frameSize, length }: Cell) => suite === 0x0578 && frameSize === 4096 && length === 12_288;

test('is green: whatever one of them writes, both open', async () => {
  const outcomes = await run();
  expect(redLines(outcomes)).toEqual([]);
  expect(outcomes.length).toBe((12 + 6) * 2);
  const rows = tableOf(outcomes, ['JavaScript 5', 'Sealift']).split('\n');
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ['writer', 'keyring', 'suite', 'JavaScript 5', 'Sealift'],
    ['JavaScript 5', 'raw AES', '0x0378', '6', '6'],
    ['JavaScript 5', 'raw AES', '0x0578', '6', '6'],
    ['Sealift', 'raw AES', '0x0578', '6', '6'],
  ]);
});

test('a wrong byte makes its cells red, and no others', async () => {
  const outcomes = await run((cell, sealed) => {
    if (!ofSealift(cell)) return;
    const bytes = readFileSync(sealed);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(sealed, bytes);
  });
  const red = outcomes.filter(({ error }) => error !== undefined);
  expect(red).toHaveLength(4);
  expect(red.every(({ cell }: Outcome) => ofSealift(cell))).toBe(true);
  expect(tableOf(outcomes, ['Sealift'])).toContain('5 of 6 !');
});

test('a message of other bytes is red, though it opens', async () => {
  let other: Buffer;
  const old = cells.filter(({ suite }) => suite === 0x0378);
  const outcomes = await run(({ length }, sealed) => {
    if (length === 1) other = readFileSync(sealed);
    if (length === 4095) writeFileSync(sealed, other);
  }, old);
  const red = outcomes.filter(({ error }) => error !== undefined);
  expect(red.map(({ error, cell }) => [error, cell.length])).toEqual(Array(2).fill(['other bytes', 4095]));
});
