/**
 * Why a message of the AWS Encryption SDK cannot be given other wrapped keys: its header's tag is made under the message
 * key with the IV 0, and so would be the next one's. With no plain bytes a tag is the hash of the header under the
 * authentication key H, plus a mask that key and IV decide. Two tags under one key and IV differ by the hashes alone:
 *
 *     tag 1 + tag 2 = (block 1 + block 2) · H^e        where the headers differ in one block, e blocks before the end
 *
 * Everything but H is on show. Where e is a power of two, H comes out by squaring; for any other headers it is a root of a
 * polynomial, which takes longer and is no harder. Whoever has H makes tags for headers, and frames, of their own.
 */
import { expect, test } from 'vitest';
import { authenticateHeader, decodeHeader, encodeHeader, headerBytes } from '../../src/formats/esdk/header.ts';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { COMMITTING_SUITE } from '../../src/formats/esdk/suites.ts';
import { add, blockOf, type Element, elementOf, inverse, multiply, power } from '../../src/formats/gcm/field.ts';
import { BLOCK_SIZE, hashKeyOf, TAG_SIZE } from '../../src/formats/gcm/message.ts';

const suite = COMMITTING_SUITE;
const messageId = Buffer.alloc(32, 'message id');
const keys = deriveMessageKeys({ suite, dataKey: Buffer.alloc(32, 'data key'), messageId });

/** What rewrapping would make: the same message key and id, another wrapped data key. */
function headerWith({ wrapped, padding }: { wrapped: Buffer; padding: number }) {
  const encryptedDataKeys = [{ providerId: 'aws-kms', providerInfo: Buffer.from('arn'), ciphertext: wrapped }];
  const encryptionContext = { padding: '.'.repeat(padding) };
  const bytes = headerBytes(
    encodeHeader({ suite, messageId, encryptionContext, encryptedDataKeys, frameSize: 4096, keys }),
  );
  return { body: bytes.subarray(0, -TAG_SIZE), tag: bytes.subarray(-TAG_SIZE) };
}

type Header = ReturnType<typeof headerWith>;

function blocksOf({ body }: Pick<Header, 'body'>): Element[] {
  const padded = Buffer.concat([body, Buffer.alloc(BLOCK_SIZE)]);
  const count = Math.ceil(body.length / BLOCK_SIZE);
  return Array.from({ length: count }, (_, index) => elementOf(padded.subarray(index * BLOCK_SIZE)));
}

/** The one block in which two headers differ: by what, and the power of H that it is multiplied with. */
function difference(one: Pick<Header, 'body'>, other: Pick<Header, 'body'>): { by: Element; exponent: number } {
  const others = blocksOf(other);
  const sums = blocksOf(one).map((block, index) => add(block, others[index]!));
  const different = sums.flatMap((sum, index) => (sum.some((word) => word !== 0) ? [index] : []));
  expect(different).toHaveLength(1);
  // Behind the last block comes one with the lengths.
  return { by: sums[different[0]!]!, exponent: sums.length - different[0]! + 1 };
}

/** The only element whose power this is: squaring 128 times changes nothing. */
function root(value: Element, exponent: number): Element {
  let result = value;
  for (let count = Math.log2(exponent); count < 128; count++) result = multiply(result, result);
  return result;
}

test('two header tags under one key and IV give the authentication key away, and forge a third', () => {
  const wrapped = Buffer.alloc(64, 'wrapped');
  const other = Buffer.from(wrapped);
  other[63]! ^= 0x5a;
  // Some length at which the exponent is 4: a real attacker solves the polynomial instead of choosing the length.
  const padding = Array.from({ length: BLOCK_SIZE }, (_, size) => size).find(
    (size) =>
      difference(headerWith({ wrapped, padding: size }), headerWith({ wrapped: other, padding: size })).exponent === 4,
  )!;
  const first = headerWith({ wrapped, padding });
  const second = headerWith({ wrapped: other, padding });

  const { by, exponent } = difference(first, second);
  const sum = add(elementOf(first.tag), elementOf(second.tag));
  const hashKey = root(multiply(sum, inverse(by)), exponent);
  expect(blockOf(hashKey)).toEqual(blockOf(hashKeyOf(keys.frameKey)));

  // The attacker's header: another wrapped key, with a tag made without any key.
  const forged = Buffer.from(first.body);
  forged[forged.indexOf(wrapped) + 63]! ^= 0x77;
  const to = difference(first, { body: forged });
  const tag = blockOf(add(elementOf(first.tag), multiply(to.by, power(hashKey, to.exponent))));
  const header = decodeHeader(Buffer.concat([forged, tag]))!;
  expect(() => authenticateHeader(header, keys)).not.toThrow();
  expect(header.encryptedDataKeys[0]!.ciphertext).not.toEqual(wrapped);
});
