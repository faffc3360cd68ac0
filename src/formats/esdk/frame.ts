/**
 * One frame: an AES-GCM call over a piece of the plain bytes. What it authenticates besides them is the message, its
 * place in the message, whether it is the last, and its size; so frames cannot be moved, dropped, repeated, or cut off
 * at the end.
 *
 *   frame:        number 4 ‖ nonce 12 ‖ sealed bytes ‖ tag 16
 *   final frame:  FFFFFFFF ‖ number 4 ‖ nonce 12 ‖ size 4 ‖ sealed bytes ‖ tag 16
 *   single block: nonce 12 ‖ size 8 ‖ sealed bytes ‖ tag 16        all there is; read, never written
 */
import type { CipherGCMTypes, KeyObject } from 'node:crypto';
import type { Layout } from './layout.ts';

export const TAG_SIZE = 16;
export const NONCE_SIZE = 12;
export const END_MARKER = 0xffffffff;

/** What stands before a frame's sealed bytes, and the label its tag covers. */
export interface FrameKind {
  headSize: number;
  nonceOffset: number;
  label: Buffer;
}
export const REGULAR: FrameKind = {
  headSize: 16,
  nonceOffset: 4,
  label: Buffer.from('AWSKMSEncryptionClient Frame'),
};
export const FINAL: FrameKind = {
  headSize: 24,
  nonceOffset: 8,
  label: Buffer.from('AWSKMSEncryptionClient Final Frame'),
};
export const SINGLE_BLOCK: FrameKind = {
  headSize: 20,
  nonceOffset: 0,
  label: Buffer.from('AWSKMSEncryptionClient Single Block'),
};

/** The kind of frame `number`, from 1. */
export function frameKind(layout: Layout, number: number): FrameKind {
  if (number < layout.frameCount) return REGULAR;
  return layout.singleBlock ? SINGLE_BLOCK : FINAL;
}

/** The cipher for a key: a suite's keys have 128, 192 or 256 bits. */
export function gcmOf({ symmetricKeySize }: KeyObject): CipherGCMTypes {
  return `aes-${(symmetricKeySize! * 8) as 128 | 192 | 256}-gcm`;
}

/** What a frame's tag covers besides its bytes. Written into one buffer a kind, because ciphers copy it at once. */
export class AuthenticatedData {
  readonly #frameCount: number;
  readonly #regular: Buffer;
  readonly #last: Buffer;

  constructor(messageId: Uint8Array, layout: Layout) {
    const dataOf = ({ label }: FrameKind) => Buffer.concat([messageId, label, Buffer.alloc(12)]);
    this.#frameCount = layout.frameCount;
    this.#regular = dataOf(REGULAR);
    this.#last = dataOf(frameKind(layout, layout.frameCount));
  }

  /** Valid until the next call. */
  of(number: number, size: number): Buffer {
    const data = number === this.#frameCount ? this.#last : this.#regular;
    data.writeUInt32BE(number, data.length - 12);
    // The size takes eight bytes; none ever needs the upper two, which stay zero.
    data.writeUIntBE(size, data.length - 6, 6);
    return data;
  }
}
