/**
 * The calls that carry an object's bytes, of a bucket that is asked without the SDK (s3-direct.ts): all that a thread
 * needs of S3.
 */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import type { DirectEndpoint } from './aws-settings.ts';
import { customerKeyHeaders, requireHttps } from './encryption.ts';
import type { Answer } from './http1/connection.ts';
import { formatObjectUrl } from './object-url.ts';
import { refusePlainHttp } from './s3-agent.ts';
import type { S3Access } from './s3-client.ts';
import { DirectCalls, type DirectRequest } from './s3-direct.ts';
import { type CallContext, s3Error } from './s3-errors.ts';
import { encodeCrc32, metadataOf, required } from './s3-fields.ts';
import { putAnswer, putHeaders } from './s3-put.ts';
import { openS3Stream } from './s3-stream.ts';
import type {
  CallOptions,
  ObjectHeaders,
  ObjectStream,
  PartBody,
  PartStore,
  PartToSend,
  ReadOptions,
  WriteAnswer,
  WriteCondition,
} from './store.ts';

/** What all of a store's parts share, whatever the key. */
interface Shared {
  access: S3Access;
  endpoint: DirectEndpoint;
  calls: DirectCalls;
}

/** Undefined of a bucket that only the SDK can ask. Throws `plain-http`; opens no connection yet. */
export function openS3Parts(access: S3Access): S3Parts | undefined {
  const { direct: endpoint, allowHttp } = access.settings;
  if (!endpoint) return undefined;
  refusePlainHttp({ endpoint: endpoint.url, allowHttp });
  return new S3Parts({ access, endpoint, calls: new DirectCalls(access, endpoint) });
}

export class S3Parts implements PartStore {
  readonly #shared: Shared;
  readonly #customerKey: KeyObject | undefined;

  constructor(shared: Shared, customerKey?: KeyObject) {
    this.#shared = shared;
    this.#customerKey = customerKey;
  }

  withCustomerKey(key: KeyObject | undefined): S3Parts {
    requireHttps(key, this.#shared.endpoint.url);
    return new S3Parts(this.#shared, key);
  }

  async putObject(
    key: string,
    body: Uint8Array | PartBody,
    options: CallOptions & ObjectHeaders & { crc32: number; condition: WriteCondition },
  ): Promise<WriteAnswer> {
    const request = { call: 'PutObject', method: 'PUT', key, query: {}, headers: putHeaders(options), body } as const;
    return putAnswer((await this.#send(request, options)).headers);
  }

  async sendPart(key: string, part: PartToSend, options: CallOptions = {}): Promise<{ etag: string }> {
    const { uploadId, number, body, crc32 } = part;
    const { headers } = await this.#send(
      {
        call: 'UploadPart',
        method: 'PUT',
        key,
        query: { partNumber: String(number), uploadId },
        headers: { 'x-amz-checksum-crc32': encodeCrc32(crc32) },
        body,
      },
      options,
    );
    return { etag: required(headers.etag, 'ETag') };
  }

  async read(key: string, range: { first: number; last: number }, options: ReadOptions = {}): Promise<ObjectStream> {
    const { ifMatch, versionId } = options;
    const { headers, body } = await this.#send(
      {
        call: 'GetObject',
        method: 'GET',
        key,
        query: { versionId },
        headers: { range: `bytes=${range.first}-${range.last}`, 'if-match': ifMatch },
      },
      options,
    );
    const answer = {
      body,
      ContentRange: headers['content-range'],
      ContentLength: Number(headers['content-length']),
      ETag: headers.etag,
      VersionId: headers['x-amz-version-id'],
      Metadata: metadataOf(headers),
    };
    return openS3Stream(answer, { ...options, range, url: this.#url(key) });
  }

  /** Lets sockets go. */
  close(): void {
    this.#shared.calls.close();
  }

  async #send(
    request: DirectRequest,
    { signal, condition, versionId }: CallOptions & Pick<CallContext, 'condition' | 'versionId'>,
  ): Promise<Answer> {
    const { settings } = this.#shared.access;
    const owner = { 'x-amz-expected-bucket-owner': settings.expectedBucketOwner };
    const headers = { ...request.headers, ...owner, ...customerKeyHeaders(this.#customerKey) };
    const { call, key } = request;
    const url = this.#url(key);
    try {
      return await this.#shared.calls.send({ ...request, headers }, signal);
    } catch (thrown) {
      if (signal?.aborted) throw SealiftError.interrupted(signal, `${call} ${url}`);
      throw s3Error(thrown, { call, url, region: settings.region, condition, versionId });
    }
  }

  #url(key: string): string {
    return formatObjectUrl({ bucket: this.#shared.access.settings.bucket, key });
  }
}
