/** A row of an S3 Inventory. CSV has all values as text, and Parquet has dates, numbers and switches. */
import { badManifest } from './stored-file.ts';

/** What counts of an inventory, as Parquet calls it. */
export const COLUMNS = [
  'bucket',
  'key',
  'version_id',
  'is_latest',
  'is_delete_marker',
  'size',
  'last_modified_date',
  'e_tag',
] as const;

export type InventoryRecord = { [column in (typeof COLUMNS)[number]]?: unknown };

export interface InventoryRow {
  key: string;
  /** Neither an older version nor a delete marker. */
  isCurrent: boolean;
  versionId?: string | undefined;
  size?: number | undefined;
  etag?: string | undefined;
  lastModified?: Date | undefined;
}

/** `IsDeleteMarker` to `is_delete_marker`: what a manifest of CSV files calls a column, as Parquet does. */
export function columnOf(name: string): string {
  return name.replace(/\B(?=[A-Z][a-z])/g, '_').toLowerCase();
}

/** Throws `bad-manifest`. */
export function rowOf(record: InventoryRecord, { where, bucket }: { where: string; bucket: string }): InventoryRow {
  const key = textOf(record.key);
  if (key === undefined) throw badManifest(where, 'it has no key', 'The inventory may be damaged.');
  if (record.bucket !== bucket) {
    throw badManifest(
      where,
      `it is of the bucket ${record.bucket}, and the manifest of ${bucket}`,
      'It may be damaged.',
    );
  }
  const etag = textOf(record.e_tag)?.replaceAll('"', '');
  return {
    key,
    isCurrent: !isSwitch(record.is_latest, 'false') && !isSwitch(record.is_delete_marker, 'true'),
    versionId: textOf(record.version_id),
    size: sizeOf(record.size, where),
    etag: etag && `"${etag}"`,
    lastModified: dateOf(record.last_modified_date, where),
  };
}

/** Where there is none, CSV has an empty field. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isSwitch(value: unknown, state: 'true' | 'false'): boolean {
  return String(value).toLowerCase() === state;
}

function sizeOf(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const size = Number(value);
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw badManifest(where, `${JSON.stringify(String(value))} is no size`, 'The inventory may be damaged.');
}

function dateOf(value: unknown, where: string): Date | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const date = value instanceof Date ? value : new Date(String(value));
  if (!Number.isNaN(date.getTime())) return date;
  throw badManifest(where, `${JSON.stringify(String(value))} is no date`, 'The inventory may be damaged.');
}
