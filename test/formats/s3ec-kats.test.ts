/**
 * Known answers of the official S3 Encryption Clients (Go, Ruby), kept outside this repository. Every object must open,
 * or fail as its authors meant it to.
 */
import { createDecipheriv } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeHeader, headerPlace } from '../../src/formats/s3ec/header.ts';
import { checkCommitment, deriveObjectKeys, gcmMessageOf } from '../../src/formats/s3ec/keys.ts';
import { ObjectOpener } from '../../src/formats/s3ec/open-object.ts';
import { decodeMetadataText } from '../../src/formats/s3ec/rfc2047.ts';
import { CBC_SUITE, COMMITTING_SUITE, GCM_SUITE, type Suite } from '../../src/formats/s3ec/suites.ts';
import { openInParts, sealAtOnce, sealInParts } from './gcm-message.ts';

const file = new URL('../../../shared/vectors/s3ec-kats.json', import.meta.url);
const answers = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
const texts: [string, string][] = answers?.rfc2047 ?? [['', '']];
const hex = (text: string) => Buffer.from(text, 'hex');
const base64 = (text: string) => Buffer.from(text, 'base64');

function open(suite: Suite, messageId: Buffer, dataKey: Buffer, body: Buffer, pieceSize: number): Buffer {
  const opener = new ObjectOpener({ suite, messageId }, deriveObjectKeys({ suite, dataKey, messageId }));
  const plain: Buffer[] = [];
  for (let at = 0; at < body.length; at += pieceSize)
    plain.push(...opener.push(body.subarray(at, at + pieceSize)).map((piece) => Buffer.from(piece)));
  return Buffer.concat([...plain, opener.finish()]);
}

/** In order, and in parts that are hashed apart. */
function expectOpens(suite: Suite, messageId: Buffer, dataKey: Buffer, body: Buffer, plain: Buffer): void {
  for (const pieceSize of [1, 16, 23, body.length]) {
    expect(open(suite, messageId, dataKey, body, pieceSize)).toEqual(plain);
  }
  if (suite.tagSize === 0) return;
  const message = gcmMessageOf(suite, messageId, deriveObjectKeys({ suite, dataKey, messageId }));
  const expected = { plain, tag: body.subarray(-16) };
  expect(openInParts(message, body.subarray(0, -16), { cuts: [16, 48] })).toEqual(expected);
  const sealed = { sealed: body.subarray(0, -16), tag: body.subarray(-16) };
  expect(sealInParts(message, plain, { cuts: [32], order: [1, 0] })).toEqual(sealed);
  const changed = Buffer.from(body);
  changed[3]! ^= 1;
  expect(() => open(suite, messageId, dataKey, changed, 16)).toThrow('authentication tag');
}

describe.skipIf(!answers)('known answers of ../shared/vectors/s3ec-kats.json, skipped where it is missing', () => {
  test.each([0, 1, 2])('key derivation %i', (index) => {
    const { dek, messageId, encKey, commitment, plaintext, ciphertext, tag } = answers.kdf[index];
    const keys = deriveObjectKeys({ suite: COMMITTING_SUITE, dataKey: hex(dek), messageId: hex(messageId) });
    expect(keys.contentKey.export().toString('hex')).toBe(encKey);
    expect(keys.commitment.toString('hex')).toBe(commitment);
    if (!plaintext) return;
    const message = gcmMessageOf(COMMITTING_SUITE, hex(messageId), keys);
    expect(sealAtOnce(message, hex(plaintext))).toEqual({ sealed: hex(ciphertext), tag: hex(tag) });
    expect(sealInParts(message, hex(plaintext), { cuts: [] })).toEqual({ sealed: hex(ciphertext), tag: hex(tag) });
  });

  test('an object of version 3', () => {
    const { dek, metadata, body, plaintext } = answers.v3Object;
    expect(headerPlace(metadata)).toBe('instruction-file');
    const header = decodeHeader({ ...metadata, 'x-amz-3': 'AAAA' });
    const { suite, messageId } = header;
    expect(header).toMatchObject({ version: 3, suite: COMMITTING_SUITE, description: { 'aws:x-amz-cek-alg': '115' } });
    const keys = deriveObjectKeys({ suite, dataKey: base64(dek), messageId });
    checkCommitment(header, keys);
    expectOpens(suite, messageId, base64(dek), hex(body), hex(plaintext));
    // A range needs neither what stands before nor what stands behind it.
    const counter = Buffer.concat([Buffer.alloc(12, 1), Buffer.from([0, 0, 0, 3])]);
    const range = createDecipheriv('aes-256-ctr', keys.contentKey, counter).update(hex(body).subarray(16, 40));
    expect(range).toEqual(hex(plaintext).subarray(16, 40));
  });

  test('an object of version 3 that commits to another key', () => {
    const { dek, metadata } = answers.v3BadCommitment;
    const messageId = base64(metadata['x-amz-i']);
    const keys = deriveObjectKeys({ suite: COMMITTING_SUITE, dataKey: base64(dek), messageId });
    const refused = expect.objectContaining({ code: 'bad-header', message: expect.stringContaining('commits') });
    expect(() => checkCommitment({ commitment: base64(metadata['x-amz-d']) }, keys)).toThrow(refused);
  });

  test('an object of version 2, and one to be sealed as it was', () => {
    const { dek, iv, body, plaintext } = answers.v2Object;
    expectOpens(GCM_SUITE, base64(iv), base64(dek), hex(body), hex(plaintext));
    const made = answers.v2Encrypt;
    const messageId = hex(made.ivHex);
    const keys = deriveObjectKeys({ suite: GCM_SUITE, dataKey: base64(made.dek), messageId });
    const message = gcmMessageOf(GCM_SUITE, messageId, keys);
    const { sealed, tag } = sealInParts(message, hex(made.plaintext), { cuts: [16], order: [1, 0] });
    expect(Buffer.concat([sealed, tag])).toEqual(hex(made.body));
  });

  test('an object under CBC', () => {
    const { dek, iv, body, plaintext } = answers.cbc;
    expectOpens(CBC_SUITE, base64(iv), base64(dek), hex(body), hex(plaintext));
  });

  test('an object of version 1: the data key under AES in blocks', () => {
    const { masterKey, metadata, bodyB64, plaintextUtf8 } = answers.v1;
    const { suite, wrapping, wrappedKey, messageId } = decodeHeader(metadata);
    expect(wrapping.name).toBe('AES');
    const decipher = createDecipheriv('aes-256-ecb', base64(masterKey), null);
    const dataKey = Buffer.concat([decipher.update(wrappedKey), decipher.final()]);
    expectOpens(suite, messageId, dataKey, base64(bodyB64), Buffer.from(plaintextUtf8));
  });

  test.each(texts)('metadata %s is %s', (encoded, text) => {
    expect(decodeMetadataText(encoded)).toBe(text);
  });
});
