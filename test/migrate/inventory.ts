/** An S3 Inventory as AWS documents it: manifest, checksum and data files, in CSV or Parquet. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';

export interface InventoryObject {
  bucket?: string;
  key: string;
  versionId?: string;
  isLatest?: boolean;
  isDeleteMarker?: boolean;
  size?: number | undefined;
  lastModified?: string | undefined;
  etag?: string;
}

export type InventoryFormat = 'CSV' | 'Parquet';

/** Keys and contents of all that belongs to the inventory. The manifest's key is the first. */
export type InventoryFiles = [key: string, body: Buffer][];

const SOURCE = 'bucket';
const FOLDER = `inventories/${SOURCE}/daily`;
const CSV_SCHEMA =
  'Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded';
const PARQUET_SCHEMA =
  'message s3.inventory {  required binary bucket (UTF8);  required binary key (UTF8);  optional binary version_id (UTF8);  optional boolean is_latest;  optional boolean is_delete_marker;  optional int64 size;  optional int64 last_modified_date (TIMESTAMP_MILLIS);  optional binary e_tag (UTF8);  optional binary storage_class (UTF8);}';

/** Each list of objects is a data file of its own. */
export function inventoryOf(
  format: InventoryFormat,
  lists: readonly (readonly InventoryObject[])[],
  changes: Record<string, unknown> = {},
): InventoryFiles {
  const extension = format === 'CSV' ? 'csv.gz' : 'parquet';
  const data = lists.map((objects, index): [string, Buffer] => [
    `${FOLDER}/data/${index}.${extension}`,
    format === 'CSV' ? gzipSync(csvOf(objects)) : parquetOf(objects),
  ]);
  const manifest = JSON.stringify({
    sourceBucket: SOURCE,
    destinationBucket: `arn:aws:s3:::${SOURCE}`,
    version: '2016-11-30',
    creationTimestamp: '1514944800000',
    fileFormat: format,
    fileSchema: format === 'CSV' ? CSV_SCHEMA : PARQUET_SCHEMA,
    files: data.map(([key, body]) => ({ key, size: body.length, MD5checksum: md5(body) })),
    ...changes,
  });
  return [
    [`${FOLDER}/2026-11-24T01-00Z/manifest.json`, Buffer.from(manifest)],
    [`${FOLDER}/2026-11-24T01-00Z/manifest.checksum`, Buffer.from(md5(Buffer.from(manifest)))],
    ...data,
  ];
}

/** As S3 URL-encodes keys: blanks are plus signs. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
}

function csvOf(objects: readonly InventoryObject[]): string {
  const lines = objects.map((object) => {
    const { bucket = SOURCE, key, versionId = '', isLatest = true, isDeleteMarker = false } = object;
    const fields = [bucket, encodeKey(key), versionId, isLatest, isDeleteMarker, object.size ?? ''];
    return [...fields, object.lastModified ?? '', object.etag ?? '', 'STANDARD', false]
      .map((field) => `"${field}"`)
      .join(',');
  });
  return lines.map((line) => `${line}\n`).join('');
}

function parquetOf(objects: readonly InventoryObject[]): Buffer {
  const column = <Value>(
    name: string,
    type: 'STRING' | 'BOOLEAN' | 'INT64' | 'TIMESTAMP',
    of: (object: InventoryObject) => Value,
  ) => ({
    name,
    type,
    data: objects.map((object) => of(object) ?? null),
  });
  const columnData = [
    column('bucket', 'STRING', ({ bucket }) => bucket ?? SOURCE),
    column('key', 'STRING', ({ key }) => key),
    column('version_id', 'STRING', ({ versionId }) => versionId),
    column('is_latest', 'BOOLEAN', ({ isLatest }) => isLatest ?? true),
    column('is_delete_marker', 'BOOLEAN', ({ isDeleteMarker }) => isDeleteMarker ?? false),
    column('size', 'INT64', ({ size }) => (size === undefined ? undefined : BigInt(size))),
    column('last_modified_date', 'TIMESTAMP', ({ lastModified }) => lastModified && new Date(lastModified)),
    column('e_tag', 'STRING', ({ etag }) => etag),
    column('storage_class', 'STRING', () => 'STANDARD'),
  ];
  return Buffer.from(parquetWriteBuffer({ columnData }));
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}
