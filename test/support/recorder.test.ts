/** The recorder is believed by many tests: programs that reuse a nonce must not get past it. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkRecords } from './records.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-records-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const recorder = join(import.meta.dirname, 'recorder.ts');

/** `seal(plain, { key, nonce, additional })`, as programs do it. */
const PROLOGUE = `
  import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
  import { Worker } from 'node:worker_threads';
  function seal(plain, { key = Buffer.alloc(32, 1), nonce = Buffer.alloc(12, 2), additional = 'context' } = {}) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    cipher.setAAD(Buffer.from(additional));
    const sealed = Buffer.concat([...Array.from(plain, (byte) => cipher.update(Buffer.from(byte))), cipher.final()]);
    return { sealed, tag: cipher.getAuthTag(), nonce, key, additional };
  }
`;

function runRecorded(program: string): void {
  const args = ['--import', recorder, '--input-type=module', '--eval', PROLOGUE + program];
  const { status, stderr } = spawnSync(process.execPath, args, {
    env: { ...process.env, SEALIFT_TEST_RECORDS: folder },
  });
  expect(status, String(stderr)).toBe(0);
}

const TWO_PLAINTEXTS = /sealed two plaintexts$/;
const TWO_CONTEXTS = /authenticated two contexts$/;

test('a nonce that seals two plaintexts is caught', () => {
  runRecorded(`seal('one'); seal('two')`);
  expect(checkRecords(folder)).toEqual({ calls: 2, violations: [expect.stringMatching(TWO_PLAINTEXTS)] });
});

test('a nonce that authenticates two contexts is caught', () => {
  runRecorded(`seal('', { additional: 'a' }); seal('', { additional: 'b' })`);
  expect(checkRecords(folder)).toEqual({ calls: 2, violations: [expect.stringMatching(TWO_CONTEXTS)] });
});

test('keys are told by their bytes, whether they come as bytes or as objects', () => {
  runRecorded(`seal('one'); seal('two', { key: createSecretKey(Buffer.alloc(32, 1)) })`);
  expect(checkRecords(folder).violations).toHaveLength(1);
});

test('reuse inside a thread, between threads, and between processes is caught', () => {
  const inThread = (text: string) => `
    await new Promise((done, failed) => {
      const code = ${JSON.stringify(PROLOGUE)};
      new Worker(code + "seal('${text}')", { eval: true }).on('exit', done).on('error', failed);
    });`;
  runRecorded(inThread('one'));
  expect(checkRecords(folder)).toEqual({ calls: 1, violations: [] });
  runRecorded(inThread('two') + inThread('three'));
  expect(readdirSync(folder).length).toBeGreaterThanOrEqual(3);
  expect(checkRecords(folder)).toMatchObject({ calls: 3, violations: { length: 2 } });
});

test('counters that are come to from different nonces, and meet, are caught', () => {
  const program = (sizes: [number, number]) => `
    import { PartSealer } from '${join(import.meta.dirname, '../../src/formats/gcm/seal-part.ts')}';
    const message = { key: createSecretKey(Buffer.alloc(32, 1)), iv: Buffer.alloc(12, 1) };
    for (const [index, plainSize] of ${JSON.stringify(sizes)}.entries()) {
      const plainOffset = 64 * index;
      const sealer = new PartSealer({ message, plainOffset, plainSize, sealed: Buffer.alloc(99), offset: 0 });
      sealer.push(Buffer.alloc(plainSize, index));
      sealer.finish();
    }`;
  runRecorded(program([64, 33]));
  expect(checkRecords(folder)).toEqual({ calls: 2, violations: [] });
  runRecorded(program([64, 33]));
  expect(checkRecords(folder)).toEqual({ calls: 4, violations: [] });
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  runRecorded(program([65, 33]));
  expect(checkRecords(folder)).toEqual({ calls: 2, violations: [expect.stringMatching(TWO_PLAINTEXTS)] });
});

test('a message in parts meets the same message in one call', () => {
  runRecorded(`
    import { PartSealer } from '${join(import.meta.dirname, '../../src/formats/gcm/seal-part.ts')}';
    seal('other bytes at the same place', { nonce: Buffer.alloc(12, 1) });
    const message = { key: createSecretKey(Buffer.alloc(32, 1)), iv: Buffer.alloc(12, 1) };
    const sealer = new PartSealer({ message, plainOffset: 16, plainSize: 5, sealed: Buffer.alloc(5), offset: 0 });
    sealer.push(Buffer.alloc(5));
    sealer.finish();
  `);
  expect(checkRecords(folder).violations).toEqual([expect.stringMatching(TWO_PLAINTEXTS)]);
});

test('what only hashes, of a message that is opened, seals nothing', () => {
  runRecorded(`
    import { PartOpener } from '${join(import.meta.dirname, '../../src/formats/gcm/open-part.ts')}';
    const message = { key: createSecretKey(Buffer.alloc(32, 1)), iv: Buffer.alloc(12, 1) };
    for (const sealed of [Buffer.alloc(5, 1), Buffer.alloc(5, 2)]) {
      const opener = new PartOpener({ message, plainOffset: 0, plainSize: 5, plain: Buffer.alloc(5), offset: 0 });
      opener.push(sealed);
      opener.finish();
    }
    seal('x', { nonce: Buffer.from('only hashing') });
  `);
  expect(checkRecords(folder)).toEqual({ calls: 1, violations: [] });
});

test('the same bytes again, another nonce, another key, and opening are no reuse', () => {
  runRecorded(`
    const { sealed, tag, nonce, key, additional } = seal('one');
    seal('one');
    seal(['o', 'ne']);
    seal('two', { nonce: Buffer.alloc(12, 3) });
    seal('two', { key: Buffer.alloc(32, 4) });
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    decipher.setAAD(Buffer.from(additional)).setAuthTag(tag);
    Buffer.concat([decipher.update(sealed), decipher.final()]);
  `);
  expect(checkRecords(folder)).toEqual({ calls: 5, violations: [] });
});

test('a note cut off by a kill is passed over', () => {
  runRecorded(`seal('one')`);
  appendFileSync(join(folder, readdirSync(folder)[0]!), '{"key":"half');
  expect(checkRecords(folder)).toEqual({ calls: 1, violations: [] });
});
