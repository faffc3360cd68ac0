/**
 * Known answers of AWS's own implementations (C, Java, JavaScript, Python), kept outside this repository. Every message
 * of the suite we read must open, or fail as its authors meant it to; every other one must be refused by its name.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { errorOf, openMessage } from './message.ts';

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

const isOurs = ({ message }: { message: Buffer }) => message.subarray(0, 3).toString('hex') === '020478';
const ours = cases.filter(isOurs);
const foreign = cases.filter((some) => !isOurs(some));

describe.skipIf(!existsSync(file))(
  'known answers of ../shared/vectors/esdk-kats.json, skipped where it is missing',
  () => {
    test('are all there', () => {
      expect([ours.length, foreign.length]).toEqual([23, 41]);
      expect(ours.filter((some) => some.expect === 'ok').length).toBe(20);
      expect(ours.filter(({ message }) => decodeHeader(message)?.frameSize === 0).length).toBe(3);
    });

    test.each(ours)('$name', ({ dataKey, message, ...answer }) => {
      if (answer.expect === 'commitment-mismatch') {
        expect(errorOf(() => openMessage(message, { dataKey }))).toMatchObject({
          code: 'bad-header',
          message: expect.stringContaining('commits'),
        });
        return;
      }
      for (const chunkSize of [1, 7, message.length]) {
        const plain = openMessage(message, { dataKey, chunkSize });
        expect(createHash('sha256').update(plain).digest('hex')).toBe(answer.plaintextSha256);
      }
      const header = decodeHeader(message)!;
      const keys = deriveMessageKeys({ dataKey, messageId: header.messageId });
      if (answer.commitment) expect(keys.commitment.toString('base64')).toBe(answer.commitment);
      if (answer.contentKey) expect(keys.frameKey.export().toString('base64')).toBe(answer.contentKey);
    });

    test.each(foreign)('$name: refused by name', ({ message }) => {
      const suite = message
        .subarray(message[0] === 1 ? 2 : 1)
        .subarray(0, 2)
        .toString('hex');
      expect(errorOf(() => decodeHeader(message))).toMatchObject({
        code: 'unsupported-message',
        message: expect.stringContaining(`0x${suite} AES_`),
      });
    });
  },
);
