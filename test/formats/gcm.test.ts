/** A GCM message in parts is, byte for byte, the message that one call makes. test/long/gcm.test.ts has more of it. */
import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { add, blockOf, elementOf, inverse, multiply, power } from '../../src/formats/gcm/field.ts';
import { MAX_PLAIN_SIZE, tagOf } from '../../src/formats/gcm/message.ts';
import { PartOpener } from '../../src/formats/gcm/open-part.ts';
import { PartSealer } from '../../src/formats/gcm/seal-part.ts';
import { anyCase, checkCase, openInParts, sealAtOnce, sealInParts, someKey, somePlain } from './gcm-message.ts';

const message = { key: someKey(), iv: Buffer.alloc(12, 1), additional: Buffer.from([0, 0x73]) };

describe('the field', () => {
  const one = elementOf(Buffer.from([0x80, ...Array(15).fill(0)]));
  const anyElement = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(elementOf);

  test('is one: products in any order and grouping, sums spread over, one changes nothing', () => {
    fc.assert(
      fc.property(anyElement, anyElement, anyElement, (a, b, c) => {
        expect(multiply(a, b)).toEqual(multiply(b, a));
        expect(multiply(multiply(a, b), c)).toEqual(multiply(a, multiply(b, c)));
        expect(multiply(a, add(b, c))).toEqual(add(multiply(a, b), multiply(a, c)));
        expect(multiply(a, one)).toEqual(a);
      }),
      { numRuns: 50 },
    );
  });

  test('of the polynomial that the standard names: x^127 times x is x^7 + x^2 + x + 1', () => {
    const x = elementOf(Buffer.from([0x40, ...Array(15).fill(0)]));
    const x127 = elementOf(Buffer.from([...Array(15).fill(0), 1]));
    expect(blockOf(multiply(x127, x))).toEqual(Buffer.from([0xe1, ...Array(15).fill(0)]));
  });

  test('whatever is not zero has an inverse', () => {
    fc.assert(
      fc.property(anyElement, (a) => {
        fc.pre(a.some((word) => word !== 0));
        expect(multiply(a, inverse(a))).toEqual(one);
      }),
      { numRuns: 50 },
    );
    expect(() => inverse(new Uint32Array(4))).toThrow(RangeError);
  });

  test('powers are repeated products, also beyond 32 bits', () => {
    const a = elementOf(somePlain(16));
    let product = a;
    for (let exponent = 1; exponent < 40; exponent++) {
      expect(power(a, exponent)).toEqual(product);
      product = multiply(product, a);
    }
    expect(power(a, 2 ** 32 + 5)).toEqual(multiply(power(power(a, 2 ** 16), 2 ** 16), power(a, 5)));
    expect(() => power(a, 0)).toThrow(RangeError);
  });
});

describe('parts', () => {
  test('every cut of 4 KiB at a block, and one block more or less than that', () => {
    for (const size of [4095, 4096, 4097]) {
      const plain = somePlain(size);
      const expected = sealAtOnce(message, plain);
      for (let cut = 0; cut <= size; cut += 16) {
        expect(sealInParts(message, plain, { cuts: [cut] })).toEqual(expected);
        expect(openInParts(message, expected.sealed, { cuts: [cut] })).toEqual({ plain, tag: expected.tag });
      }
    }
  });

  test('any cuts, order, additional data and pieces', () => {
    fc.assert(
      fc.property(anyCase, ({ seed, size, iv, additional, ...how }) => {
        checkCase({ key: someKey(seed), iv, additional }, somePlain(size, seed), how);
      }),
      { numRuns: 300 },
    );
  });

  test('the last block of the longest message has the last counter', () => {
    const key = someKey();
    const plain = somePlain(16);
    const plainOffset = MAX_PLAIN_SIZE - 16;
    const sealed = Buffer.alloc(16);
    const part = { message, plainOffset, plainSize: 16, sealed, offset: 0 };
    const sealer = new PartSealer(part);
    sealer.push(plain);
    sealer.finish();
    const counter = Buffer.concat([message.iv, Buffer.from('ffffffff', 'hex')]);
    expect(sealed).toEqual(createCipheriv('aes-256-ctr', key, counter).update(plain));
    for (const beyond of [
      { plainSize: 17 },
      { plainOffset: MAX_PLAIN_SIZE },
      { plainOffset: 8 },
      { plainOffset: -16 },
    ]) {
      const room = { sealed: Buffer.alloc(32), plain: Buffer.alloc(32) };
      expect(() => new PartSealer({ ...part, ...room, ...beyond })).toThrow(RangeError);
      expect(() => new PartOpener({ ...part, ...room, ...beyond })).toThrow(RangeError);
    }
  });
});

test('the tag is another after any change: of a sealed byte, a part left out, or parts that changed places', () => {
  const plain = somePlain(96);
  const { sealed, tag } = sealAtOnce(message, plain);
  const changed = Buffer.from(sealed);
  changed[50]! ^= 1;
  expect(openInParts(message, changed, { cuts: [32] }).tag).not.toEqual(tag);
  const moved = Buffer.concat([sealed.subarray(32, 64), sealed.subarray(0, 32), sealed.subarray(64)]);
  expect(openInParts(message, moved, { cuts: [32, 64] }).tag).not.toEqual(tag);
  expect(openInParts(message, sealed.subarray(0, 64), { cuts: [32] }).tag).not.toEqual(tag);
  expect(openInParts({ ...message, additional: Buffer.alloc(2) }, sealed, { cuts: [32] }).tag).not.toEqual(tag);
});

test('a part gets its bytes, neither more nor fewer, and only the last may end within a block', () => {
  const input = {
    message,
    plainOffset: 0,
    plainSize: 20,
    sealed: Buffer.alloc(20),
    plain: Buffer.alloc(20),
    offset: 0,
  };
  for (const part of [() => new PartSealer(input), () => new PartOpener(input)]) {
    const short = part();
    short.push(Buffer.alloc(19));
    expect(() => short.finish()).toThrow(RangeError);
    expect(() => short.push(Buffer.alloc(2))).toThrow(RangeError);
  }
  const odd = { size: 20, hash: Buffer.alloc(16) };
  expect(() => tagOf(message, [odd, odd])).toThrow(RangeError);
  expect(() => new PartSealer({ ...input, offset: 1 })).toThrow(RangeError);
  expect(() => new PartOpener({ ...input, offset: 1 })).toThrow(RangeError);
});
