/**
 * Many small frames, opened by three calls. A call of GCM costs a microsecond and more whatever its bytes, as much as those
 * of a frame of 4 KiB; and that is what AWS's clients write unless they are told otherwise. So the two halves of GCM are
 * each done once for a run of frames (words as in gcm/message.ts):
 *
 *   - E of all counter blocks is one call of ECB: each frame's mask, E(J(1)), and what its bytes were sealed with.
 *   - All frames are hashed as one message. GCM's hash takes block after block, Y ← (Y + X)·H, beginning at zero. Behind
 *     a frame's additional data, sealed bytes and lengths, Y is the frame's hash; a genuine frame's is its tag + mask.
 *     This sum is the message's next block: it leaves zero behind, and the next frame is hashed as if it were the first.
 *     So a run is genuine if it hashes to what as many zeros hash to.
 *
 * Can forged frames cancel out? No two blocks of a run count the same power of H, so whatever is changed leaves a
 * polynomial in H that is not the zero polynomial, and has at most one root for each block. That H is one of them is the
 * chance by which any message of that length is forged (McGrew and Viega, 2004): 2^-113 here at most.
 *
 * A run that does not prove itself is opened frame by frame, which finds the first bad one.
 */
import { type Cipheriv, createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { KiB } from '../../units.ts';
import { BLOCK_SIZE } from '../gcm/message.ts';
import { release } from '../release.ts';
import { type AuthenticatedData, gcmOf, NONCE_SIZE, REGULAR, TAG_SIZE } from './frame.ts';
import { FRAME_OVERHEAD } from './layout.ts';

/**
 * Sealed bytes of a run at most. Two such runs are a slice of a file, as sliceSizeOf in units.ts cuts it. Fewer, larger
 * calls take less; but a run of a whole slice has malloc give its memory back to the kernel, which takes more.
 */
const RUN_SIZE = 129 * KiB;
/**
 * Measured, of one frame in μs, many at once and one by one: 512 bytes 0.4 and 3.0, 4 KiB 1.8 and 3.8, 8 KiB 3.4 and 4.7,
 * 16 KiB 6.8 and 6.0.
 */
const MAX_FRAME_SIZE = 8 * KiB;
/** Shorter runs gain nothing. */
export const MIN_RUN_COUNT = 4;
/** Of the hashing, which is nobody's tag. */
const HASHING_NONCE = Buffer.from('only hashing');
/** A nonce is three words. */
const WORD_SIZE = 4;
/** Bytes are XORed in pieces as large as the processor's own words: half as many take half the time. */
const LONG_SIZE = 8;

export interface RunInput {
  frameKey: KeyObject;
  authenticated: AuthenticatedData;
  frameSize: number;
}

/** Where neighbouring regular frames stand, and where their plain bytes go. */
export interface Run {
  /** The first frame's number; the others stand behind it, as their heads say. */
  firstFrame: number;
  count: number;
  sealed: Buffer;
  start: number;
  plain: Buffer;
  position: number;
}

export class RunOpener {
  readonly #key: KeyObject;
  readonly #frameSize: number;
  readonly #ecb: Cipheriv;
  /** Size of a frame's counter blocks: of the mask's, and of those that its bytes were sealed with. */
  readonly #streamSize: number;
  readonly #counters: Buffer;
  readonly #counterWords: Uint32Array;
  /** A frame's place in the message that is hashed: additional data, sealed bytes, lengths, tag + mask. */
  readonly #slotSize: number;
  /** Where the sealed bytes begin in it. */
  readonly #bodyOffset: number;
  /** Where the frame's number stands in it. */
  readonly #numberOffset: number;
  readonly #hashed: Buffer;
  readonly #hashedLongs: BigUint64Array;
  /** What genuine runs hash to, by their count. */
  readonly #genuine = new Map<number, Buffer>();

  /** Frames that a run holds at most; 0 where frames of this size are better opened one by one. */
  static capacityFor(frameSize: number): number {
    if (frameSize < BLOCK_SIZE || frameSize > MAX_FRAME_SIZE || frameSize % BLOCK_SIZE !== 0) return 0;
    return Math.floor(RUN_SIZE / (frameSize + FRAME_OVERHEAD));
  }

  constructor({ frameKey, authenticated, frameSize }: RunInput) {
    const capacity = RunOpener.capacityFor(frameSize);
    this.#key = frameKey;
    this.#frameSize = frameSize;
    this.#ecb = createCipheriv(ecbOf(frameKey), frameKey, null).setAutoPadding(false);

    this.#streamSize = BLOCK_SIZE + frameSize;
    this.#counters = Buffer.alloc(capacity * this.#streamSize);
    this.#counterWords = new Uint32Array(this.#counters.buffer);
    for (let start = 0; start < this.#counters.length; start += BLOCK_SIZE) {
      this.#counters.writeUInt32BE(1 + (start % this.#streamSize) / BLOCK_SIZE, start + NONCE_SIZE);
    }

    const additional = authenticated.of(1, frameSize);
    this.#numberOffset = additional.length - 12;
    this.#bodyOffset = Math.ceil(additional.length / BLOCK_SIZE) * BLOCK_SIZE;
    this.#slotSize = this.#bodyOffset + frameSize + BLOCK_SIZE + TAG_SIZE;
    this.#hashed = Buffer.alloc(capacity * this.#slotSize);
    this.#hashedLongs = longsOf(this.#hashed);
    for (let slot = 0; slot < this.#hashed.length; slot += this.#slotSize) {
      const lengths = slot + this.#bodyOffset + frameSize;
      additional.copy(this.#hashed, slot);
      this.#hashed.writeUInt32BE(8 * additional.length, lengths + 4);
      this.#hashed.writeUInt32BE(8 * frameSize, lengths + 12);
    }
  }

  /** Opens all frames of a run, or none: then nothing was written, and at least one of them is not genuine. */
  open(run: Run): boolean {
    const stream = this.#keyStream(run);
    const longs = longsOf(stream);
    this.#layOut(run, longs);
    const isGenuine = this.#isGenuine(run.count);
    if (isGenuine) this.#unseal(run, stream, longs);
    release(stream);
    return isGenuine;
  }

  /** E of all counter blocks. */
  #keyStream({ sealed, start, count }: Run): Buffer {
    const words = this.#counterWords;
    const size = this.#streamSize / WORD_SIZE;
    for (let index = 0; index < count; index++) {
      const first = index * size;
      const nonce = start + index * (this.#frameSize + FRAME_OVERHEAD) + REGULAR.nonceOffset;
      sealed.copy(this.#counters, first * WORD_SIZE, nonce, nonce + NONCE_SIZE);
      // The second block still has what its frame's predecessor in this place had: most nonces are numbers, of which
      // only the last word changes.
      for (let word = first; word < first + NONCE_SIZE / WORD_SIZE; word++) {
        const value = words[word]!;
        if (words[word + 4] === value) continue;
        for (let at = word + 4; at < first + size; at += 4) words[at] = value;
      }
    }
    return this.#ecb.update(this.#counters.subarray(0, count * this.#streamSize));
  }

  /** Makes the message that is hashed. */
  #layOut({ sealed, start, count, firstFrame }: Run, stream: BigUint64Array): void {
    const hashed = this.#hashed;
    const body = this.#frameSize + TAG_SIZE;
    for (let index = 0; index < count; index++) {
      const slot = index * this.#slotSize;
      const from = start + index * (this.#frameSize + FRAME_OVERHEAD) + REGULAR.headSize;
      hashed.writeUInt32BE(firstFrame + index, slot + this.#numberOffset);
      sealed.copy(hashed, slot + this.#bodyOffset, from, from + this.#frameSize);
      const sum = slot + this.#slotSize - TAG_SIZE;
      sealed.copy(hashed, sum, from + this.#frameSize, from + body);
      const mask = (index * this.#streamSize) / LONG_SIZE;
      for (let long = 0; long < 2; long++) this.#hashedLongs[sum / LONG_SIZE + long]! ^= stream[mask + long]!;
    }
  }

  #isGenuine(count: number): boolean {
    const size = count * this.#slotSize;
    const options = { authTagLength: TAG_SIZE };
    let genuine = this.#genuine.get(count);
    if (!genuine) {
      const zeros = createCipheriv(gcmOf(this.#key), this.#key, HASHING_NONCE, options).setAAD(Buffer.alloc(size));
      zeros.final();
      genuine = zeros.getAuthTag();
      this.#genuine.set(count, genuine);
    }
    const hash = createDecipheriv(gcmOf(this.#key), this.#key, HASHING_NONCE, options);
    hash.setAAD(this.#hashed.subarray(0, size)).setAuthTag(genuine);
    try {
      hash.final();
      return true;
    } catch {
      return false;
    }
  }

  #unseal({ count, plain, position }: Run, stream: Buffer, longs: BigUint64Array): void {
    const hashed = this.#hashedLongs;
    const size = this.#frameSize;
    for (let index = 0; index < count; index++) {
      const start = index * this.#streamSize + BLOCK_SIZE;
      const first = start / LONG_SIZE;
      const away = (index * this.#slotSize + this.#bodyOffset) / LONG_SIZE - first;
      for (let long = first; long < first + size / LONG_SIZE; long++) longs[long]! ^= hashed[long + away]!;
      stream.copy(plain, position + index * size, start, start + size);
    }
  }
}

function ecbOf({ symmetricKeySize }: KeyObject): string {
  return `aes-${symmetricKeySize! * 8}-ecb`;
}

function longsOf(bytes: Buffer): BigUint64Array {
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / LONG_SIZE);
}
