/**
 * An S3 Inventory: what a `manifest.json` says lies in its data files, CSV or Parquet. Each file is a section, is proven by
 * its MD5 before anything of it counts, and is read as a stream. Of versions only the newest count, and no delete markers.
 */
import type { Store } from '../../stores/store.ts';
import type { ListingMeans, MigrateSource, SourceObject, SourcePage } from '../source.ts';
import { csvRows, keyOf } from './csv.ts';
import type { InventoryManifest } from './inventory-manifest.ts';
import { COLUMNS, type InventoryRecord, type InventoryRow, rowOf } from './inventory-row.ts';
import { lookAtObject } from './look.ts';
import { type Listed, pagesOf } from './pages.ts';
import { parquetRows } from './parquet.ts';
import { badManifest, type StoredFile } from './stored-file.ts';

export class InventorySource implements MigrateSource {
  readonly url: string;
  readonly reads: { prefix: string };
  /** Names the data files, which are the other sections by their keys. */
  readonly firstSection = '';
  readonly #manifest: InventoryManifest;
  readonly #fileAt: (key: string) => Promise<StoredFile>;
  readonly #store: Store;

  /** `store` has the objects, and `fileAt` finds a data file by its key. */
  constructor(
    manifest: InventoryManifest,
    { store, fileAt }: { store: Store; fileAt: (key: string) => Promise<StoredFile> },
  ) {
    this.url = manifest.url;
    this.reads = { prefix: store.url('') };
    this.#manifest = manifest;
    this.#fileAt = fileAt;
    this.#store = store;
  }

  /** Throws `bad-manifest`, `checksum-mismatch`. */
  async *pages(
    section: string,
    after: string | undefined,
    { filter, signal }: ListingMeans,
  ): AsyncGenerator<SourcePage, void> {
    const { files } = this.#manifest;
    if (section === this.firstSection) return yield { objects: [], sections: files.map(({ key }) => key) };
    const known = files.find(({ key }) => key === section);
    if (!known) {
      const hint = 'It is another than the job began with. Put the old one back, or start over with --fresh.';
      throw badManifest(this.url, `it has no file ${section}`, hint);
    }
    const file = await this.#fileAt(section);
    await file.prove(known.md5);
    const rows = this.#rows(file, Number(after ?? 0));
    yield* pagesOf(rows, (row) => this.#look(row, { filter, signal }), { url: this.url, filter, signal });
  }

  /** From row `first` on, counted from 0, which is as many as are known. */
  async *#rows(file: StoredFile, first: number): AsyncGenerator<Listed<InventoryRow>, void> {
    let count = first;
    for await (const record of this.#records(file, first)) {
      count += 1;
      const row = rowOf(record, { where: `${file.url}, row ${count}`, bucket: this.#manifest.bucket });
      yield { ...row, cursor: String(count) };
    }
  }

  async *#records(file: StoredFile, first: number): AsyncGenerator<InventoryRecord, void> {
    const { columns, format } = this.#manifest;
    if (format === 'Parquet') return yield* parquetRows(file, { columns: COLUMNS, first });
    let count = 0;
    for await (const fields of csvRows(file, { gzipped: true })) {
      count += 1;
      if (count <= first) continue;
      const record: InventoryRecord = Object.fromEntries(columns.map((name, index) => [name, fields[index]]));
      yield { ...record, key: keyOf(String(record.key), `${file.url}, row ${count}`) };
    }
  }

  #look(row: InventoryRow, { filter, signal }: ListingMeans): SourceObject | undefined | Promise<SourceObject> {
    const { isCurrent, key, versionId, size, etag, lastModified } = row;
    if (!isCurrent || !filter.takesName(key)) return undefined;
    const isKnown = size !== undefined && (lastModified !== undefined || !filter.needsTimes);
    if (isKnown) return { name: key, size, etag, versionId, lastModified };
    return lookAtObject(this.#store, { name: key, key, versionId }, signal);
  }
}
