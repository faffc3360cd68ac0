/**
 * One frame: an AES-256-GCM call over a piece of the plain bytes. What it authenticates besides them is the message, its
 * place in the message, whether it is the last, and its size; so frames cannot be moved, dropped, repeated, or cut off
 * at the end.
 *
 *   frame:        number 4 ‖ nonce 12 ‖ sealed bytes ‖ tag 16
 *   final frame:  FFFFFFFF ‖ number 4 ‖ nonce 12 ‖ size 4 ‖ sealed bytes ‖ tag 16
 */
import type { CipherGCM, DecipherGCM } from 'node:crypto';
import { KiB } from '../../units.ts';
import type { Layout } from './layout.ts';

export const TAG_SIZE = 16;
export const NONCE_SIZE = 12;
export const END_MARKER = 0xffffffff;
/** What stands before a frame's sealed bytes. */
export const HEAD_SIZE = 4 + NONCE_SIZE;
export const FINAL_HEAD_SIZE = 4 + HEAD_SIZE + 4;

const FRAME_LABEL = Buffer.from('AWSKMSEncryptionClient Frame');
const FINAL_LABEL = Buffer.from('AWSKMSEncryptionClient Final Frame');

/** Bytes given to a cipher at once. Its output stays in the processor's cache until it is copied. */
const SLICE_SIZE = 256 * KiB;

/** What a frame's tag covers besides its bytes. Written into one buffer a kind, because ciphers copy it at once. */
export class AuthenticatedData {
  readonly #layout: Layout;
  readonly #regular: Buffer;
  readonly #final: Buffer;

  constructor(messageId: Uint8Array, layout: Layout) {
    this.#layout = layout;
    this.#regular = Buffer.concat([messageId, FRAME_LABEL, Buffer.alloc(12)]);
    this.#final = Buffer.concat([messageId, FINAL_LABEL, Buffer.alloc(12)]);
  }

  /** Valid until the next call. */
  of(number: number, size: number): Buffer {
    const data = number === this.#layout.frameCount ? this.#final : this.#regular;
    data.writeUInt32BE(number, data.length - 12);
    // The size takes eight bytes; a frame's never needs the upper four, which stay zero.
    data.writeUInt32BE(size, data.length - 4);
    return data;
  }
}

/**
 * Runs `input` through a cipher into `target`. A cipher allocates its output; once copied, that memory is given back at
 * once, which spares the collector and keeps page faults away (measured in bench/frames.ts).
 */
export function transform(cipher: CipherGCM | DecipherGCM, input: Uint8Array, target: Buffer, offset: number): void {
  for (let start = 0; start < input.length; start += SLICE_SIZE) {
    const output = cipher.update(input.subarray(start, start + SLICE_SIZE));
    target.set(output, offset + start);
    if (output.buffer.byteLength === output.length) output.buffer.transfer(0);
  }
}
