/**
 * What the plain bytes of each part hash to, from all of them in order. Parts may overlap, by a frame that lies in both.
 */
import { createHash, type Hash } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { type Cut, type PlainRange, plainRangeOf } from '../formats/message.ts';
import type { PartDigests } from '../put/source.ts';

interface OpenDigest {
  number: number;
  range: PlainRange;
  hash: Hash;
}

export class DigestMaker {
  readonly #cut: Cut;
  readonly #digests = new Map<number, Uint8Array>();
  /** Of parts that have begun and not ended. */
  #open: OpenDigest[] = [];
  #begun = 0;
  #size = 0;

  constructor(cut: Cut) {
    this.#cut = cut;
  }

  push(plain: Uint8Array): void {
    const start = this.#size;
    this.#size += plain.length;
    this.#begin((range) => range.plainOffset < this.#size);
    for (const { range, hash } of this.#open) {
      const first = Math.max(0, range.plainOffset - start);
      hash.update(plain.subarray(first, endOf(range) - start));
    }
    this.#end(({ range }) => endOf(range) <= this.#size);
  }

  /** Throws `truncated` where there were more or fewer plain bytes than the cut has. */
  finish(): PartDigests {
    const { plainSize } = this.#cut.layout;
    if (this.#size !== plainSize) {
      throw new SealiftError(
        'truncated',
        `The object holds ${this.#size} bytes, and by its size it should ${plainSize}`,
        {
          hint: 'The object was changed or damaged after it was sealed. Fetch another version or another copy of it.',
        },
      );
    }
    // The last part may hold nothing but an empty frame.
    this.#begin(() => true);
    this.#end(() => true);
    return this.#digests;
  }

  #begin(isDue: (range: PlainRange) => boolean): void {
    while (this.#begun < this.#cut.layout.partCount) {
      const number = this.#begun + 1;
      const range = plainRangeOf(this.#cut, number);
      if (!isDue(range)) return;
      this.#open.push({ number, range, hash: createHash('sha256') });
      this.#begun = number;
    }
  }

  #end(isOver: (digest: OpenDigest) => boolean): void {
    for (const { number, hash } of this.#open.filter(isOver)) this.#digests.set(number, hash.digest());
    this.#open = this.#open.filter(({ number }) => !this.#digests.has(number));
  }
}

function endOf({ plainOffset, plainSize }: PlainRange): number {
  return plainOffset + plainSize;
}
