/**
 * The objects of a bucket behind a prefix. S3 lists them in the order of their keys, and goes on behind any key. Only what
 * is there now is listed, and no older versions.
 */
import type { ListedObject, Store } from '../../stores/store.ts';
import type { Filter } from '../filter.ts';
import type { MigrateSource, SourceObject, SourcePage } from '../source.ts';
import { type Listed, pagesOf } from './pages.ts';

export class BucketSource implements MigrateSource {
  readonly url: string;
  readonly reads: { prefix: string };
  readonly firstSection = '';
  readonly #store: Store;
  readonly #prefix: string;
  readonly #filter: Filter;

  /** `prefix` is empty, or ends in a slash. */
  constructor(store: Store, prefix: string, filter: Filter) {
    this.url = store.url(prefix);
    this.reads = { prefix: this.url };
    this.#store = store;
    this.#prefix = prefix;
    this.#filter = filter;
  }

  pages(
    _section: string,
    after: string | undefined,
    { signal }: { signal?: AbortSignal | undefined },
  ): AsyncIterable<SourcePage> {
    const means = { url: this.url, filter: this.#filter, signal };
    return pagesOf(this.#rows(after ?? this.#prefix, signal), (row) => this.#look(row), means);
  }

  /** The prefix itself may be an object, by which consoles mark a folder: it has no name behind the prefix. */
  async *#rows(startAfter: string, signal: AbortSignal | undefined): AsyncGenerator<Listed<ListedObject>, void> {
    for await (const entry of this.#store.list(this.#prefix, { recursive: true, startAfter, signal })) {
      if ('key' in entry) yield { ...entry, cursor: entry.key };
    }
  }

  #look({ key, size, etag, lastModified }: ListedObject): SourceObject | undefined {
    const name = key.slice(this.#prefix.length);
    return this.#filter.takesName(name) ? { name, size, etag, lastModified } : undefined;
  }
}
