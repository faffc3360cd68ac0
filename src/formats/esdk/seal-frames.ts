/**
 * The frames of a part, sealed. A nonce is the frame's number and comes from nowhere else. Plain and sealed bytes pass
 * through part-sized buffers of the caller's; nothing of their size is allocated here.
 */
import { type CipherGCM, createCipheriv } from 'node:crypto';
import { checkRoom, transform } from '../transform.ts';
import { AuthenticatedData, END_MARKER, NONCE_SIZE, TAG_SIZE } from './frame.ts';
import type { MessageKeys } from './keys.ts';
import { type FrameRange, type Layout, plainSizeOfFrame } from './layout.ts';

/** Seals plain bytes that are given all at once. `size` counts the bytes written, `tags` holds 16 a frame. */
export function sealFrames(input: PartSealerInput & { plain: Uint8Array }): { size: number; tags: Buffer } {
  const sealer = new PartSealer(input);
  sealer.push(input.plain);
  return sealer.finish();
}

export interface PartSealerInput {
  keys: Pick<MessageKeys, 'frameKey'>;
  messageId: Uint8Array;
  layout: Layout;
  frames: FrameRange;
  /** Takes the frames, from `offset`. What stands before the first of all, the header, is the caller's to write. */
  sealed: Buffer;
  offset: number;
}

/** Seals one part as its plain bytes arrive, in pieces of any size. */
export class PartSealer {
  readonly #frameKey: MessageKeys['frameKey'];
  readonly #authenticated: AuthenticatedData;
  readonly #layout: Layout;
  readonly #lastFrame: number;
  readonly #sealed: Buffer;
  readonly #start: number;
  readonly #tags: Buffer;
  #tagsSize = 0;
  #position: number;
  #number: number;
  #cipher: CipherGCM | undefined;
  /** Plain bytes still to come in the frame that `#cipher` seals. */
  #left = 0;

  constructor({ keys, messageId, layout, frames, sealed, offset }: PartSealerInput) {
    checkRoom({ name: 'sealed', buffer: sealed, offset, size: frames.sealedSize });
    this.#frameKey = keys.frameKey;
    this.#authenticated = new AuthenticatedData(messageId, layout);
    this.#layout = layout;
    this.#number = frames.firstFrame;
    this.#lastFrame = frames.lastFrame;
    this.#sealed = sealed;
    this.#start = this.#position = offset;
    this.#tags = Buffer.alloc(frames.frameCount * TAG_SIZE);
  }

  push(plain: Uint8Array): void {
    let rest = plain;
    while (rest.length > 0) {
      this.#cipher ??= this.#openFrame();
      const piece = rest.subarray(0, this.#left);
      transform(this.#cipher, piece, this.#sealed, this.#position);
      this.#position += piece.length;
      this.#left -= piece.length;
      rest = rest.subarray(piece.length);
      if (this.#left === 0) this.#closeFrame(this.#cipher);
    }
  }

  /** Throws RangeError unless exactly the frames' plain bytes were pushed. */
  finish(): { size: number; tags: Buffer } {
    // A final frame without plain bytes was opened by none.
    const isEmpty = this.#number === this.#lastFrame && plainSizeOfFrame(this.#layout, this.#number) === 0;
    if (isEmpty) this.#closeFrame(this.#openFrame());
    if (this.#number <= this.#lastFrame) throw new RangeError('plain: expected more bytes in this part');
    return { size: this.#position - this.#start, tags: this.#tags };
  }

  #openFrame(): CipherGCM {
    const number = this.#number;
    if (number > this.#lastFrame) throw new RangeError('plain: expected fewer bytes in this part');
    const nonce = Buffer.alloc(NONCE_SIZE);
    nonce.writeUInt32BE(number, NONCE_SIZE - 4);
    const size = plainSizeOfFrame(this.#layout, number);
    const isFinal = number === this.#layout.frameCount;
    if (isFinal) this.#writeU32(END_MARKER);
    this.#writeU32(number);
    this.#position += nonce.copy(this.#sealed, this.#position);
    if (isFinal) this.#writeU32(size);
    this.#left = size;
    const cipher = createCipheriv('aes-256-gcm', this.#frameKey, nonce, { authTagLength: TAG_SIZE });
    return cipher.setAAD(this.#authenticated.of(number, size));
  }

  #closeFrame(cipher: CipherGCM): void {
    cipher.final();
    const tag = cipher.getAuthTag();
    this.#position += tag.copy(this.#sealed, this.#position);
    this.#tagsSize += tag.copy(this.#tags, this.#tagsSize);
    this.#cipher = undefined;
    this.#number += 1;
  }

  #writeU32(value: number): void {
    this.#position = this.#sealed.writeUInt32BE(value, this.#position);
  }
}
