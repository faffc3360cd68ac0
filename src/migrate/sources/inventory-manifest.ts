/** The `manifest.json` of an S3 Inventory: of which bucket it is, in which format, and which data files belong to it. */
import { columnOf } from './inventory-row.ts';
import { badManifest } from './stored-file.ts';

export interface InventoryManifest {
  url: string;
  /** Whose objects are listed. */
  bucket: string;
  /** Where the data files are. */
  destination: string;
  format: 'CSV' | 'Parquet';
  /** Of CSV files, by the names that Parquet has for them. */
  columns: string[];
  files: { key: string; md5: string }[];
}

/** Throws `bad-manifest`. */
export function parseManifest(url: string, text: string): InventoryManifest {
  const manifest = objectIn(url, text);
  const { sourceBucket, destinationBucket, fileFormat, fileSchema, files } = manifest;
  if (fileFormat === 'ORC') {
    const hint = 'Have the inventory written as CSV or Parquet: `aws s3api put-bucket-inventory-configuration`.';
    throw badManifest(url, 'the inventory is in ORC, which is not read', hint);
  }
  if (fileFormat !== 'CSV' && fileFormat !== 'Parquet') throw lacks(url, 'a fileFormat, CSV or Parquet');
  if (typeof sourceBucket !== 'string') throw lacks(url, 'the sourceBucket');
  if (typeof destinationBucket !== 'string') throw lacks(url, 'the destinationBucket');
  if (typeof fileSchema !== 'string') throw lacks(url, 'the fileSchema');
  const columns = fileSchema.split(',').map((name) => columnOf(name.trim()));
  if (fileFormat === 'CSV' && !(columns.includes('bucket') && columns.includes('key'))) {
    throw lacks(url, 'Bucket and Key in its fileSchema');
  }
  if (!Array.isArray(files)) throw lacks(url, 'its files');
  return {
    url,
    bucket: sourceBucket,
    destination: destinationBucket.replace(/^arn:[^:]*:s3:::/, ''),
    format: fileFormat,
    columns,
    files: files.map((file) => {
      const { key, MD5checksum: md5 } = (file ?? {}) as Record<string, unknown>;
      if (typeof key !== 'string' || typeof md5 !== 'string') throw lacks(url, 'the key and MD5checksum of a file');
      return { key, md5 };
    }),
  };
}

function objectIn(url: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw badManifest(url, `it is no JSON: ${(error as Error).message}`, 'It may be damaged.', error);
  }
  throw lacks(url, 'an object');
}

function lacks(url: string, what: string): Error {
  const hint = 'It must be the manifest.json that S3 Inventory writes beside its data files.';
  return badManifest(url, `it lacks ${what}`, hint);
}
