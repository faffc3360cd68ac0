/** The one way out to a bucket: whatever is asked of it is sent from here, and every error comes back as a SealiftError. */
import type { KeyObject } from 'node:crypto';
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';
import type { S3Settings } from './aws-settings.ts';
import { customerKeyFields, requireHttps } from './encryption.ts';
import { formatObjectUrl } from './object-url.ts';
import { createS3Client, type S3Access } from './s3-client.ts';
import { type CallContext, type S3Call, s3Error } from './s3-errors.ts';
import type { CallOptions } from './store.ts';

export class S3Calls {
  readonly #access: S3Access;
  readonly #settings: S3Settings;
  readonly #client: S3Client;
  /** With which S3 encrypts the objects that are asked about (SSE-C). */
  readonly customerKey: KeyObject | undefined;

  /** Throws `plain-http` or `bad-option`; opens no connection yet. */
  constructor(access: S3Access, client = createS3Client(access), customerKey?: KeyObject) {
    this.#access = access;
    this.#settings = access.settings;
    this.#client = client;
    this.customerKey = customerKey;
  }

  /** The same connections, for objects under this key (SSE-C). Throws `sse-c-needs-https`, whatever is allowed. */
  withCustomerKey(customerKey: KeyObject | undefined): S3Calls {
    const { endpoint } = this.#settings;
    if (endpoint !== undefined) requireHttps(customerKey, endpoint);
    return new S3Calls(this.#access, this.#client, customerKey);
  }

  url(key: string): string {
    return formatObjectUrl({ bucket: this.#settings.bucket, key });
  }

  /** What every call on an object names. */
  object(key: string): { Bucket: string; Key: string; ExpectedBucketOwner: string | undefined } {
    const { bucket, expectedBucketOwner } = this.#settings;
    return { Bucket: bucket, Key: key, ExpectedBucketOwner: expectedBucketOwner };
  }

  /** As `object`, of calls that S3 wants the customer's key with, where there is one. */
  encrypted(key: string) {
    return { ...this.object(key), ...customerKeyFields(this.customerKey) };
  }

  async send<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
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

  close(): void {
    this.#client.destroy();
  }
}
