/** Copies that S3 makes by itself, of an object onto its own name: no byte of it comes here. */
import { CopyObjectCommand, DeleteObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import { copySourceKeyFields, encryptionOf } from './encryption.ts';
import type { S3Calls } from './s3-calls.ts';
import type { S3Access } from './s3-client.ts';
import { conditionFields, decodeCrc32, fullObjectCrc32, headerFields, required } from './s3-fields.ts';
import type {
  CallOptions,
  Copies,
  CopySource,
  ObjectCopy,
  ObjectVersion,
  PartCopy,
  StoredPart,
  WriteAnswer,
} from './store.ts';

/**
 * A server may say nothing until it has copied all of up to 5 GiB, so that a copy's stall deadline is that of other calls
 * so many times over. Given up on, the server goes on with it all the same, and the next attempt makes it the slower.
 */
const PATIENCE = 10;

/** The access of a client of their own, which is given to `S3Copies`. */
export function patient({ settings, ...access }: S3Access): S3Access {
  return { ...access, settings: { ...settings, stallMs: settings.stallMs * PATIENCE } };
}

export class S3Copies implements Copies {
  readonly #calls: S3Calls;

  constructor(calls: S3Calls) {
    this.#calls = calls;
  }

  async copyObject(key: string, copy: ObjectCopy, options: CallOptions = {}): Promise<WriteAnswer> {
    const { source, headers, condition } = copy;
    const command = new CopyObjectCommand({
      ...this.#calls.encrypted(key),
      ...this.#source(key, source),
      ...headerFields(headers),
      ...conditionFields(condition),
      MetadataDirective: 'REPLACE',
      TaggingDirective: 'REPLACE',
      ChecksumAlgorithm: 'CRC32',
    });
    const answer = await this.#calls.send('CopyObject', key, { ...options, condition }, command);
    const { ETag, ...checksum } = answer.CopyObjectResult ?? {};
    return {
      etag: required(ETag, 'ETag'),
      versionId: answer.VersionId,
      crc32: fullObjectCrc32(checksum),
      sse: encryptionOf(answer),
    };
  }

  async copyPart(key: string, part: PartCopy, options: CallOptions = {}): Promise<StoredPart> {
    const { source, uploadId, number, first, last } = part;
    const command = new UploadPartCopyCommand({
      ...this.#calls.encrypted(key),
      ...this.#source(key, source),
      CopySourceRange: `bytes=${first}-${last}`,
      UploadId: uploadId,
      PartNumber: number,
    });
    const answer = await this.#calls.send('UploadPartCopy', key, options, command);
    const { ETag, ChecksumCRC32 } = answer.CopyPartResult ?? {};
    return { number, size: last - first + 1, etag: required(ETag, 'ETag'), crc32: decodeCrc32(ChecksumCRC32) };
  }

  async deleteVersion(key: string, { etag, versionId }: ObjectVersion, options: CallOptions = {}): Promise<void> {
    const condition = { ifMatch: etag };
    const which = versionId === undefined ? { IfMatch: etag } : { VersionId: versionId };
    const command = new DeleteObjectCommand({ ...this.#calls.object(key), ...which });
    await this.#calls.send('DeleteObject', key, { ...options, condition }, command);
  }

  #source(key: string, { etag, versionId, customerKey }: CopySource) {
    const { Bucket, ExpectedBucketOwner } = this.#calls.object(key);
    const path = key.split('/').map(encodeURIComponent).join('/');
    const version = versionId === undefined ? '' : `?versionId=${encodeURIComponent(versionId)}`;
    return {
      CopySource: `${Bucket}/${path}${version}`,
      CopySourceIfMatch: etag,
      ExpectedSourceBucketOwner: ExpectedBucketOwner,
      ...copySourceKeyFields(customerKey),
    };
  }
}
