/**
 * A store whose objects' bytes keep to a bandwidth, both ways. What counts are bodies as they move, sealed, in slices:
 * a body that is sent again counts again. The few hundred bytes of a request's headers and answers do not.
 */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import type { Bandwidth } from '../limits/bandwidth.ts';
import { isPartBody } from './sliced-body.ts';
import type {
  CallOptions,
  CompletedUpload,
  Copies,
  KeptHeaders,
  ListedObject,
  ListedPrefix,
  ListingOptions,
  ObjectHeaders,
  ObjectInfo,
  ObjectStream,
  PartBody,
  PartStore,
  PartToSend,
  ReadOptions,
  Store,
  StoredPart,
  WriteAnswer,
  WriteCondition,
} from './store.ts';

/** What a thread needs of it. */
export class LimitedParts implements PartStore {
  readonly #parts: PartStore;
  protected readonly bandwidth: Bandwidth;

  constructor(parts: PartStore, bandwidth: Bandwidth) {
    this.#parts = parts;
    this.bandwidth = bandwidth;
  }

  withCustomerKey(key: KeyObject | undefined): PartStore {
    return new LimitedParts(this.#parts.withCustomerKey(key), this.bandwidth);
  }

  sendPart(key: string, part: PartToSend, options: CallOptions = {}): Promise<{ etag: string }> {
    return this.#parts.sendPart(key, { ...part, body: this.paced(part.body, options) }, options);
  }

  async read(key: string, range: { first: number; last: number }, options: ReadOptions = {}): Promise<ObjectStream> {
    const stream = await this.#parts.read(key, range, options);
    const { size, objectSize, etag, versionId } = stream;
    return {
      size,
      objectSize,
      etag,
      versionId,
      metadata: () => stream.metadata(),
      readInto: (bytes) => this.#pacedRead(stream, bytes, options),
      [Symbol.dispose]: () => stream[Symbol.dispose](),
    };
  }

  protected paced(body: Uint8Array | PartBody, options: CallOptions): PartBody {
    return { byteLength: body.byteLength, slices: () => this.#pacedSlices(body, options) };
  }

  async *#pacedSlices(body: Uint8Array | PartBody, options: CallOptions): AsyncGenerator<Uint8Array> {
    for await (const whole of isPartBody(body) ? body.slices() : [body]) {
      for (let offset = 0; offset < whole.length; ) {
        // Asked for each time: the rate may have changed.
        const slice = whole.subarray(offset, offset + this.bandwidth.sliceSize);
        await this.#take(slice.length, options);
        yield slice;
        offset += slice.length;
      }
    }
  }

  /** Bytes that have come are handed on when they may: the connection is read no faster than that. */
  async #pacedRead(stream: ObjectStream, bytes: Uint8Array, options: CallOptions): Promise<number> {
    const count = await stream.readInto(bytes.subarray(0, this.bandwidth.sliceSize));
    await this.#take(count, options);
    return count;
  }

  async #take(size: number, { signal }: CallOptions): Promise<void> {
    try {
      await this.bandwidth.take(size, signal);
    } catch (error) {
      throw signal?.aborted ? SealiftError.interrupted(signal, 'What waited for its bandwidth') : error;
    }
  }
}

export class LimitedStore extends LimitedParts implements Store {
  readonly #store: Store;

  constructor(store: Store, bandwidth: Bandwidth) {
    super(store, bandwidth);
    this.#store = store;
  }

  putObject(
    key: string,
    body: Uint8Array | PartBody,
    options: CallOptions & ObjectHeaders & { crc32: number; condition: WriteCondition },
  ): Promise<WriteAnswer> {
    return this.#store.putObject(key, this.paced(body, options), options);
  }

  override withCustomerKey(key: KeyObject | undefined): Store {
    return new LimitedStore(this.#store.withCustomerKey(key), this.bandwidth);
  }

  url(key: string): string {
    return this.#store.url(key);
  }

  head(key: string, options?: CallOptions & { versionId?: string | undefined }): Promise<ObjectInfo | undefined> {
    return this.#store.head(key, options);
  }

  headers(key: string, options?: CallOptions & { versionId?: string | undefined }): Promise<KeptHeaders> {
    return this.#store.headers(key, options);
  }

  get copies(): Copies | undefined {
    return this.#store.copies;
  }

  createUpload(key: string, options: CallOptions & ObjectHeaders): Promise<string> {
    return this.#store.createUpload(key, options);
  }

  listParts(key: string, uploadId: string, options?: CallOptions): AsyncIterable<StoredPart> {
    return this.#store.listParts(key, uploadId, options);
  }

  list(prefix: string, options?: ListingOptions): AsyncIterable<ListedObject | ListedPrefix> {
    return this.#store.list(prefix, options);
  }

  listUploads(key: string, options?: CallOptions): AsyncIterable<{ uploadId: string; initiated: Date }> {
    return this.#store.listUploads(key, options);
  }

  completeUpload(key: string, upload: CompletedUpload, options?: CallOptions): Promise<WriteAnswer> {
    return this.#store.completeUpload(key, upload, options);
  }

  abortUpload(key: string, uploadId: string, options?: CallOptions): Promise<void> {
    return this.#store.abortUpload(key, uploadId, options);
  }

  close(): void {
    this.#store.close();
  }
}
