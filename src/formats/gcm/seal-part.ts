/**
 * A part of a GCM message, sealed and hashed by one GCM call of its own. That call must begin with the right counter, and
 * it counts from what it makes of its nonce: of a nonce of 16 bytes the hash, which is solved for the nonce (SP 800-38D,
 * 7.1, step 2):
 *
 *   J = (X·H + 128)·H, where 128 is the nonce's length in bits          so          X = (J/H + 128)/H
 *
 * E(J) masks the call's tag, and the first data block has the counter behind J. So J is the counter of the block before
 * the part: E(J) seals the end of the part before, or masks the message's own tag.
 */
import { type CipherGCM, createCipheriv } from 'node:crypto';
import { checkRoom, transform } from '../transform.ts';
import { add, blockOf, type Element, elementOf, inverse, multiply } from './field.ts';
import {
  BLOCK_SIZE,
  counterBlock,
  counterOf,
  encryptBlock,
  type GcmMessage,
  type HashedPart,
  hashKeyOf,
  maskedOf,
  TAG_SIZE,
} from './message.ts';

export interface PartSealerInput {
  message: Pick<GcmMessage, 'key' | 'iv'>;
  /** Where the part begins in the message: a multiple of 16. */
  plainOffset: number;
  plainSize: number;
  /** Takes the sealed bytes, as many as the plain ones, from `offset`. The message's tag is not among them. */
  sealed: Buffer;
  offset: number;
}

/** Seals one part as its plain bytes arrive, in pieces of any size. */
export class PartSealer {
  readonly #cipher: CipherGCM;
  readonly #hashKey: Element;
  readonly #mask: Element;
  readonly #plainSize: number;
  readonly #sealed: Buffer;
  readonly #offset: number;
  #done = 0;

  constructor({ message: { key, iv }, plainOffset, plainSize, sealed, offset }: PartSealerInput) {
    checkRoom({ name: 'sealed', buffer: sealed, offset, size: plainSize });
    const before = counterBlock(iv, counterOf({ plainOffset, plainSize }) - 1);
    this.#hashKey = hashKeyOf(key);
    this.#mask = encryptBlock(key, before);
    this.#plainSize = plainSize;
    this.#sealed = sealed;
    this.#offset = offset;
    const nonce = nonceFor(before, this.#hashKey);
    this.#cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_SIZE });
  }

  push(plain: Uint8Array): void {
    if (plain.length > this.#plainSize - this.#done) throw new RangeError('plain: expected fewer bytes in this part');
    transform(this.#cipher, plain, this.#sealed, this.#offset + this.#done);
    this.#done += plain.length;
  }

  /** Throws RangeError unless exactly the part's plain bytes were pushed. */
  finish(): HashedPart {
    if (this.#done < this.#plainSize) throw new RangeError('plain: expected more bytes in this part');
    this.#cipher.final();
    const tag = elementOf(this.#cipher.getAuthTag());
    const lengths = { additionalSize: 0, plainSize: this.#plainSize };
    const hash = maskedOf(tag, { hashKey: this.#hashKey, lengths, mask: this.#mask });
    return { size: this.#plainSize, hash: blockOf(hash) };
  }
}

/** The nonce of 16 bytes from which a GCM call counts on from `block`. */
function nonceFor(block: Uint8Array, hashKey: Element): Buffer {
  const length = Buffer.alloc(BLOCK_SIZE);
  length.writeUInt32BE(8 * BLOCK_SIZE, BLOCK_SIZE - 4);
  const divisor = inverse(hashKey);
  return blockOf(multiply(add(multiply(elementOf(block), divisor), elementOf(length)), divisor));
}
