/**
 * Several copies of a data key under one RSA key, by several paddings: they bear one name, and PKCS#1 v1.5 makes something
 * of every one of them. The right one is found whatever their order and that of the keyrings.
 */
import { constants, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { expect, test } from 'vitest';
import { createEngine, multiKeyring, type RsaPadding, rawRsaKeyring, type WrappingKeyring } from '../../src/index.ts';
import { somePlain } from '../formats/message.ts';
import { sized } from '../formats/writer.ts';
import { foreignMessage, pipeOf, suiteNamed } from './foreign-message.ts';

const names = { namespace: 'lab', name: 'rsa' };
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const plain = somePlain(10);

const PKCS1 = constants.RSA_PKCS1_PADDING;
const OAEP = constants.RSA_PKCS1_OAEP_PADDING;
const [pkcs1, oaep] = [keyringFor('pkcs1'), keyringFor('oaep-sha1')];

function keyringFor(padding: RsaPadding): WrappingKeyring {
  return rawRsaKeyring({ ...names, padding, privateKey: pem, allowPkcs1: true });
}

/** A message with these copies of its data key, in this order. */
function messageWith(paddings: readonly number[]): Buffer {
  const dataKey = Buffer.alloc(32, 'data key');
  const copies = paddings.map((padding) => {
    const wrapped = publicEncrypt({ key: publicKey, padding }, dataKey);
    return Buffer.concat([Buffer.from(names.namespace), Buffer.from(names.name), wrapped].map(sized));
  });
  return foreignMessage({
    suite: suiteNamed('0478'),
    plain,
    frameSize: 10,
    change: ({ header }) => Object.assign(header, { keyCount: copies.length, keys: Buffer.concat(copies) }),
  });
}

async function opened(paddings: readonly number[], keyrings: readonly WrappingKeyring[]): Promise<Buffer> {
  await using engine = createEngine({ keyring: multiKeyring(keyrings) });
  const pieces: Buffer[] = [];
  const target = async (bytes: Uint8Array) => void pieces.push(Buffer.from(bytes));
  await engine.get({ source: pipeOf(messageWith(paddings)), target });
  return Buffer.concat(pieces);
}

test.each([
  ['both keyrings', [pkcs1, oaep], [[PKCS1, OAEP], [OAEP, PKCS1], [PKCS1], [OAEP]]],
  ['both keyrings, the other first', [oaep, pkcs1], [[PKCS1, OAEP], [OAEP, PKCS1], [PKCS1], [OAEP]]],
  ['PKCS#1 v1.5 alone', [pkcs1], [[PKCS1, OAEP], [OAEP, PKCS1], [PKCS1]]],
  ['OAEP alone', [oaep], [[PKCS1, OAEP], [OAEP, PKCS1], [OAEP]]],
])('%s: the right copy is found', async (_, keyrings, messages) => {
  for (const paddings of messages) expect(await opened(paddings, keyrings)).toEqual(plain);
});

test('where PKCS#1 v1.5 opens none of them the key is told to be wrong, not the object', async () => {
  await expect(opened([OAEP, OAEP], [pkcs1])).rejects.toMatchObject({
    code: 'wrong-key',
    message: expect.stringContaining('its padding is another'),
  });
});
