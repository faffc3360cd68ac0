/**
 * The `aws-chunked` content encoding: chunks with a length each, optionally a signature each, and headers that trail
 * (API/sigv4-streaming.html, API/sigv4-streaming-trailers.html).
 *
 *     10000;chunk-signature=…\r\n  65536 bytes  \r\n  0;chunk-signature=…\r\n  x-amz-checksum-crc32:…\r\n  \r\n
 *
 * Bytes are pushed in as the network cuts them; data comes out as views of them, uncopied.
 */
import { createHash, type Hash } from 'node:crypto';
import { S3Error } from './s3/errors.ts';
import type { ChunkSigner } from './sigv4.ts';

/** API/sigv4-streaming.html: "Each chunk must be at least 8 KB in size, except the last". */
const MIN_CHUNK_SIZE = 8192;
/** A line holds a length and a signature, or one trailing header. */
const MAX_LINE = 1024;

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

export class ChunkedDecoder {
  readonly trailers = new Map<string, string>();
  readonly #signer: ChunkSigner | undefined;
  readonly #emit: (bytes: Buffer) => void;
  #state: State = 'size';
  #line = '';
  /** Bytes of the chunk at hand that are still to come. */
  #left = 0;
  #sawShortChunk = false;
  #signature = '';
  #hash: Hash | undefined;

  /** With a signer every chunk and the trailer must be signed. `emit` gets the data. */
  constructor(signer: ChunkSigner | undefined, emit: (bytes: Buffer) => void) {
    this.#signer = signer;
    this.#emit = emit;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      at = this.#state === 'data' ? this.#takeData(bytes, at) : this.#takeLine(bytes, at);
    }
  }

  /** To be called when the body has ended: throws where it ended too early. */
  finish(): void {
    if (this.#state !== 'done') throw new S3Error('IncompleteBody');
  }

  #takeData(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    const data = bytes.subarray(at, end);
    this.#left -= data.length;
    this.#hash?.update(data);
    this.#emit(data);
    if (this.#left === 0) {
      this.#checkChunk();
      this.#state = 'data-end';
    }
    return end;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    this.#line += bytes.toString('latin1', at, end);
    if (this.#line.length > MAX_LINE) throw new S3Error('IncompleteBody', 'A chunk header is too long');
    if (newline >= 0) {
      const line = this.#line.replace(/\r?\n$/, '');
      this.#line = '';
      this.#onLine(line);
    }
    return end;
  }

  #onLine(line: string): void {
    if (this.#state === 'size') this.#beginChunk(line);
    else if (this.#state === 'data-end') {
      if (line !== '') throw new S3Error('IncompleteBody', 'A chunk is longer than its header says');
      this.#state = 'size';
    } else if (this.#state === 'trailer') this.#onTrailer(line);
    else if (line !== '') throw new S3Error('MalformedTrailerError');
  }

  #beginChunk(line: string): void {
    const match = /^([0-9a-f]+)(?:;chunk-signature=([0-9a-f]{64}))?$/i.exec(line);
    if (match === null || (this.#signer !== undefined && match[2] === undefined)) {
      throw new S3Error('IncompleteBody', 'A chunk header is malformed');
    }
    const size = Number.parseInt(match[1]!, 16);
    if (size > 0 && this.#sawShortChunk) throw new S3Error('InvalidChunkSizeError');
    this.#sawShortChunk = size < MIN_CHUNK_SIZE;
    this.#signature = match[2] ?? '';
    this.#hash = this.#signer && createHash('sha256');
    this.#left = size;
    if (size === 0) this.#checkChunk();
    this.#state = size === 0 ? 'trailer' : 'data';
  }

  #checkChunk(): void {
    this.#signer?.checkChunk(this.#hash!.digest('hex'), this.#signature);
  }

  #onTrailer(line: string): void {
    if (line === '') {
      this.#endTrailer();
      this.#state = 'done';
      return;
    }
    const colon = line.indexOf(':');
    if (colon < 1) throw new S3Error('MalformedTrailerError');
    this.trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }

  #endTrailer(): void {
    const signature = this.trailers.get('x-amz-trailer-signature');
    this.trailers.delete('x-amz-trailer-signature');
    if (this.#signer === undefined || this.trailers.size === 0) return;
    const canonical = [...this.trailers].map(([name, value]) => `${name}:${value}\n`).join('');
    this.#signer.checkTrailer(createHash('sha256').update(canonical).digest('hex'), signature ?? '');
  }
}
