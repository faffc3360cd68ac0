/**
 * The body of one request on its way in: decoded, measured, and held against the hash or the chunk signatures the
 * request was signed with. Nothing is held in memory but what the sink has not taken yet.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Readable, Writable } from 'node:stream';
import { ChunkedDecoder } from './chunked.ts';
import type { Digest } from './s3/checksums.ts';
import { S3Error } from './s3/errors.ts';
import type { Payload } from './sigv4.ts';

export class Body {
  /** Bytes the body will have once decoded; undefined where the request does not say. */
  readonly length: number | undefined;
  /** Bytes that came over the wire so far. */
  received = 0;
  /** When the first of them came, in milliseconds since 1970. */
  firstByteTime: number | null = null;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #payload: Payload;
  /** Lets a fault work on the bytes as they come. */
  readonly #disturb: (source: Readable) => Readable;
  /** Lets a fault work on the bytes as they are stored. */
  readonly #disturbStored: (sink: Writable) => Writable;

  constructor(
    exchange: { request: IncomingMessage; response: ServerResponse },
    options: {
      payload: Payload;
      disturb: (source: Readable) => Readable;
      disturbStored: (sink: Writable) => Writable;
    },
  ) {
    this.#request = exchange.request;
    this.#response = exchange.response;
    this.#payload = options.payload;
    this.#disturb = options.disturb;
    this.#disturbStored = options.disturbStored;
    const { headers } = exchange.request;
    const header =
      options.payload.kind === 'chunked' ? headers['x-amz-decoded-content-length'] : headers['content-length'];
    this.length = header !== undefined && /^\d+$/.test(String(header)) ? Number(header) : undefined;
  }

  /**
   * Moves the body through `digests` into `sink`, and ends it. Rejects, with the sink destroyed, where the body is not
   * what the request said. The headers that trailed are in the answer.
   */
  receive(
    sink: Writable,
    digests: readonly Digest[],
  ): Promise<{ size: number; trailers: ReadonlyMap<string, string> }> {
    // A client that said `Expect: 100-continue` has waited until now; a refusal before this spares it the body.
    if (this.#request.headers.expect?.toLowerCase() === '100-continue') this.#response.writeContinue();
    const source = this.#disturb(this.#request);
    const to = this.#disturbStored(sink);
    const payload = this.#payload;
    const sha256 = payload.kind === 'hashed' ? createHash('sha256') : undefined;
    let size = 0;

    return new Promise((resolve, reject) => {
      const take = (bytes: Buffer) => {
        size += bytes.length;
        sha256?.update(bytes);
        for (const digest of digests) digest.update(bytes);
        if (!to.write(bytes)) source.pause();
      };
      const decoder = payload.kind === 'chunked' ? new ChunkedDecoder(payload.signer, take) : undefined;
      const fail = (error: unknown) => {
        source.off('data', onData).off('end', onEnd);
        source.resume();
        sink.destroy();
        reject(error);
      };
      const onData = (bytes: Buffer) => {
        this.received += bytes.length;
        this.firstByteTime ??= performance.timeOrigin + performance.now();
        try {
          if (decoder) decoder.push(bytes);
          else take(bytes);
        } catch (error) {
          fail(error);
        }
      };
      const onEnd = () => {
        try {
          decoder?.finish();
          if (this.length !== undefined && size !== this.length) throw new S3Error('IncompleteBody');
          if (payload.kind === 'hashed') checkSha256(payload.sha256, sha256!.digest('hex'));
          to.end();
        } catch (error) {
          fail(error);
        }
      };
      source.on('data', onData).on('end', onEnd).on('error', fail);
      to.on('drain', () => source.resume());
      sink.on('error', fail).on('finish', () => resolve({ size, trailers: decoder?.trailers ?? new Map() }));
    });
  }

  /** The body as text, for those that are small. */
  async text(
    limit: number,
    digests: readonly Digest[] = [],
  ): Promise<{ text: string; trailers: ReadonlyMap<string, string> }> {
    const chunks: Buffer[] = [];
    let size = 0;
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        size += chunk.length;
        chunks.push(chunk);
        done(size > limit ? new S3Error('MalformedXML', 'The body is too large') : null);
      },
    });
    const { trailers } = await this.receive(sink, digests);
    return { text: Buffer.concat(chunks).toString(), trailers };
  }
}

/** API/sig-v4-header-based-auth.html: the hash in x-amz-content-sha256 is that of the body. */
function checkSha256(expected: string, computed: string): void {
  if (expected === computed) return;
  throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
    fields: { ClientComputedContentSHA256: expected, S3ComputedContentSHA256: computed },
  });
}
