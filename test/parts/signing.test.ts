/** Parts are hashed in their order, whatever order they come in, and nobody waits for ever. */
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { publicKeyText, verifierFor } from '../../src/formats/esdk/signature.ts';
import { P384, SIGNING_SUITE } from '../../src/formats/esdk/suites.ts';
import { HashThread } from '../../src/parts/signing.ts';
import { Turns } from '../../src/parts/turns.ts';

const thread = new HashThread();
afterAll(() => thread.close());

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
const context = { 'aws-crypto-public-key': publicKeyText(createPublicKey(privateKey), P384) };

const orders = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc.shuffledSubarray(
    Array.from({ length: count }, (_, index) => index + 1),
    { minLength: count },
  ),
);

test('the signature is over the parts in order', async () => {
  await fc.assert(
    fc.asyncProperty(orders, async (order) => {
      const parts = new Map(order.map((number) => [number, randomBytes(100 + number)]));
      using signing = thread.begin(privateKey);
      await Promise.all(order.map((number) => signing.take(number, { sealed: parts.get(number)! })));
      const footer = await signing.footer();
      const verifier = verifierFor({ suite: SIGNING_SUITE, encryptionContext: context })!;
      for (const number of order.toSorted((a, b) => a - b)) verifier.update(parts.get(number)!);
      expect(Buffer.from(footer).readUInt16BE(0)).toBe(footer.length - 2);
      verifier.check(footer.subarray(2));
    }),
    { numRuns: 20 },
  );
});

test('tasks start in order, without waiting for one another to end', async () => {
  await fc.assert(
    fc.asyncProperty(orders, async (order) => {
      using signing = thread.begin(privateKey);
      const started: number[] = [];
      const all = Promise.withResolvers<void>();
      const tasks = order.map((number) =>
        signing.enter(number, async () => {
          started.push(number);
          if (started.length === order.length) all.resolve();
          await all.promise;
        }),
      );
      await Promise.all(tasks);
      expect(started).toEqual(order.toSorted((a, b) => a - b));
    }),
    { numRuns: 20 },
  );
});

test('who waits hears that it was stopped, and so does who comes later', async () => {
  using signing = thread.begin(privateKey);
  const reason = new Error('part 1 failed');
  const waiting = [
    signing.take(2, { sealed: new Uint8Array(1) }),
    signing.take(3, { sealed: new Uint8Array(1) }),
    signing.enter(2, async () => {}),
  ];
  signing.stop(reason);
  for (const each of waiting) await expect(each).rejects.toBe(reason);
  await expect(signing.take(1, { sealed: new Uint8Array(1) })).rejects.toBe(reason);
  await expect(signing.footer()).rejects.toBe(reason);
});

test('a thread that ends stops its messages', async () => {
  const other = new HashThread();
  using signing = other.begin(privateKey);
  const waiting = signing.take(2, { sealed: new Uint8Array(1) });
  await other.close();
  await expect(waiting).rejects.toMatchObject({ code: 'internal' });
  using late = other.begin(privateKey);
  await expect(late.take(1, { sealed: new Uint8Array(1) })).rejects.toMatchObject({ code: 'internal' });
});

test('a turn that nobody waited for is there for who comes later', async () => {
  const turns = new Turns();
  await turns.take(1);
  turns.pass();
  await turns.take(2);
  turns.pass();
  const fourth = turns.take(4);
  await turns.take(3);
  turns.pass();
  await fourth;
});
