/** One request as S3 means it, and one answer. Between these two the operations know nothing of HTTP. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Body } from '../body.ts';
import type { Catalog, StoredObject } from './catalog.ts';
import { S3Error } from './errors.ts';
import type { KmsUse } from './kms-use.ts';
import type { Storage } from './storage.ts';

export interface Call {
  readonly operation: string;
  /** Empty for calls about no bucket. */
  readonly bucket: string;
  /** Decoded, taken literally: `..`, `//` and spaces are characters like others. Empty for calls about no object. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Came over TLS. */
  readonly secure: boolean;
  /** `1.2`, `1.3`; undefined without TLS. */
  readonly tlsVersion: string | undefined;
  /** Scheme and host as the client wrote them. */
  readonly origin: string;
  readonly body: Body;
  /** Those that S3 has made of KMS for it. */
  kmsCalls: number;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | number | undefined>>;
  /** Text is XML. */
  readonly body?: string | Readable;
}

export type Operation = (call: Call, s3: S3) => Answer | Promise<Answer>;

/** All there is behind the operations. */
export interface S3 {
  readonly kms: KmsUse;
  readonly catalog: Catalog;
  readonly storage: Storage;
  readonly region: string;
  readonly accountId: string;
  readonly minPartSize: number;
  /** All parts but the last must have one size. */
  readonly equalParts: boolean;
}

/** The object a call is about, or the version of it (userguide/DeleteMarker.html: a marker is 405, behind one is 404). */
export function findObject({ bucket, key, query }: Call, { catalog }: S3): StoredObject {
  const versionId = query.get('versionId');
  const marker = { headers: { 'x-amz-delete-marker': 'true' } };
  if (versionId === null) {
    const object = catalog.object(bucket, key);
    if (object) return object;
    throw new S3Error('NoSuchKey', undefined, {
      fields: { Key: key },
      ...(catalog.versions.isMarked(bucket, key) ? marker : {}),
    });
  }
  const version = catalog.versions.find(bucket, key, versionId);
  if (version === undefined) {
    throw new S3Error('NoSuchVersion', undefined, { fields: { Key: key, VersionId: versionId } });
  }
  if (version === 'deleted') throw new S3Error('MethodNotAllowed', undefined, marker);
  return version;
}

/** Of an object that was just written, or is being read. */
export function versionHeader(object: StoredObject | undefined): Record<string, string | undefined> {
  return { 'x-amz-version-id': object?.versionId };
}

export function quoted(etag: string): string {
  return `"${etag}"`;
}

export function unquoted(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1');
}

/** An integer of a query or header within bounds; `absent` where there is none. */
export function integerOf(
  text: string | null | undefined,
  options: { name: string; min: number; max: number; absent: number },
): number {
  if (text === null || text === undefined || text === '') return options.absent;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= options.min && value <= options.max)) {
    throw new S3Error(
      'InvalidArgument',
      `${options.name} must be an integer between ${options.min} and ${options.max}, inclusive`,
      { fields: { ArgumentName: options.name, ArgumentValue: text } },
    );
  }
  return value;
}
