/**
 * Known answers of AWS's own implementations (C, Java, JavaScript, Python), kept outside this repository. Every message
 * must open, or fail as its authors meant it to.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { errorOf, openInOrder, openMessage } from './message.ts';

interface KnownAnswer {
  name: string;
  /** Base64, as all bytes here. */
  dek: string;
  message: string;
  expect: 'ok' | 'commitment-mismatch';
  plaintextSha256?: string;
  commitment?: string;
  contentKey?: string;
}

const file = new URL('../../../shared/vectors/esdk-kats.json', import.meta.url);
const answers: KnownAnswer[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
const cases = answers.map((answer) => ({
  ...answer,
  message: Buffer.from(answer.message, 'base64'),
  dataKey: Buffer.from(answer.dek, 'base64'),
}));

describe.skipIf(!existsSync(file))(
  'known answers of ../shared/vectors/esdk-kats.json, skipped where it is missing',
  () => {
    test('are all there, and of all suites', () => {
      expect(cases.map((some) => some.expect).sort()).toEqual([
        ...Array(5).fill('commitment-mismatch'),
        ...Array(59).fill('ok'),
      ]);
      const headers = cases.map(({ message }) => decodeHeader(message)!);
      expect(new Set(headers.map(({ suite }) => suite.id)).size).toBe(11);
      expect(headers.filter(({ frameSize }) => frameSize === 0).length).toBeGreaterThan(3);
    });

    test.each(cases)('$name', ({ dataKey, message, ...answer }) => {
      if (answer.expect === 'commitment-mismatch') {
        const refused = { code: 'bad-header', message: expect.stringContaining('commits') };
        expect(errorOf(() => openMessage(message, { dataKey }))).toMatchObject(refused);
        expect(errorOf(() => openInOrder(message, { dataKey }))).toMatchObject(refused);
        return;
      }
      for (const chunkSize of [1, 7, message.length]) {
        for (const open of [openMessage, openInOrder]) {
          const plain = open(message, { dataKey, chunkSize });
          expect(createHash('sha256').update(plain).digest('hex')).toBe(answer.plaintextSha256);
        }
      }
      const { suite, messageId } = decodeHeader(message)!;
      const keys = deriveMessageKeys({ suite, dataKey, messageId });
      if (answer.commitment) expect(keys.commitment.toString('base64')).toBe(answer.commitment);
      if (answer.contentKey) expect(keys.frameKey.export().toString('base64')).toBe(answer.contentKey);
    });
  },
);
