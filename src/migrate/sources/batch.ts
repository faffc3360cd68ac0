/**
 * A manifest of S3 Batch Operations: lines of bucket, key and perhaps a version id, with keys URL-encoded
 * (S3BatchOperations_CSV_20180820). It names no sizes, so that each object is asked for by HEAD.
 */
import { SealiftError } from '../../errors.ts';
import type { Store } from '../../stores/store.ts';
import type { ListingMeans, MigrateSource, SourcePage } from '../source.ts';
import { csvRows, keyOf } from './csv.ts';
import { lookAtObject, type NamedObject } from './look.ts';
import { type Listed, pagesOf } from './pages.ts';
import { badManifest, type StoredFile } from './stored-file.ts';

export class BatchSource implements MigrateSource {
  readonly url: string;
  readonly reads: { prefix: string };
  readonly firstSection = '';
  readonly #file: StoredFile;
  readonly #bucket: string;
  readonly #store: Store;

  private constructor(file: StoredFile, bucket: string, store: Store) {
    this.url = file.url;
    this.reads = { prefix: store.url('') };
    this.#file = file;
    this.#bucket = bucket;
    this.#store = store;
  }

  /** The bucket is that of the first line. Throws `bad-manifest`. */
  static async open(file: StoredFile, storeOf: (bucket: string) => Promise<Store>): Promise<BatchSource> {
    for await (const [bucket = ''] of csvRows(file, { gzipped: false })) {
      return new BatchSource(file, bucket, await storeOf(bucket));
    }
    throw badManifest(file.url, 'it names no object', 'Nothing is left to be done.');
  }

  pages(_section: string, after: string | undefined, { filter, signal }: ListingMeans): AsyncIterable<SourcePage> {
    const look = (row: NamedObject) =>
      filter.takesName(row.name) ? lookAtObject(this.#store, row, signal) : undefined;
    return pagesOf(this.#rows(after), look, { url: this.url, filter, signal });
  }

  /** A cursor is how many lines are known, of which file. Throws `bad-manifest`, `source-changed`. */
  async *#rows(after = `0 ${this.#file.etag}`): AsyncGenerator<Listed<NamedObject>, void> {
    const [known = '', etag] = after.split(' ');
    if (etag !== this.#file.etag) {
      throw new SealiftError('source-changed', `${this.url} is not the list that this job began with`, {
        hint: 'Put the old one back, or start over with --fresh: what is there already is skipped.',
      });
    }
    let count = 0;
    for await (const fields of csvRows(this.#file, { gzipped: false })) {
      count += 1;
      if (count <= Number(known)) continue;
      yield { ...this.#objectOf(fields, count), cursor: `${count} ${etag}` };
    }
  }

  #objectOf([bucket, encoded = '', versionId = '']: string[], number: number): NamedObject {
    const where = `${this.url}, line ${number}`;
    if (bucket !== this.#bucket) {
      const hint = 'A job moves the objects of one bucket: make a list for each.';
      throw badManifest(where, `it names the bucket ${JSON.stringify(bucket)}, and the first ${this.#bucket}`, hint);
    }
    const key = keyOf(encoded, where);
    return { name: key, key, versionId: versionId === '' ? undefined : versionId };
  }
}
