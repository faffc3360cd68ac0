/**
 * A message opened from front to back, of which nothing is known but its header: where it ends is read from its frames.
 * That is how a pipe is read, and how a signed message must be, whose signature covers every byte in order.
 *
 * Bytes go in by `push`, and proven plain bytes come out of it. The last frame is held back until `finish`: only then is
 * it known that the message ends there, and that its signature, if it has one, is good. Of a signed message that ends
 * with an empty frame, as ours may, the full frame before it is held back as well: something has to wait.
 */
import { SealiftError } from '../../errors.ts';
import { MiB } from '../../units.ts';
import { Field } from './field.ts';
import { END_MARKER, FINAL, SINGLE_BLOCK, TAG_SIZE } from './frame.ts';
import { headerBytes, type MessageHeader } from './header.ts';
import type { MessageKeys } from './keys.ts';
import { FRAME_OVERHEAD, layoutOf, MAX_BLOCK_SIZE, MAX_FRAME_COUNT } from './layout.ts';
import { FrameOpener } from './open-frames.ts';
import type { SignatureVerifier } from './signature.ts';

/** Frames that share one buffer hold so many plain bytes, or are a single frame. */
const PIECE_SIZE = MiB;
/** The first bytes of a frame: they say whether it is the final one. */
const MARKER_SIZE = 4;
const MAX_SIGNATURE_SIZE = 0xffff;

export interface MessageOpenerInput {
  /** Authenticated already. */
  header: MessageHeader;
  keys: Pick<MessageKeys, 'frameKey'>;
  /** For a signed message, which then is opened from its first frame on. */
  verifier?: SignatureVerifier | undefined;
  /** The first frame to come, from 1. */
  firstFrame?: number | undefined;
  /** Called before so many plain bytes are held at once. Throws where there is no room for them. */
  reserve: (size: number) => void;
  /** Sealed bytes to come, where that is known: what claims to be larger is refused before room is made for it. */
  sealedSize?: number | undefined;
}

export class MessageOpener {
  readonly #header: MessageHeader;
  readonly #keys: Pick<MessageKeys, 'frameKey'>;
  readonly #verifier: SignatureVerifier | undefined;
  readonly #reserve: (size: number) => void;
  readonly #sealedSize: number;
  /** Frames that a piece holds. */
  readonly #pieceCount: number;
  readonly #head = new Field(FINAL.headSize);
  #number: number;
  /** Sealed bytes of all frames up to this one, with it. */
  #bodySize = 0;
  /** Sealed bytes still to come in this frame. */
  #left = 0;
  /** Regular frames, and their plain bytes. */
  #opener: FrameOpener | undefined;
  #plain: Buffer = Buffer.alloc(0);
  #released = 0;
  /** Of a signed message, the newest regular frame while it may be the last one with bytes in it. */
  #held: Buffer = Buffer.alloc(0);
  /** The final frame, or the single block. */
  #last: { opener: FrameOpener; plain: Buffer } | undefined;
  readonly #signatureSize = new Field(2);
  #signature: Field | undefined;

  constructor({ header, keys, verifier, firstFrame = 1, reserve, sealedSize = Infinity }: MessageOpenerInput) {
    this.#header = header;
    this.#keys = keys;
    this.#verifier = verifier;
    this.#reserve = reserve;
    this.#sealedSize = sealedSize;
    this.#number = firstFrame;
    const { frameSize } = header;
    const mostFrames = Math.ceil(sealedSize / (frameSize + FRAME_OVERHEAD));
    this.#pieceCount = Math.max(1, Math.min(Math.floor(PIECE_SIZE / frameSize), mostFrames));
    verifier?.update(headerBytes(header));
  }

  /**
   * Takes the next sealed bytes; the header's are not among them. Yields what they prove, in pieces that are valid until
   * the next one is asked for. Throws `bad-frame`, `truncated`, `trailing-bytes`, and what `reserve` throws.
   */
  *push(sealed: Uint8Array): Generator<Buffer> {
    let position = 0;
    while (position < sealed.length && !this.#isBodyOver) {
      if (this.#left === 0 && this.#isPieceOver) yield* this.#release();
      position += this.#takeBody(sealed.subarray(position));
    }
    this.#verifier?.update(sealed.subarray(0, position));
    yield* this.#release();
    if (position < sealed.length) this.#takeFooter(sealed.subarray(position));
  }

  /** What was held back, once the message is proven whole. Throws `truncated`, `bad-signature`. */
  finish(): Buffer {
    if (!this.#last || !this.#isBodyOver) throw this.#fail('truncated', 'the message ends before this frame does');
    this.#last.opener.finish();
    if (this.#verifier) {
      if (!this.#signature?.full) throw this.#fail('truncated', 'the message ends within its signature');
      this.#verifier.check(this.#signature.bytes);
    }
    return this.#endsEmpty ? this.#held : this.#last.plain;
  }

  get #isBodyOver(): boolean {
    return this.#last !== undefined && this.#left === 0;
  }

  /** No bytes are known to follow those of the regular frames. */
  get #endsEmpty(): boolean {
    return this.#last === undefined || this.#last.plain.length === 0;
  }

  /** No more frames fit into the buffer. */
  get #isPieceOver(): boolean {
    return this.#opener?.verifiedSize === this.#plain.length;
  }

  *#release(): Generator<Buffer> {
    const verified = this.#opener?.verifiedSize ?? 0;
    const frames = this.#plain.subarray(this.#released, verified);
    this.#released = verified;
    const keptSize = this.#verifier && this.#endsEmpty ? this.#header.frameSize : 0;
    if (frames.length === 0 && keptSize > 0) return;
    if (this.#held.length > 0) yield this.#held;
    const size = frames.length - keptSize;
    if (size > 0) yield frames.subarray(0, size);
    this.#held = Buffer.from(frames.subarray(size));
  }

  /** Takes bytes off the front of `sealed`, at most to the end of a frame. Returns how many. */
  #takeBody(sealed: Uint8Array): number {
    if (this.#left === 0) return this.#takeRun(sealed) || this.#takeHead(sealed);
    const piece = sealed.subarray(0, this.#left);
    (this.#last?.opener ?? this.#opener!).push(piece);
    this.#left -= piece.length;
    if (this.#left === 0 && !this.#last) this.#number += 1;
    return piece.length;
  }

  /** Takes the regular frames that stand whole at the front of `sealed`, as many as the piece has room for. Returns their bytes. */
  #takeRun(sealed: Uint8Array): number {
    const { frameSize } = this.#header;
    const full = frameSize + FRAME_OVERHEAD;
    const whole = Math.floor(sealed.length / full);
    if (frameSize === 0 || whole === 0 || !this.#head.empty) return 0;
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
    const isNew = this.#opener === undefined || this.#isPieceOver;
    const room = isNew ? this.#pieceCount : this.#pieceCount - this.#opener!.verifiedSize / frameSize;
    const most = Math.min(whole, room);
    let count = 0;
    while (count < most && bytes.readUInt32BE(count * full) !== END_MARKER) count++;
    if (count === 0) return 0;
    this.#expect(count * full);
    if (isNew) this.#beginPiece();
    this.#opener!.push(bytes.subarray(0, count * full));
    this.#left = 0;
    this.#number += count;
    return count * full;
  }

  /** Gathers as much of a frame's head as it takes to know which kind of frame it is, and how large. */
  #takeHead(sealed: Uint8Array): number {
    const { frameSize } = this.#header;
    const isMarked = this.#head.bytes.length >= MARKER_SIZE;
    const kind = frameSize === 0 ? SINGLE_BLOCK : FINAL;
    const taken = this.#head.fill(sealed, kind === FINAL && !isMarked ? MARKER_SIZE : kind.headSize);
    if (!this.#head.full) return taken;
    const { bytes } = this.#head;
    if (kind === SINGLE_BLOCK) this.#beginLast(Number(bytes.readBigUInt64BE(12)), MAX_BLOCK_SIZE);
    else if (isMarked) this.#beginLast(bytes.readUInt32BE(20), frameSize);
    else if (bytes.readUInt32BE(0) !== END_MARKER) this.#beginFrame();
    return taken;
  }

  /** A regular frame: there is one buffer for several of them. */
  #beginFrame(): void {
    this.#expect(this.#header.frameSize + FRAME_OVERHEAD);
    if (this.#opener === undefined || this.#isPieceOver) this.#beginPiece();
    this.#passHead(this.#opener!);
  }

  #beginPiece(): void {
    const { frameSize } = this.#header;
    const size = this.#pieceCount * frameSize;
    if (this.#plain.length === 0) {
      this.#reserve(size);
      this.#plain = Buffer.allocUnsafeSlow(size);
    }
    this.#released = 0;
    const lastFrame = this.#number + this.#pieceCount - 1;
    this.#opener = this.#openerOf({
      // How many frames will follow is not known; that none of these is the last, is.
      plainSize: (lastFrame + 1) * frameSize,
      frameCount: lastFrame + 1,
      lastFrame,
      plain: this.#plain,
    });
  }

  /** The final frame or the single block, of so many plain bytes. */
  #beginLast(size: number, maxSize: number): void {
    const { frameSize } = this.#header;
    const isBlock = frameSize === 0;
    if (size > maxSize) throw this.#fail('bad-frame', `it says that it holds ${size} bytes, more than it may`);
    if (this.#number > MAX_FRAME_COUNT) throw this.#fail('bad-frame', 'there are more frames than a message can have');
    this.#expect((isBlock ? SINGLE_BLOCK : FINAL).headSize + size + TAG_SIZE);
    this.#reserve(size);
    const plain = Buffer.allocUnsafeSlow(size);
    const plainSize = (this.#number - 1) * frameSize + size;
    const opener = this.#openerOf({ plainSize, frameCount: this.#number, lastFrame: this.#number, plain });
    this.#last = { opener, plain };
    this.#passHead(opener);
  }

  #openerOf(input: { plainSize: number; frameCount: number; lastFrame: number; plain: Buffer }): FrameOpener {
    const { plainSize, frameCount, lastFrame, plain } = input;
    const { frameSize, messageId } = this.#header;
    const cut = frameSize === 0 ? { frameSize: plainSize, singleBlock: true as const } : { frameSize };
    const layout = layoutOf({ plainSize, headerSize: 0, frameCount, partFrameCount: frameCount, ...cut });
    const place = { firstFrame: this.#number, lastFrame, plain, offset: 0, before: this.#opener };
    return new FrameOpener({ keys: this.#keys, messageId, layout, ...place });
  }

  #passHead(opener: FrameOpener): void {
    const head = this.#head.take();
    opener.push(head);
    this.#left -= head.length;
  }

  #takeFooter(sealed: Uint8Array): void {
    let rest = sealed;
    if (this.#verifier && !this.#signature) {
      rest = rest.subarray(this.#signatureSize.fill(rest, 2));
      if (this.#signatureSize.full) this.#signature = new Field(MAX_SIGNATURE_SIZE);
    }
    if (this.#signature) rest = rest.subarray(this.#signature.fill(rest, this.#signatureSize.bytes.readUInt16BE(0)));
    if (rest.length > 0) throw this.#fail('trailing-bytes', 'bytes follow the end of the message');
  }

  /** A frame of so many sealed bytes begins. Throws `truncated` where it is known that so many cannot come. */
  #expect(size: number): void {
    this.#left = size;
    this.#bodySize += size;
    if (this.#bodySize > this.#sealedSize) throw this.#fail('truncated', 'the message ends before this frame does');
  }

  #fail(code: 'bad-frame' | 'truncated' | 'trailing-bytes', what: string): SealiftError {
    return new SealiftError(code, `frame ${this.#number}: ${what}`, {
      hint: 'The object was changed or damaged after it was sealed. Nothing from here on was released.',
    });
  }
}
