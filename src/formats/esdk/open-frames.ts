/** Neighbouring frames, opened. Plain bytes go straight into the caller's buffer; nothing of their size is allocated here. */
import { type CipherGCMTypes, createDecipheriv, type DecipherGCM } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { checkRoom, transform } from '../transform.ts';
import { Field } from './field.ts';
import {
  AuthenticatedData,
  END_MARKER,
  FINAL,
  type FrameKind,
  frameKind,
  gcmOf,
  NONCE_SIZE,
  REGULAR,
  SINGLE_BLOCK,
  TAG_SIZE,
} from './frame.ts';
import type { MessageKeys } from './keys.ts';
import { FRAME_OVERHEAD, frameRange, type Layout, plainSizeOfFrame } from './layout.ts';
import { MIN_RUN_COUNT, RunOpener } from './open-run.ts';

export interface FrameOpenerInput {
  keys: Pick<MessageKeys, 'frameKey'>;
  messageId: Uint8Array;
  layout: Layout;
  /** Sequence numbers, from 1, both inclusive. */
  firstFrame: number;
  lastFrame: number;
  /** Takes the frames' plain bytes, from `offset`. What is not verified in it is not the caller's to read. */
  plain: Buffer;
  offset: number;
  /** The opener of the frames before these, of the same message: what it has made ready for many frames is used again. */
  before?: FrameOpener | undefined;
}

/**
 * Opens neighbouring frames as their bytes arrive, in pieces of any size. Plain bytes are written straight into the
 * caller's buffer; `verifiedSize` says how many of them are proven. When a frame fails, its plain bytes are wiped, and
 * the opener throws the same error ever after: `bad-frame`, `truncated` or `trailing-bytes`.
 */
export class FrameOpener {
  readonly #frameKey: MessageKeys['frameKey'];
  readonly #algorithm: CipherGCMTypes;
  readonly #authenticated: AuthenticatedData;
  readonly #layout: Layout;
  readonly #lastFrame: number;
  readonly #plain: Buffer;
  readonly #start: number;
  readonly #head = new Field(FINAL.headSize);
  readonly #tag = new Field(TAG_SIZE);
  #number: number;
  #position: number;
  #verified: number;
  #decipher: DecipherGCM | undefined;
  /** Sealed bytes still to come in the frame that `#decipher` opens. */
  #left = 0;
  #failure: SealiftError | undefined;
  /** Frames that are opened at once at most, where so many are at hand. */
  #runCapacity: number;
  #runs: RunOpener | undefined;

  constructor({ keys, messageId, layout, firstFrame, lastFrame, plain, offset, before }: FrameOpenerInput) {
    const { plainSize } = frameRange(layout, { firstFrame, lastFrame });
    checkRoom({ name: 'plain', buffer: plain, offset, size: plainSize });
    this.#frameKey = keys.frameKey;
    this.#algorithm = gcmOf(keys.frameKey);
    this.#authenticated = new AuthenticatedData(messageId, layout);
    this.#layout = layout;
    this.#number = firstFrame;
    this.#lastFrame = lastFrame;
    this.#plain = plain;
    this.#start = this.#position = this.#verified = offset;
    this.#runCapacity = RunOpener.capacityFor(layout.frameSize);
    if (before) this.#runs = before.#runs;
  }

  /** Plain bytes proven so far, counted from `offset`. They are whole frames. */
  get verifiedSize(): number {
    return this.#verified - this.#start;
  }

  /** Takes the next sealed bytes. Returns `verifiedSize`. */
  push(sealed: Uint8Array): number {
    if (this.#failure) throw this.#failure;
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
    for (let start = 0; start < bytes.length; ) start += this.#take(bytes, start);
    return this.verifiedSize;
  }

  /** Throws `truncated` unless every frame came to its end. */
  finish(): void {
    if (this.#failure) throw this.#failure;
    if (this.#number <= this.#lastFrame) throw this.#fail('truncated', 'the object ends before this frame does');
  }

  /** Takes bytes from `start` on, a whole frame where there is one, else as far as one of its fields goes. Returns how many. */
  #take(bytes: Buffer, start: number): number {
    if (this.#number > this.#lastFrame) throw this.#fail('trailing-bytes', 'bytes follow the last frame');
    if (!this.#decipher) {
      const run = this.#head.empty ? this.#takeRun(bytes, start) : 0;
      if (run > 0) return run;
      const kind = frameKind(this.#layout, this.#number);
      const size = kind.headSize + plainSizeOfFrame(this.#layout, this.#number) + TAG_SIZE;
      if (this.#head.empty && bytes.length - start >= size) return this.#takeWhole(bytes, start, start + size, kind);
      const taken = this.#head.fill(bytes.subarray(start), kind.headSize);
      if (this.#head.full) this.#decipher = this.#openFrame(this.#head.take(), 0, kind);
      return taken;
    }
    if (this.#left > 0) {
      const piece = bytes.subarray(start, start + this.#left);
      transform(this.#decipher, piece, this.#plain, this.#position);
      this.#position += piece.length;
      this.#left -= piece.length;
      return piece.length;
    }
    const taken = this.#tag.fill(bytes.subarray(start), TAG_SIZE);
    if (this.#tag.full) this.#closeFrame(this.#decipher, this.#tag.take());
    return taken;
  }

  /** Opens as many whole regular frames at once as stand in their places from `start` on. Returns their bytes. */
  #takeRun(bytes: Buffer, start: number): number {
    const { frameSize, frameCount } = this.#layout;
    const full = frameSize + FRAME_OVERHEAD;
    const firstFrame = this.#number;
    const most = Math.min(this.#runCapacity, this.#lastFrame + 1 - firstFrame, frameCount - firstFrame);
    const whole = Math.min(most, Math.floor((bytes.length - start) / full));
    let count = 0;
    while (count < whole && bytes.readUInt32BE(start + count * full) === firstFrame + count) count++;
    const place = { plain: this.#plain, position: this.#position };
    if (count < MIN_RUN_COUNT) return 0;
    this.#runs ??= new RunOpener({ frameKey: this.#frameKey, authenticated: this.#authenticated, frameSize });
    if (!this.#runs.open({ firstFrame, count, sealed: bytes, start, ...place })) {
      // One by one, they show which of them it was.
      this.#runCapacity = 0;
      return 0;
    }
    this.#position += count * frameSize;
    this.#verified = this.#position;
    this.#number += count;
    return count * full;
  }

  /** A frame that came in one piece needs nothing gathered: small frames are opened half as fast again. */
  #takeWhole(bytes: Buffer, start: number, end: number, kind: FrameKind): number {
    const decipher = this.#openFrame(bytes, start, kind);
    transform(decipher, bytes.subarray(start + kind.headSize, end - TAG_SIZE), this.#plain, this.#position);
    this.#position += this.#left;
    this.#left = 0;
    this.#closeFrame(decipher, bytes.subarray(end - TAG_SIZE, end));
    return end - start;
  }

  /** The frame's head stands in `bytes` from `start` on. */
  #openFrame(bytes: Buffer, start: number, kind: FrameKind): DecipherGCM {
    const size = plainSizeOfFrame(this.#layout, this.#number);
    if (kind !== SINGLE_BLOCK) this.#checkPlace(bytes, start, kind);
    if (kind !== REGULAR) this.#checkSize(bytes, start, kind, size);
    this.#left = size;
    // Some writers choose other nonces than the frame's number: what stands in the frame counts.
    const nonce = bytes.subarray(start + kind.nonceOffset, start + kind.nonceOffset + NONCE_SIZE);
    const decipher = createDecipheriv(this.#algorithm, this.#frameKey, nonce, { authTagLength: TAG_SIZE });
    return decipher.setAAD(this.#authenticated.of(this.#number, size));
  }

  /** The frame must be the one that belongs here, and be final exactly where the object's size says so. */
  #checkPlace(bytes: Buffer, start: number, kind: FrameKind): void {
    const first = bytes.readUInt32BE(start);
    if (kind === REGULAR) {
      if (first === END_MARKER)
        throw this.#fail('trailing-bytes', 'it says that it is the last, but more bytes follow');
      if (first !== this.#number) throw this.#fail('bad-frame', 'another frame stands in its place');
      return;
    }
    if (first === this.#number && first !== END_MARKER)
      throw this.#fail('truncated', 'it is not the last, but the object ends with it');
    if (first !== END_MARKER || bytes.readUInt32BE(start + 4) !== this.#number) {
      throw this.#fail('bad-frame', 'another frame stands in its place');
    }
  }

  /** What the head says that the frame holds must be what the object's size leaves for it. */
  #checkSize(bytes: Buffer, start: number, kind: FrameKind, size: number): void {
    const claimed = kind === FINAL ? bytes.readUInt32BE(start + 20) : Number(bytes.readBigUInt64BE(start + 12));
    if (claimed > size)
      throw this.#fail('truncated', `it should hold ${claimed} bytes, but the object has only ${size} of them`);
    if (claimed < size)
      throw this.#fail('trailing-bytes', `it should hold ${claimed} bytes, but the object has ${size}`);
  }

  #closeFrame(decipher: DecipherGCM, tag: Buffer): void {
    decipher.setAuthTag(tag);
    try {
      decipher.final();
    } catch (cause) {
      throw this.#fail('bad-frame', 'it does not match its authentication tag', cause);
    }
    this.#decipher = undefined;
    this.#verified = this.#position;
    this.#number += 1;
  }

  #fail(code: 'bad-frame' | 'truncated' | 'trailing-bytes', what: string, cause?: unknown): SealiftError {
    this.#plain.fill(0, this.#verified, this.#position);
    const place = `Frame ${Math.min(this.#number, this.#lastFrame)} of ${this.#layout.frameCount}`;
    this.#failure = new SealiftError(code, `${place}: ${what}`, {
      hint: 'The object was changed or damaged after it was sealed. Nothing from this frame on was released. Fetch another version or another copy of it.',
      cause,
    });
    return this.#failure;
  }
}
