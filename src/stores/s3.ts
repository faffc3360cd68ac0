/**
 * A bucket of S3, or of a server that speaks S3, as a Store.
 *
 * Requests are tried again by the SDK (`maxAttempts` in the settings), so a write that rejects may have taken effect all
 * the same: only `head` knows. A retried CreateMultipartUpload may leave an upload behind that nobody heard of:
 * `listUploads` finds it.
 */
import type { IncomingMessage } from 'node:http';
import {
  type $Command,
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  type S3ClientResolvedConfig,
  type ServiceInputTypes,
  type ServiceOutputTypes,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type ErrorCode, SealiftError } from '../errors.ts';
import type { S3Settings } from './aws-settings.ts';
import { formatObjectUrl } from './object-url.ts';
import { createS3Client, type S3Access } from './s3-client.ts';
import { type CallContext, type S3Call, s3Error } from './s3-errors.ts';
import {
  conditionFields,
  decodeCrc32,
  encodeCrc32,
  fullObjectCrc32,
  headerFields,
  namedVersion,
  required,
} from './s3-fields.ts';
import { readListing, readUploads } from './s3-listing.ts';
import { openS3Stream } from './s3-stream.ts';
import type {
  CallOptions,
  CompletedUpload,
  ObjectHeaders,
  ObjectInfo,
  ObjectStream,
  PartBody,
  PartToSend,
  Store,
  StoredPart,
  WriteAnswer,
  WriteCondition,
} from './store.ts';

export class S3Store implements Store {
  readonly #settings: S3Settings;
  readonly #client: S3Client;
  /** A missing bucket and a missing object look alike to HEAD; once the bucket was seen there is no doubt. */
  #bucketSeen = false;

  /** Throws `plain-http` or `bad-option`; opens no connection yet. */
  constructor(access: S3Access) {
    this.#settings = access.settings;
    this.#client = createS3Client(access);
  }

  url(key: string): string {
    return formatObjectUrl({ bucket: this.#settings.bucket, key });
  }

  async head(
    key: string,
    options: CallOptions & { versionId?: string | undefined } = {},
  ): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand({
      ...this.#object(key),
      VersionId: options.versionId,
      ChecksumMode: 'ENABLED',
    });
    try {
      const answer = await this.#send('HeadObject', key, options, command);
      this.#bucketSeen = true;
      return {
        size: answer.ContentLength ?? 0,
        etag: answer.ETag ?? '',
        versionId: answer.VersionId,
        metadata: answer.Metadata ?? {},
        crc32: fullObjectCrc32(answer),
        contentType: answer.ContentType,
        storageClass: answer.StorageClass,
        lastModified: answer.LastModified,
      };
    } catch (error) {
      if (!hasCode(error, 'object-not-found')) throw await this.#explain(error, key, options);
      await this.#requireBucket(options);
      return undefined;
    }
  }

  async putObject(
    key: string,
    body: Uint8Array | PartBody,
    options: CallOptions & ObjectHeaders & { crc32: number; condition: WriteCondition },
  ): Promise<WriteAnswer> {
    const command = new PutObjectCommand({
      ...this.#object(key),
      ...headerFields(options),
      ...conditionFields(options.condition),
      Body: asBody(body),
      ChecksumCRC32: encodeCrc32(options.crc32),
    });
    const answer = await this.#send('PutObject', key, options, command);
    return {
      etag: required(answer.ETag, 'ETag'),
      versionId: namedVersion(answer.VersionId),
      crc32: fullObjectCrc32(answer),
    };
  }

  async createUpload(
    key: string,
    options: CallOptions & ObjectHeaders & { onAskedAgain?: (() => void) | undefined },
  ): Promise<string> {
    const command = new CreateMultipartUploadCommand({
      ...this.#object(key),
      ...headerFields(options),
      ChecksumAlgorithm: 'CRC32',
      ChecksumType: 'FULL_OBJECT',
    });
    const answer = await this.#send('CreateMultipartUpload', key, options, command);
    if ((answer.$metadata.attempts ?? 1) > 1) options.onAskedAgain?.();
    return required(answer.UploadId, 'UploadId');
  }

  async sendPart(key: string, part: PartToSend, options: CallOptions = {}): Promise<{ etag: string }> {
    const command = new UploadPartCommand({
      ...this.#object(key),
      UploadId: part.uploadId,
      PartNumber: part.number,
      Body: asBody(part.body),
      ChecksumCRC32: encodeCrc32(part.crc32),
    });
    const answer = await this.#send('UploadPart', key, options, command);
    return { etag: required(answer.ETag, 'ETag') };
  }

  async *listParts(key: string, uploadId: string, options: CallOptions = {}): AsyncIterable<StoredPart> {
    let marker: string | undefined;
    do {
      const command = new ListPartsCommand({ ...this.#object(key), UploadId: uploadId, PartNumberMarker: marker });
      const page = await this.#send('ListParts', key, options, command);
      for (const part of page.Parts ?? []) {
        yield {
          number: required(part.PartNumber, 'PartNumber'),
          size: required(part.Size, 'Size'),
          etag: required(part.ETag, 'ETag'),
          crc32: decodeCrc32(part.ChecksumCRC32),
        };
      }
      marker = page.IsTruncated ? required(page.NextPartNumberMarker, 'NextPartNumberMarker') : undefined;
    } while (marker !== undefined);
  }

  listUploads(key: string, options: CallOptions = {}): AsyncIterable<{ uploadId: string; initiated: Date }> {
    const { Bucket, ExpectedBucketOwner } = this.#object('');
    return readUploads(key, (page) => {
      const command = new ListMultipartUploadsCommand({ Bucket, ExpectedBucketOwner, ...page });
      return this.#send('ListMultipartUploads', key, options, command);
    });
  }

  async completeUpload(key: string, upload: CompletedUpload, options: CallOptions = {}): Promise<WriteAnswer> {
    const parts = upload.parts.map(({ number, etag, crc32 }) => {
      return { PartNumber: number, ETag: etag, ChecksumCRC32: encodeCrc32(crc32) };
    });
    const command = new CompleteMultipartUploadCommand({
      ...this.#object(key),
      ...conditionFields(upload.condition),
      UploadId: upload.uploadId,
      MultipartUpload: { Parts: parts },
      ChecksumType: 'FULL_OBJECT',
      ChecksumCRC32: encodeCrc32(upload.crc32),
      MpuObjectSize: upload.size,
    });
    const call = { ...options, condition: upload.condition };
    const answer = await this.#send('CompleteMultipartUpload', key, call, command);
    return {
      etag: required(answer.ETag, 'ETag'),
      versionId: namedVersion(answer.VersionId),
      crc32: fullObjectCrc32(answer),
    };
  }

  async abortUpload(key: string, uploadId: string, options: CallOptions = {}): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#object(key), UploadId: uploadId });
    try {
      await this.#send('AbortMultipartUpload', key, options, command);
    } catch (error) {
      if (!hasCode(error, 'upload-lost')) throw error;
    }
  }

  async read(
    key: string,
    range: { first: number; last: number },
    options: CallOptions & { ifMatch?: string | undefined; versionId?: string | undefined } = {},
  ): Promise<ObjectStream> {
    const command = new GetObjectCommand({
      ...this.#object(key),
      Range: `bytes=${range.first}-${range.last}`,
      IfMatch: options.ifMatch,
      VersionId: options.versionId,
    });
    const answer = await this.#send('GetObject', key, options, command);
    return openS3Stream(answer, { ...options, range, url: this.url(key) });
  }

  list(prefix: string, options: CallOptions & { recursive?: boolean | undefined } = {}) {
    const { Bucket, ExpectedBucketOwner } = this.#object('');
    return readListing({ prefix, recursive: options.recursive }, (page) => {
      const command = new ListObjectsV2Command({ Bucket, ExpectedBucketOwner, ...page });
      return this.#send('ListObjectsV2', prefix, options, command);
    });
  }

  close(): void {
    this.#client.destroy();
  }

  #object(key: string): { Bucket: string; Key: string; ExpectedBucketOwner: string | undefined } {
    const { bucket, expectedBucketOwner } = this.#settings;
    return { Bucket: bucket, Key: key, ExpectedBucketOwner: expectedBucketOwner };
  }

  /** A refused HEAD has no body that says why. A GET is refused for the same reason, and has one. */
  async #explain(
    refusal: unknown,
    key: string,
    options: CallOptions & { versionId?: string | undefined },
  ): Promise<unknown> {
    if (!hasCode(refusal, 'access-denied') && !hasCode(refusal, 'store-error')) return refusal;
    try {
      const answer = await this.#send(
        'HeadObject',
        key,
        options,
        new GetObjectCommand({ ...this.#object(key), VersionId: options.versionId }),
      );
      (answer.Body as IncomingMessage | undefined)?.destroy();
      return refusal;
    } catch (explained) {
      return hasCode(explained, 'object-not-found') ? refusal : explained;
    }
  }

  /** Throws `bucket-not-found`. A bucket we may not look at is there. */
  async #requireBucket(options: CallOptions): Promise<void> {
    if (this.#bucketSeen) return;
    const { Bucket, ExpectedBucketOwner } = this.#object('');
    const command = new HeadBucketCommand({ Bucket, ExpectedBucketOwner });
    try {
      await this.#send('HeadBucket', '', options, command);
    } catch (error) {
      if (!hasCode(error, 'access-denied')) throw error;
    }
    this.#bucketSeen = true;
  }

  /** The one way out: every error leaves here as a SealiftError. */
  async #send<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    call: S3Call,
    key: string,
    { signal, condition, versionId }: CallOptions & Pick<CallContext, 'condition' | 'versionId'>,
    command: $Command<Input, Output, S3ClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes>,
  ): Promise<Output> {
    const url = this.url(key);
    try {
      return await this.#client.send(command, signal ? { abortSignal: signal } : {});
    } catch (thrown) {
      if (signal?.aborted) throw SealiftError.interrupted(signal, `${call} ${url}`);
      throw s3Error(thrown, { call, url, region: this.#settings.region, condition, versionId });
    }
  }
}

/** The SDK passes a body it does not know on as it is; the client's own middleware sends it. */
function asBody(body: Uint8Array | PartBody): Uint8Array {
  return body as Uint8Array;
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof SealiftError && error.code === code;
}
