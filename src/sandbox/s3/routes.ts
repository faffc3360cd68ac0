/** From a method, a path and a query to an operation. Names are those of the SDKs. */
import type { IncomingHttpHeaders } from 'node:http';
import { authorize } from './authorize.ts';
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
  putBucketVersioning,
} from './buckets.ts';
import type { Answer, Call, Operation, S3 } from './call.ts';
import { completeMultipartUpload } from './complete.ts';
import {
  deleteBucketEncryption,
  deleteSetting,
  getBucketEncryption,
  getBucketLifecycle,
  getOwnershipControls,
  getPublicAccessBlock,
  putBucketEncryption,
  putBucketLifecycle,
  putOwnershipControls,
  putPublicAccessBlock,
} from './configuration.ts';
import { copyObject, uploadPartCopy } from './copy.ts';
import { S3Error } from './errors.ts';
import { listObjects, listObjectsV2 } from './listing.ts';
import { getObjectAttributes } from './object-attributes.ts';
import { checkBucket, deleteObject, deleteObjects, getObject, headObject, putObject } from './objects.ts';
import { getBucketPolicy, putBucketPolicy } from './policies.ts';
import { restoreObject } from './restore.ts';
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './tagging.ts';
import { abortMultipartUpload, createMultipartUpload, listMultipartUploads, listParts, uploadPart } from './uploads.ts';
import { listObjectVersions } from './version-listing.ts';

interface Route {
  readonly on: 'service' | 'bucket' | 'object';
  readonly method: string;
  /** A query parameter that must be there, by itself or with a value: `uploads`, `list-type=2`. */
  readonly query?: string;
  /** A header that must be there. */
  readonly header?: string;
  readonly operation: string;
  readonly run: Operation;
}

/** The first that fits. */
const ROUTES: readonly Route[] = [
  { on: 'service', method: 'GET', operation: 'ListBuckets', run: listBuckets },

  { on: 'bucket', method: 'GET', query: 'location', operation: 'GetBucketLocation', run: getBucketLocation },
  { on: 'bucket', method: 'GET', query: 'uploads', operation: 'ListMultipartUploads', run: listMultipartUploads },
  { on: 'bucket', method: 'GET', query: 'list-type=2', operation: 'ListObjectsV2', run: listObjectsV2 },
  { on: 'bucket', method: 'GET', query: 'versions', operation: 'ListObjectVersions', run: listObjectVersions },
  { on: 'bucket', method: 'GET', query: 'versioning', operation: 'GetBucketVersioning', run: getBucketVersioning },
  { on: 'bucket', method: 'PUT', query: 'versioning', operation: 'PutBucketVersioning', run: putBucketVersioning },
  { on: 'bucket', method: 'GET', query: 'policy', operation: 'GetBucketPolicy', run: getBucketPolicy },
  { on: 'bucket', method: 'PUT', query: 'policy', operation: 'PutBucketPolicy', run: putBucketPolicy },
  { on: 'bucket', method: 'DELETE', query: 'policy', operation: 'DeleteBucketPolicy', run: deleteSetting('policy') },
  { on: 'bucket', method: 'GET', query: 'encryption', operation: 'GetBucketEncryption', run: getBucketEncryption },
  { on: 'bucket', method: 'PUT', query: 'encryption', operation: 'PutBucketEncryption', run: putBucketEncryption },
  {
    on: 'bucket',
    method: 'DELETE',
    query: 'encryption',
    operation: 'DeleteBucketEncryption',
    run: deleteBucketEncryption,
  },
  {
    on: 'bucket',
    method: 'GET',
    query: 'lifecycle',
    operation: 'GetBucketLifecycleConfiguration',
    run: getBucketLifecycle,
  },
  {
    on: 'bucket',
    method: 'PUT',
    query: 'lifecycle',
    operation: 'PutBucketLifecycleConfiguration',
    run: putBucketLifecycle,
  },
  {
    on: 'bucket',
    method: 'DELETE',
    query: 'lifecycle',
    operation: 'DeleteBucketLifecycle',
    run: deleteSetting('lifecycle'),
  },
  {
    on: 'bucket',
    method: 'GET',
    query: 'ownershipControls',
    operation: 'GetBucketOwnershipControls',
    run: getOwnershipControls,
  },
  {
    on: 'bucket',
    method: 'PUT',
    query: 'ownershipControls',
    operation: 'PutBucketOwnershipControls',
    run: putOwnershipControls,
  },
  {
    on: 'bucket',
    method: 'DELETE',
    query: 'ownershipControls',
    operation: 'DeleteBucketOwnershipControls',
    run: deleteSetting('ownershipControls'),
  },
  {
    on: 'bucket',
    method: 'GET',
    query: 'publicAccessBlock',
    operation: 'GetPublicAccessBlock',
    run: getPublicAccessBlock,
  },
  {
    on: 'bucket',
    method: 'PUT',
    query: 'publicAccessBlock',
    operation: 'PutPublicAccessBlock',
    run: putPublicAccessBlock,
  },
  {
    on: 'bucket',
    method: 'DELETE',
    query: 'publicAccessBlock',
    operation: 'DeletePublicAccessBlock',
    run: deleteSetting('publicAccessBlock'),
  },
  { on: 'bucket', method: 'GET', operation: 'ListObjects', run: listObjects },
  { on: 'bucket', method: 'HEAD', operation: 'HeadBucket', run: headBucket },
  { on: 'bucket', method: 'PUT', operation: 'CreateBucket', run: createBucket },
  { on: 'bucket', method: 'DELETE', operation: 'DeleteBucket', run: deleteBucket },
  { on: 'bucket', method: 'POST', query: 'delete', operation: 'DeleteObjects', run: deleteObjects },

  { on: 'object', method: 'GET', query: 'uploadId', operation: 'ListParts', run: listParts },
  { on: 'object', method: 'GET', query: 'tagging', operation: 'GetObjectTagging', run: getObjectTagging },
  { on: 'object', method: 'GET', query: 'attributes', operation: 'GetObjectAttributes', run: getObjectAttributes },
  { on: 'object', method: 'GET', operation: 'GetObject', run: getObject },
  { on: 'object', method: 'HEAD', operation: 'HeadObject', run: headObject },
  {
    on: 'object',
    method: 'PUT',
    query: 'partNumber',
    header: 'x-amz-copy-source',
    operation: 'UploadPartCopy',
    run: uploadPartCopy,
  },
  { on: 'object', method: 'PUT', query: 'partNumber', operation: 'UploadPart', run: uploadPart },
  { on: 'object', method: 'PUT', query: 'tagging', operation: 'PutObjectTagging', run: putObjectTagging },
  { on: 'object', method: 'PUT', header: 'x-amz-copy-source', operation: 'CopyObject', run: copyObject },
  { on: 'object', method: 'PUT', operation: 'PutObject', run: putObject },
  { on: 'object', method: 'POST', query: 'restore', operation: 'RestoreObject', run: restoreObject },
  { on: 'object', method: 'POST', query: 'uploads', operation: 'CreateMultipartUpload', run: createMultipartUpload },
  {
    on: 'object',
    method: 'POST',
    query: 'uploadId',
    operation: 'CompleteMultipartUpload',
    run: completeMultipartUpload,
  },
  { on: 'object', method: 'DELETE', query: 'uploadId', operation: 'AbortMultipartUpload', run: abortMultipartUpload },
  { on: 'object', method: 'DELETE', query: 'tagging', operation: 'DeleteObjectTagging', run: deleteObjectTagging },
  { on: 'object', method: 'DELETE', operation: 'DeleteObject', run: deleteObject },
];

/**
 * Parts of a bucket or object with operations of their own (API/API_Operations_Amazon_Simple_Storage_Service.html). A
 * request for one that has no route must not be taken for one about the bucket or object itself.
 */
const SUBRESOURCES = [
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'uploads',
  'versioning',
  'versions',
  'website',
];

/** Where a request goes: the name is known before anything is checked, so that faults and the log have it. */
export interface Destination {
  readonly operation: string;
  readonly run: Operation;
}

export function findRoute(request: {
  method: string;
  bucket: string;
  key: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}): Destination {
  const { method, query, headers } = request;
  const on = request.key !== '' ? 'object' : request.bucket !== '' ? 'bucket' : 'service';
  const route = ROUTES.find(
    (candidate) =>
      candidate.on === on &&
      candidate.method === method &&
      hasQuery(query, candidate.query) &&
      (candidate.header === undefined || headers[candidate.header] !== undefined),
  );
  const subresource = SUBRESOURCES.find((name) => query.has(name));
  const refusal = (code: 'NotImplemented' | 'MethodNotAllowed') => ({
    operation: subresource === undefined ? method : `${method}?${subresource}`,
    run: () => {
      throw new S3Error(code);
    },
  });
  if (subresource !== undefined && route?.query !== subresource) return refusal('NotImplemented');
  return route ?? refusal('MethodNotAllowed');
}

function hasQuery(query: URLSearchParams, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  const [name = '', value] = wanted.split('=');
  return value === undefined ? query.has(name) : query.get(name) === value;
}

/** userguide/object-keys.html: a key is at most 1,024 bytes of UTF-8. */
const KEY_LIMIT = 1024;

/** Checks what holds for all operations, and runs this one. */
export async function runOperation(destination: Destination, call: Call, s3: S3): Promise<Answer> {
  if (Buffer.byteLength(call.key) > KEY_LIMIT) throw new S3Error('KeyTooLongError');
  if (call.bucket !== '' && destination.operation !== 'CreateBucket') checkBucket(call, s3);
  // userguide/bucket-owner-condition.html: 403 where the bucket is another account's.
  const owner = call.headers['x-amz-expected-bucket-owner'];
  if (owner !== undefined && owner !== s3.accountId) throw new S3Error('AccessDenied');
  // DeleteObjects answers key by key.
  if (destination.operation !== 'DeleteObjects') authorize(call, s3);
  return destination.run(call, s3);
}
