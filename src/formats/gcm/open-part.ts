/**
 * A part of a GCM message, opened by counter mode and hashed. The hash comes from a GCM call that encrypts nothing, with
 * the sealed bytes as its additional data: GCM hashes those just as it hashes what it seals. What is opened is not
 * authenticated before the hashes of all parts have given the message's tag.
 */
import { type CipherGCM, createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto';
import { checkRoom, transform } from '../transform.ts';
import { blockOf, elementOf } from './field.ts';
import {
  counterBlock,
  counterOf,
  encryptBlock,
  type GcmMessage,
  type HashedPart,
  hashKeyOf,
  maskedOf,
  TAG_SIZE,
} from './message.ts';

/** Of the calls that only hash. Their tags leave nobody's hands, so that they may all have the same. */
const HASHING_NONCE = Buffer.from('only hashing');

export interface PartOpenerInput {
  message: Pick<GcmMessage, 'key' | 'iv'>;
  /** Where the part begins in the message: a multiple of 16. */
  plainOffset: number;
  plainSize: number;
  /** Takes the plain bytes from `offset`. They are not the caller's to release before the message's tag is right. */
  plain: Buffer;
  offset: number;
}

/** Opens one part as its sealed bytes arrive, in pieces of any size. */
export class PartOpener {
  readonly #key: GcmMessage['key'];
  readonly #decipher: Decipheriv;
  readonly #hasher: CipherGCM;
  readonly #plainSize: number;
  readonly #plain: Buffer;
  readonly #offset: number;
  #done = 0;

  constructor({ message: { key, iv }, plainOffset, plainSize, plain, offset }: PartOpenerInput) {
    checkRoom({ name: 'plain', buffer: plain, offset, size: plainSize });
    this.#key = key;
    this.#plainSize = plainSize;
    this.#plain = plain;
    this.#offset = offset;
    this.#decipher = createDecipheriv('aes-256-ctr', key, counterBlock(iv, counterOf({ plainOffset, plainSize })));
    this.#hasher = createCipheriv('aes-256-gcm', key, HASHING_NONCE, { authTagLength: TAG_SIZE });
  }

  push(sealed: Uint8Array): void {
    if (sealed.length > this.#plainSize - this.#done) throw new RangeError('sealed: expected fewer bytes in this part');
    this.#hasher.setAAD(sealed);
    transform(this.#decipher, sealed, this.#plain, this.#offset + this.#done);
    this.#done += sealed.length;
  }

  /** Throws RangeError unless exactly the part's sealed bytes were pushed. */
  finish(): HashedPart {
    if (this.#done < this.#plainSize) throw new RangeError('sealed: expected more bytes in this part');
    this.#hasher.final();
    const hash = maskedOf(elementOf(this.#hasher.getAuthTag()), {
      hashKey: hashKeyOf(this.#key),
      lengths: { additionalSize: this.#plainSize, plainSize: 0 },
      mask: encryptBlock(this.#key, counterBlock(HASHING_NONCE, 1)),
    });
    return { size: this.#plainSize, hash: blockOf(hash) };
  }
}
