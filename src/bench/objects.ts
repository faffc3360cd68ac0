/**
 * The objects that a bench writes: all under one name that nobody else has, and each removed again. What cannot be removed
 * is told, by its name.
 */
import { isDenied, SealiftError } from '../errors.ts';
import { freshRandom } from '../random.ts';
import { formatObjectUrl, parsePrefixUrl } from '../stores/object-url.ts';
import { openStore, resolveStore, type StoreOptions } from '../stores/open.ts';
import type { Store } from '../stores/store.ts';

const ROUND_TRIPS = 6;

export class BenchObjects implements Disposable {
  /** What all their URLs begin with. */
  readonly prefix: string;
  readonly #store: Store;
  readonly #keyPrefix: string;
  /** Keys of objects that may be there. */
  readonly #keys = new Set<string>();
  #count = 0;

  constructor(store: Store, { bucket, keyPrefix }: { bucket: string; keyPrefix: string }) {
    this.#store = store;
    this.#keyPrefix = keyPrefix;
    this.prefix = formatObjectUrl({ bucket, key: keyPrefix });
  }

  /** Under `s3://bucket` or `s3://bucket/prefix`. Throws `bad-url`, and what `resolveStore` throws. Contacts nothing. */
  static async under(url: string, options: StoreOptions): Promise<BenchObjects> {
    const place = parsePrefixUrl(url);
    if (!('bucket' in place)) {
      throw new SealiftError('bad-url', `${url} is a directory: there is nothing between it and the disk to measure`, {
        hint: 'Name a bucket, s3://bucket or s3://bucket/prefix, or nothing for a sandbox on this machine.',
      });
    }
    const folder = place.key === '' || place.key.endsWith('/') ? place.key : `${place.key}/`;
    const { settings, credentials } = await resolveStore(place, options);
    const store = await openStore(settings, { credentials, onRetry: () => {}, bandwidth: undefined });
    return new BenchObjects(store, {
      bucket: place.bucket,
      keyPrefix: `${folder}sealift-bench-${freshRandom(4).toString('hex')}/`,
    });
  }

  /** The URL of an object that is to be written, and removed. */
  next(): string {
    const key = `${this.#keyPrefix}${++this.#count}`;
    this.#keys.add(key);
    return this.#store.url(key);
  }

  /** Seconds from a small request to its answer: the median of several. Throws `bucket-not-found`. */
  async roundTrip(): Promise<number> {
    const seconds: number[] = [];
    for (let count = 0; count < ROUND_TRIPS; count++) {
      const startMs = performance.now();
      await this.#store.head(`${this.#keyPrefix}0`).catch((error) => {
        // Who may read objects and not list them is told nothing of one that is not there, and has waited as long.
        if (!isDenied(error)) throw error;
      });
      seconds.push((performance.now() - startMs) / 1000);
    }
    // The first one connects.
    const others = seconds.slice(1).sort((one, other) => one - other);
    return others[others.length >> 1]!;
  }

  /** Removes all that may be there, the newest version of each for good. Throws the store's errors. */
  async remove(): Promise<void> {
    for (const key of this.#keys) await this.#removeObject(key);
  }

  /** As `remove`, whatever fails. Resolves to the URLs of what may be left. */
  async clear(): Promise<string[]> {
    await Promise.allSettled([...this.#keys].map((key) => this.#removeObject(key)));
    return [...this.#keys].map((key) => this.#store.url(key));
  }

  async #removeObject(key: string): Promise<void> {
    const there = await this.#store.head(key);
    if (there) await this.#store.copies!.deleteVersion(key, there);
    this.#keys.delete(key);
  }

  [Symbol.dispose](): void {
    this.#store.close();
  }
}
