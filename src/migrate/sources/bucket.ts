/**
 * The objects of a bucket behind a prefix. S3 lists them in the order of their keys, and goes on behind any key. Only what
 * is there now is listed, and no older versions.
 */
import type { ListedObject, Store } from '../../stores/store.ts';
import type { ListingMeans, MigrateSource, SourceObject, SourcePage } from '../source.ts';
import { type Listed, pagesOf } from './pages.ts';

export class BucketSource implements MigrateSource {
  readonly url: string;
  readonly reads: { prefix: string };
  readonly firstSection = '';
  readonly #store: Store;
  readonly #prefix: string;

  /** `prefix` is empty, or ends in a slash. */
  constructor(store: Store, prefix: string) {
    this.url = store.url(prefix);
    this.reads = { prefix: this.url };
    this.#store = store;
    this.#prefix = prefix;
  }

  pages(_section: string, after: string | undefined, { filter, signal }: ListingMeans): AsyncIterable<SourcePage> {
    const look = (row: ListedObject) => {
      const object = this.#objectOf(row);
      return filter.takesName(object.name) ? object : undefined;
    };
    return pagesOf(this.#rows(after ?? this.#prefix, signal), look, { url: this.url, filter, signal });
  }

  /** The prefix itself may be an object, by which consoles mark a folder: it has no name behind the prefix. */
  async *#rows(startAfter: string, signal: AbortSignal | undefined): AsyncGenerator<Listed<ListedObject>, void> {
    for await (const entry of this.#store.list(this.#prefix, { recursive: true, startAfter, signal })) {
      if ('key' in entry) yield { ...entry, cursor: entry.key };
    }
  }

  #objectOf({ key, size, etag, lastModified }: ListedObject): SourceObject {
    return { name: key.slice(this.#prefix.length), size, etag, lastModified };
  }
}
