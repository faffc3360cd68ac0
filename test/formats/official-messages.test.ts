/**
 * Messages that AWS's Python and JavaScript clients wrote (test/interop/esdk/make-fixtures.ts): all suites, with and
 * without frames, under raw AES and RSA keys. Every one opens here, as an object and as a pipe.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { type RsaPadding, rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import { openInOrder, openMessage } from './message.ts';
import { ALL_SUITES } from './writer.ts';

interface Fixtures {
  keys: Record<
    string,
    { type: string; namespace: string; name: string; key: string; padding: RsaPadding; privateKey: string }
  >;
  messages: {
    writer: string;
    suite: number;
    frameSize: number;
    length: number;
    key: string;
    sha256: string;
    message: string;
  }[];
}

const file = new URL('../vectors/esdk-official.json', import.meta.url);
const { keys, messages } = JSON.parse(readFileSync(file, 'utf8')) as Fixtures;

const keyrings = Object.fromEntries(
  Object.entries(keys).map(([name, key]) => [
    name,
    key.type === 'raw-aes' ? rawAesKeyring({ ...key, key: Buffer.from(key.key, 'base64') }) : rawRsaKeyring(key),
  ]),
);

test('there are messages of three clients, in all suites and both forms', () => {
  const distinct = (of: (some: Fixtures['messages'][number]) => unknown) => new Set(messages.map(of)).size;
  expect(distinct(({ writer }) => writer)).toBe(3);
  expect(distinct(({ suite }) => suite)).toBe(ALL_SUITES.length);
  expect(distinct(({ frameSize }) => frameSize)).toBe(2);
});

test.each(ALL_SUITES)('$name', async ({ id }) => {
  for (const { suite, frameSize, key, sha256, message: text, ...about } of messages) {
    if (suite !== id) continue;
    const message = Buffer.from(text, 'base64');
    const header = decodeHeader(message)!;
    expect(header).toMatchObject({ frameSize, suite: { id }, encryptionContext: { purpose: 'interop', é: 'ü' } });
    using dataKey = await keyrings[key]!.openDataKey({ ...header, dataKeySize: header.suite.keySize });
    for (const open of [openMessage, openInOrder]) {
      const plain = open(message, { dataKey: dataKey.bytes, chunkSize: 100 });
      expect(createHash('sha256').update(plain).digest('hex'), JSON.stringify(about)).toBe(sha256);
    }
  }
});
