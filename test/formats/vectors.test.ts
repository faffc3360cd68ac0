/**
 * Our own messages, frozen. Where one of these fails, the bytes we write have changed: objects already stored and jobs
 * already begun depend on them. Change the code back, not the vectors.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fingerprint } from '../../src/formats/esdk/fingerprint.ts';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { partOf } from '../../src/formats/esdk/layout.ts';
import { isBoundTo } from '../../src/formats/esdk/message-id.ts';
import { openMessage, sealMessage, somePlain } from './message.ts';

interface Vector {
  name: string;
  /** Hex. */
  dataKey: string;
  random: string;
  objectKey: string;
  encryptionContext: Record<string, string>;
  /** providerInfo and ciphertext in hex. */
  encryptedDataKeys: { providerId: string; providerInfo: string; ciphertext: string }[];
  frameSize: number;
  /** Plain bytes a part. */
  partSize: number;
  /** Byte i is i mod 251. */
  plainSize: number;
  /** Hex, by part. */
  fingerprints: string[];
  /** Base64. */
  sealed: string;
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('../vectors/esdk.json', import.meta.url), 'utf8'));
const hex = (text: string) => Buffer.from(text, 'hex');

test.each(vectors)('$name', (vector) => {
  const message = sealMessage({
    plain: somePlain(vector.plainSize),
    frameSize: vector.frameSize,
    partSize: vector.partSize,
    dataKey: hex(vector.dataKey),
    random: hex(vector.random),
    objectKey: vector.objectKey,
    encryptionContext: vector.encryptionContext,
    encryptedDataKeys: vector.encryptedDataKeys.map((key) => ({
      providerId: key.providerId,
      providerInfo: hex(key.providerInfo),
      ciphertext: hex(key.ciphertext),
    })),
  });
  expect(message.sealed.toString('base64')).toBe(vector.sealed);
  const fingerprints = message.tags.map((tags, index) => {
    const part = partOf(message.layout, index + 1);
    const headerTag = part.isFirst ? message.header.authTag : undefined;
    return fingerprint({ ledgerKey: message.keys.ledgerKey, format: 'esdk', part, headerTag, tags }).toString('hex');
  });
  expect(fingerprints).toEqual(vector.fingerprints);

  const sealed = Buffer.from(vector.sealed, 'base64');
  expect(openMessage(sealed, { dataKey: hex(vector.dataKey) })).toEqual(message.plain);
  expect(isBoundTo(decodeHeader(sealed)!.messageId, vector.objectKey)).toBe(true);
});
