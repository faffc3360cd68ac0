/**
 * A bucket of S3, or of a server that speaks S3, as a Store.
 *
 * Requests are tried again by the SDK (`maxAttempts` in the settings), so a write that rejects may have taken effect all
 * the same: only `head` knows. A retried CreateMultipartUpload may leave an upload behind that nobody heard of:
 * `listUploads` finds it.
 */
import type { KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
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
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { isDenied } from '../errors.ts';
import { checkEncrypted, encryptionOf } from './encryption.ts';
import { S3Calls } from './s3-calls.ts';
import type { S3Access } from './s3-client.ts';
import { patient, S3Copies } from './s3-copies.ts';
import { conditionFields, decodeCrc32, encodeCrc32, fullObjectCrc32, headerFields, required } from './s3-fields.ts';
import { readKept } from './s3-kept.ts';
import { readListing, readUploads } from './s3-listing.ts';
import { openS3Parts, type S3Parts } from './s3-parts.ts';
import { writeAnswer } from './s3-put.ts';
import { explainRefusal, hasCode } from './s3-refusals.ts';
import { bodyOf, openS3Stream } from './s3-stream.ts';
import type {
  CallOptions,
  CompletedUpload,
  Copies,
  KeptHeaders,
  ListingOptions,
  ObjectHeaders,
  ObjectInfo,
  ObjectStream,
  PartBody,
  PartToSend,
  ReadOptions,
  Store,
  StoredPart,
  WriteAnswer,
  WriteCondition,
} from './store.ts';

/** What a store asks with: `parts` where bytes need not go through the SDK. */
interface Connected {
  root?: S3Store;
  calls: S3Calls;
  parts: S3Parts | undefined;
}

function connect(access: S3Access): Connected {
  return { calls: new S3Calls(access), parts: openS3Parts(access) };
}

export class S3Store implements Store {
  readonly #access: S3Access;
  readonly #calls: S3Calls;
  readonly #parts: S3Parts | undefined;
  /** The store whose connections these are: this one, or the one that it was made from for a key. */
  readonly #root: S3Store;
  #copyCalls: S3Calls | undefined;
  /** A missing bucket and a missing object look alike to HEAD; once the bucket was seen there is no doubt. */
  #bucketSeen = false;

  /** Throws `plain-http` or `bad-option`; opens no connection yet. */
  constructor(access: S3Access, { root, calls, parts }: Connected = connect(access)) {
    this.#access = access;
    this.#root = root ?? this;
    this.#calls = calls;
    this.#parts = parts;
  }

  withCustomerKey(key: KeyObject | undefined): S3Store {
    if (key === this.#calls.customerKey) return this;
    const calls = this.#calls.withCustomerKey(key);
    return new S3Store(this.#access, { root: this.#root, calls, parts: this.#parts?.withCustomerKey(key) });
  }

  /** With a client of their own, which few jobs need. */
  get copies(): Copies {
    this.#root.#copyCalls ??= new S3Calls(patient(this.#access));
    return new S3Copies(this.#root.#copyCalls.withCustomerKey(this.#calls.customerKey));
  }

  url(key: string): string {
    return this.#calls.url(key);
  }

  async head(
    key: string,
    options: CallOptions & { versionId?: string | undefined } = {},
  ): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand({
      ...this.#calls.encrypted(key),
      VersionId: options.versionId,
      ChecksumMode: 'ENABLED',
    });
    try {
      const answer = await this.#calls.send('HeadObject', key, options, command);
      this.#root.#bucketSeen = true;
      return {
        size: answer.ContentLength ?? 0,
        etag: answer.ETag ?? '',
        versionId: answer.VersionId,
        metadata: answer.Metadata ?? {},
        crc32: fullObjectCrc32(answer),
        contentType: answer.ContentType,
        storageClass: answer.StorageClass,
        lastModified: answer.LastModified,
        sse: encryptionOf(answer),
      };
    } catch (error) {
      if (!hasCode(error, 'object-not-found'))
        throw await explainRefusal(this.#calls, key, { ...options, refusal: error });
      await this.#requireBucket(options);
      return undefined;
    }
  }

  headers(key: string, options: CallOptions & { versionId?: string | undefined } = {}): Promise<KeptHeaders> {
    return readKept(this.#calls, key, options);
  }

  async putObject(
    key: string,
    body: Uint8Array | PartBody,
    options: CallOptions & ObjectHeaders & { crc32: number; condition: WriteCondition },
  ): Promise<WriteAnswer> {
    if (this.#parts) return this.#parts.putObject(key, body, options);
    const command = new PutObjectCommand({
      ...this.#calls.encrypted(key),
      ...headerFields(options),
      ...conditionFields(options.condition),
      Body: asBody(body),
      ChecksumCRC32: encodeCrc32(options.crc32),
    });
    return writeAnswer(await this.#calls.send('PutObject', key, options, command));
  }

  async createUpload(
    key: string,
    options: CallOptions & ObjectHeaders & { onAskedAgain?: (() => void) | undefined },
  ): Promise<string> {
    const command = new CreateMultipartUploadCommand({
      ...this.#calls.encrypted(key),
      ...headerFields(options),
      ChecksumAlgorithm: 'CRC32',
      ChecksumType: 'FULL_OBJECT',
    });
    const answer = await this.#calls.send('CreateMultipartUpload', key, options, command);
    if ((answer.$metadata.attempts ?? 1) > 1) options.onAskedAgain?.();
    const uploadId = required(answer.UploadId, 'UploadId');
    try {
      // Said before a byte is sent: an upload may take days.
      checkEncrypted(this.url(key), { asked: options.sse, told: encryptionOf(answer) });
    } catch (error) {
      await this.abortUpload(key, uploadId);
      throw error;
    }
    return uploadId;
  }

  async sendPart(key: string, part: PartToSend, options: CallOptions = {}): Promise<{ etag: string }> {
    if (this.#parts) return this.#parts.sendPart(key, part, options);
    const command = new UploadPartCommand({
      ...this.#calls.encrypted(key),
      UploadId: part.uploadId,
      PartNumber: part.number,
      Body: asBody(part.body),
      ChecksumCRC32: encodeCrc32(part.crc32),
    });
    const answer = await this.#calls.send('UploadPart', key, options, command);
    return { etag: required(answer.ETag, 'ETag') };
  }

  async *listParts(key: string, uploadId: string, options: CallOptions = {}): AsyncIterable<StoredPart> {
    let marker: string | undefined;
    do {
      const command = new ListPartsCommand({
        ...this.#calls.encrypted(key),
        UploadId: uploadId,
        PartNumberMarker: marker,
      });
      const page = await this.#calls.send('ListParts', key, options, command);
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
    const { Bucket, ExpectedBucketOwner } = this.#calls.object('');
    return readUploads(key, (page) => {
      const command = new ListMultipartUploadsCommand({ Bucket, ExpectedBucketOwner, ...page });
      return this.#calls.send('ListMultipartUploads', key, options, command);
    });
  }

  async completeUpload(key: string, upload: CompletedUpload, options: CallOptions = {}): Promise<WriteAnswer> {
    const parts = upload.parts.map(({ number, etag, crc32 }) => {
      return { PartNumber: number, ETag: etag, ChecksumCRC32: encodeCrc32(crc32) };
    });
    const command = new CompleteMultipartUploadCommand({
      ...this.#calls.encrypted(key),
      ...conditionFields(upload.condition),
      UploadId: upload.uploadId,
      MultipartUpload: { Parts: parts },
      ChecksumType: 'FULL_OBJECT',
      ChecksumCRC32: encodeCrc32(upload.crc32),
      MpuObjectSize: upload.size,
    });
    const call = { ...options, condition: upload.condition };
    return writeAnswer(await this.#calls.send('CompleteMultipartUpload', key, call, command));
  }

  async abortUpload(key: string, uploadId: string, options: CallOptions = {}): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#calls.object(key), UploadId: uploadId });
    try {
      await this.#calls.send('AbortMultipartUpload', key, options, command);
    } catch (error) {
      if (!hasCode(error, 'upload-lost')) throw error;
    }
  }

  async read(key: string, range: { first: number; last: number }, options: ReadOptions = {}): Promise<ObjectStream> {
    if (this.#parts) return this.#parts.read(key, range, options);
    const command = new GetObjectCommand({
      ...this.#calls.encrypted(key),
      Range: `bytes=${range.first}-${range.last}`,
      IfMatch: options.ifMatch,
      VersionId: options.versionId,
    });
    const answer = await this.#calls.send('GetObject', key, options, command);
    const body = bodyOf(answer.Body as IncomingMessage);
    return openS3Stream({ ...answer, body }, { ...options, range, url: this.url(key) });
  }

  list(prefix: string, options: ListingOptions = {}) {
    const { Bucket, ExpectedBucketOwner } = this.#calls.object('');
    return readListing(prefix, options, (page) => {
      const command = new ListObjectsV2Command({ Bucket, ExpectedBucketOwner, ...page });
      return this.#calls.send('ListObjectsV2', prefix, options, command);
    });
  }

  close(): void {
    this.#calls.close();
    this.#parts?.close();
    this.#copyCalls?.close();
  }

  /** Throws `bucket-not-found`. A bucket we may not look at is there. */
  async #requireBucket(options: CallOptions): Promise<void> {
    if (this.#root.#bucketSeen) return;
    const { Bucket, ExpectedBucketOwner } = this.#calls.object('');
    const command = new HeadBucketCommand({ Bucket, ExpectedBucketOwner });
    try {
      await this.#calls.send('HeadBucket', '', options, command);
    } catch (error) {
      if (!isDenied(error)) throw error;
    }
    this.#root.#bucketSeen = true;
  }
}

/** The SDK passes a body it does not know on as it is; the client's own middleware sends it. */
function asBody(body: Uint8Array | PartBody): Uint8Array {
  return body as Uint8Array;
}
