/**
 * A bucket as a whole: what is set for it, each setting read and written in full and in S3's own shapes; and all uploads
 * in progress in it.
 */
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3';
import type { SealiftError } from '../errors.ts';
import { type BucketSettings, type SettingName, settingInput } from './bucket-settings.ts';
import { S3Calls } from './s3-calls.ts';
import type { S3Access } from './s3-client.ts';
import { decodeKey, required } from './s3-fields.ts';
import type { CallOptions } from './store.ts';

/** An upload in progress. */
export interface OpenUpload {
  key: string;
  uploadId: string;
  initiated: Date;
  /** A CRC32 of the whole object was asked for, as Sealift does. */
  hasFullCrc32: boolean;
}

/** How S3 says that a setting is not there. */
const ABSENT = [
  'NoSuchBucketPolicy',
  'ServerSideEncryptionConfigurationNotFoundError',
  'NoSuchLifecycleConfiguration',
  'OwnershipControlsNotFoundError',
  'NoSuchPublicAccessBlockConfiguration',
];

export class S3Bucket {
  readonly #calls: S3Calls;

  /** Throws `plain-http` or `bad-option`; opens no connection yet. */
  constructor(access: S3Access) {
    this.#calls = new S3Calls(access);
  }

  /** Throws `bucket-not-found`, and whatever would make every other call fail. */
  async check(options: CallOptions = {}): Promise<void> {
    await this.#calls.send('HeadBucket', '', options, new HeadBucketCommand(this.#names()));
  }

  /** Undefined where it was never set, or was taken away. */
  async read<Name extends SettingName>(
    name: Name,
    options: CallOptions = {},
  ): Promise<BucketSettings[Name] | undefined> {
    try {
      return (await this.#read(name, options)) as BucketSettings[Name] | undefined;
    } catch (error) {
      if (ABSENT.includes(((error as SealiftError).cause as Error | undefined)?.name ?? '')) return undefined;
      throw error;
    }
  }

  async #read(name: SettingName, options: CallOptions): Promise<BucketSettings[SettingName] | undefined> {
    const bucket = this.#names();
    switch (name) {
      case 'policy':
        return (await this.#calls.send('GetBucketPolicy', '', options, new GetBucketPolicyCommand(bucket))).Policy;
      case 'encryption': {
        const answer = await this.#calls.send(
          'GetBucketEncryption',
          '',
          options,
          new GetBucketEncryptionCommand(bucket),
        );
        return answer.ServerSideEncryptionConfiguration?.Rules?.[0];
      }
      case 'versioning': {
        const answer = await this.#calls.send(
          'GetBucketVersioning',
          '',
          options,
          new GetBucketVersioningCommand(bucket),
        );
        return answer.Status && { Status: answer.Status };
      }
      case 'lifecycle': {
        const command = new GetBucketLifecycleConfigurationCommand(bucket);
        const answer = await this.#calls.send('GetBucketLifecycleConfiguration', '', options, command);
        return { rules: answer.Rules ?? [], leastSize: answer.TransitionDefaultMinimumObjectSize };
      }
      case 'ownership': {
        const command = new GetBucketOwnershipControlsCommand(bucket);
        const answer = await this.#calls.send('GetBucketOwnershipControls', '', options, command);
        return answer.OwnershipControls?.Rules?.[0]?.ObjectOwnership;
      }
      case 'publicAccess': {
        const answer = await this.#calls.send(
          'GetPublicAccessBlock',
          '',
          options,
          new GetPublicAccessBlockCommand(bucket),
        );
        return answer.PublicAccessBlockConfiguration;
      }
    }
  }

  /** Takes the place of what was set. */
  async write<Name extends SettingName>(
    name: Name,
    value: BucketSettings[Name],
    options: CallOptions = {},
  ): Promise<void> {
    const input = <Own extends SettingName>(own: Own) => ({
      ...this.#names(),
      ...(settingInput[own](value as never) as ReturnType<(typeof settingInput)[Own]>),
    });
    switch (name) {
      case 'policy':
        await this.#calls.send('PutBucketPolicy', '', options, new PutBucketPolicyCommand(input('policy')));
        break;
      case 'encryption':
        await this.#calls.send('PutBucketEncryption', '', options, new PutBucketEncryptionCommand(input('encryption')));
        break;
      case 'versioning':
        await this.#calls.send('PutBucketVersioning', '', options, new PutBucketVersioningCommand(input('versioning')));
        break;
      case 'lifecycle': {
        const command = new PutBucketLifecycleConfigurationCommand(input('lifecycle'));
        await this.#calls.send('PutBucketLifecycleConfiguration', '', options, command);
        break;
      }
      case 'ownership': {
        const command = new PutBucketOwnershipControlsCommand(input('ownership'));
        await this.#calls.send('PutBucketOwnershipControls', '', options, command);
        break;
      }
      case 'publicAccess': {
        const command = new PutPublicAccessBlockCommand(input('publicAccess'));
        await this.#calls.send('PutPublicAccessBlock', '', options, command);
        break;
      }
    }
  }

  /** By key, fetched page by page as they are asked for. */
  async *uploads(options: CallOptions = {}): AsyncGenerator<OpenUpload, void> {
    let markers: { KeyMarker: string; UploadIdMarker: string } | undefined;
    do {
      const command = new ListMultipartUploadsCommand({ ...this.#names(), EncodingType: 'url', ...markers });
      const page = await this.#calls.send('ListMultipartUploads', '', options, command);
      for (const upload of page.Uploads ?? []) {
        yield {
          key: decodeKey(required(upload.Key, 'Key')),
          uploadId: required(upload.UploadId, 'UploadId'),
          initiated: required(upload.Initiated, 'Initiated'),
          hasFullCrc32: upload.ChecksumAlgorithm === 'CRC32' && upload.ChecksumType === 'FULL_OBJECT',
        };
      }
      markers = page.IsTruncated
        ? {
            KeyMarker: decodeKey(required(page.NextKeyMarker, 'NextKeyMarker')),
            UploadIdMarker: required(page.NextUploadIdMarker, 'NextUploadIdMarker'),
          }
        : undefined;
    } while (markers !== undefined);
  }

  close(): void {
    this.#calls.close();
  }

  #names(): { Bucket: string; ExpectedBucketOwner: string | undefined } {
    const { Bucket, ExpectedBucketOwner } = this.#calls.object('');
    return { Bucket, ExpectedBucketOwner };
  }
}
