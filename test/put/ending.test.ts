/** The tag of an object is made when every part has been heard of, in whatever order, and whoever waits hears of failures. */
import { expect, test } from 'vitest';
import { PartSealer } from '../../src/formats/gcm/seal-part.ts';
import { partOf, type S3ecMessage } from '../../src/formats/message.ts';
import { deriveObjectKeys, gcmMessageOf } from '../../src/formats/s3ec/keys.ts';
import { planLayout } from '../../src/formats/s3ec/layout.ts';
import { COMMITTING_SUITE as suite } from '../../src/formats/s3ec/suites.ts';
import { TagMaker } from '../../src/put/ending.ts';
import { MiB } from '../../src/units.ts';
import { sealAtOnce, somePlain } from '../formats/gcm-message.ts';

const messageId = Buffer.alloc(28, 1);
const keys = deriveObjectKeys({ suite, dataKey: Buffer.alloc(32, 2), messageId });
const plain = somePlain(10 * MiB + 5);
const layout = planLayout({ plainSize: plain.length, partSize: 5 * MiB });
const message: S3ecMessage = { format: 's3ec', layout, suite, messageId, keys };
const gcm = gcmMessageOf(suite, messageId, keys);
const { tag } = sealAtOnce(gcm, plain);

const hashes = new Map(
  [1, 2, 3].map((number) => {
    const part = partOf(message, number);
    const sealer = new PartSealer({ ...part, message: gcm, sealed: Buffer.alloc(part.plainSize), offset: 0 });
    sealer.push(plain.subarray(part.plainOffset, part.plainOffset + part.plainSize));
    return [number, sealer.finish().hash];
  }),
);

test.each([[[3, 2, 1]], [[2, 3, 1]], [[1, 2, 3]]])('parts heard of in the order %j', async (order) => {
  using maker = new TagMaker();
  let made: Uint8Array | undefined;
  const waiting = maker.footer(message).then((footer) => {
    made = footer;
  });
  for (const number of order) {
    await new Promise(setImmediate);
    expect(made).toBeUndefined();
    await maker.take(number, { hash: hashes.get(number) });
  }
  await waiting;
  expect(made).toEqual(tag);
});

test('what the ledger knows need not be heard of again', async () => {
  using maker = new TagMaker(new Map([...hashes].slice(0, 2)));
  await maker.take(3, { hash: hashes.get(3) });
  expect(await maker.footer(message)).toEqual(tag);
});

test('who waits hears that a part failed', async () => {
  using maker = new TagMaker();
  const reason = new Error('a part failed');
  const waiting = maker.footer(message);
  maker.stop(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(maker.footer(message)).rejects.toBe(reason);
});
