/**
 * A part of an object under AES-CBC. Each block is opened with the sealed one before it, the first with the IV, so a part
 * is opened anywhere in the object by whoever has one block more. Nothing here proves anything.
 */
import { createDecipheriv, type Decipheriv, type KeyObject } from 'node:crypto';
import { BLOCK_SIZE } from '../gcm/message.ts';
import { release } from '../release.ts';
import { checkRoom } from '../transform.ts';

export interface BlockOpenerInput {
  key: KeyObject;
  /** Of the object. */
  iv: Uint8Array;
  /** Where the part begins in the object: a multiple of 16. */
  plainOffset: number;
  plainSize: number;
  /** Takes the plain bytes, from its start. */
  plain: Buffer;
}

/** Opens one part as its sealed bytes arrive, in pieces of any size. */
export class BlockOpener {
  readonly #key: KeyObject;
  readonly #plain: Buffer;
  readonly #plainSize: number;
  /** The block in front of the part, until it is whole. */
  #before: Buffer;
  #decipher: Decipheriv | undefined;
  #done = 0;

  constructor({ key, iv, plainOffset, plainSize, plain }: BlockOpenerInput) {
    checkRoom({ name: 'plain', buffer: plain, offset: 0, size: plainSize });
    this.#key = key;
    this.#plain = plain;
    this.#plainSize = plainSize;
    this.#before = plainOffset === 0 ? Buffer.from(iv) : Buffer.alloc(0);
  }

  /** Takes the next of the bytes that `sealedRange` names. */
  push(sealed: Uint8Array): void {
    const missing = BLOCK_SIZE - this.#before.length;
    this.#before = Buffer.concat([this.#before, sealed.subarray(0, missing)]);
    if (this.#before.length < BLOCK_SIZE) return;
    this.#decipher ??= createDecipheriv('aes-256-cbc', this.#key, this.#before).setAutoPadding(false);
    const opened = this.#decipher.update(sealed.subarray(missing));
    // Behind the object's last byte stands the padding.
    this.#done += opened.copy(this.#plain, this.#done, 0, this.#plainSize - this.#done);
    release(opened);
  }

  /** Throws RangeError unless all of the part's sealed bytes were pushed. */
  finish(): void {
    if (this.#done < this.#plainSize) throw new RangeError('sealed: expected more bytes in this part');
  }
}

/** The sealed bytes of a part, both ends inclusive, with the block before it; `last` < `first` where there are none. */
export function sealedRange({ plainOffset, plainSize }: Pick<BlockOpenerInput, 'plainOffset' | 'plainSize'>): {
  first: number;
  last: number;
} {
  const size = BLOCK_SIZE * Math.ceil(plainSize / BLOCK_SIZE);
  return { first: Math.max(0, plainOffset - BLOCK_SIZE), last: plainOffset + size - 1 };
}
