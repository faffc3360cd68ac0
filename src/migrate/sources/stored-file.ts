/**
 * A file of a list, in a bucket or on this disk: one version of it, read in order or by pieces. A connection that breaks is
 * made anew where it stopped, as long as each brings something.
 */
import { createHash } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { slicesOf } from '../../stores/object-stream.ts';
import type { Store } from '../../stores/store.ts';

export class StoredFile {
  readonly url: string;
  readonly size: number;
  readonly etag: string;
  readonly #store: Store;
  readonly #key: string;

  private constructor(store: Store, key: string, { size, etag }: { size: number; etag: string }) {
    this.url = store.url(key);
    this.size = size;
    this.etag = etag;
    this.#store = store;
    this.#key = key;
  }

  /** Undefined where there is none. */
  static async find(store: Store, key: string): Promise<StoredFile | undefined> {
    const info = await store.head(key);
    return info && new StoredFile(store, key, info);
  }

  /** From `start` up to `end`, which is not read. Throws `object-changed`. */
  async *read(start = 0, end = this.size): AsyncGenerator<Uint8Array, void> {
    for (let done = start, before = -1; done < end; ) {
      try {
        const range = { first: done, last: end - 1 };
        for await (const slice of slicesOf(await this.#store.read(this.#key, range, { ifMatch: this.etag }))) {
          done += slice.length;
          // The readers of manifests keep pieces of what they were given.
          yield Buffer.from(slice);
        }
      } catch (error) {
        if ((error as SealiftError).code !== 'store-unavailable' || done === before) throw error;
      }
      before = done;
    }
  }

  async readAll(): Promise<Buffer> {
    return Buffer.from(await this.slice(0));
  }

  /** As a reader of Parquet asks for a piece. */
  async slice(start: number, end = this.size): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for await (const chunk of this.read(start, end)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes.buffer;
  }

  get byteLength(): number {
    return this.size;
  }

  /** Throws `checksum-mismatch` where these are not the bytes of this MD5, in hexadecimal digits. */
  async prove(md5: string): Promise<void> {
    const hash = createHash('md5');
    for await (const chunk of this.read()) hash.update(chunk);
    if (hash.digest('hex') === md5.toLowerCase()) return;
    throw new SealiftError('checksum-mismatch', `${this.url} does not have the MD5 that its manifest has for it`, {
      hint: 'It is damaged, or is not of this inventory. Nothing of it was used.',
    });
  }
}

/** A list that is not as it should be. `where` is a file's URL, or a line of one. */
export function badManifest(where: string, why: string, hint: string, cause?: unknown): SealiftError {
  return new SealiftError('bad-manifest', `${where}: ${why}`, { hint, cause });
}
