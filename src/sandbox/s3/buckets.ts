/** Buckets: CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation. */
import type { Answer, Call, S3 } from './call.ts';
import { configureNewBucket } from './configuration.ts';
import { S3Error } from './errors.ts';
import { receiveXml } from './receive.ts';
import { NAMESPACE, writeXml } from './xml.ts';

/**
 * userguide/bucketnamingrules.html: 3 to 63 characters of a-z, 0-9, dots and hyphens, beginning and ending with a
 * letter or digit, without two dots in a row, and not an IP address.
 */
function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..') && !/^\d+\.\d+\.\d+\.\d+$/.test(name);
}

/** Also for the buckets a sandbox starts with. */
export function addBucket(name: string, s3: S3): void {
  if (!isBucketName(name)) throw new S3Error('InvalidBucketName', undefined, { fields: { BucketName: name } });
  if (s3.catalog.hasBucket(name)) return;
  s3.catalog.createBucket(name);
  configureNewBucket(name, s3);
}

export async function createBucket(call: Call, s3: S3): Promise<Answer> {
  // API_CreateBucket.html: without a body the bucket is for us-east-1, and so it must be where this endpoint is.
  const wanted = call.body.length ? await locationConstraint(call) : undefined;
  if ((wanted ?? 'us-east-1') !== s3.region) {
    throw new S3Error(
      'IllegalLocationConstraintException',
      `The ${wanted ?? 'unspecified'} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    );
  }
  // API_CreateBucket.html, BucketAlreadyOwnedByYou: us-east-1 alone answers 200 to the owner, for old times' sake.
  if (s3.catalog.hasBucket(call.bucket) && s3.region !== 'us-east-1') throw new S3Error('BucketAlreadyOwnedByYou');
  addBucket(call.bucket, s3);
  return { headers: { location: `/${call.bucket}` } };
}

async function locationConstraint(call: Call): Promise<string | undefined> {
  const configuration = await receiveXml(call, 'CreateBucketConfiguration', { digest: 'optional' });
  const constraint = configuration.LocationConstraint;
  return typeof constraint === 'string' && constraint !== '' ? constraint : undefined;
}

export function deleteBucket(call: Call, s3: S3): Answer {
  if (s3.catalog.hasObjects(call.bucket)) throw new S3Error('BucketNotEmpty');
  s3.storage.remove(s3.catalog.deleteBucket(call.bucket));
  return { status: 204 };
}

export async function putBucketVersioning(call: Call, s3: S3): Promise<Answer> {
  const { Status } = await receiveXml(call, 'VersioningConfiguration', { digest: 'optional' });
  if (Status !== 'Enabled' && Status !== 'Suspended') throw new S3Error('MalformedXML');
  s3.catalog.versions.setStatus(call.bucket, Status);
  return {};
}

export function getBucketVersioning(call: Call, s3: S3): Answer {
  const Status = s3.catalog.versions.statusOf(call.bucket);
  return { body: writeXml('VersioningConfiguration', { Status }, NAMESPACE) };
}

export function headBucket(_call: Call, s3: S3): Answer {
  return { headers: { 'x-amz-bucket-region': s3.region, 'x-amz-access-point-alias': 'false' } };
}

export function listBuckets(_call: Call, s3: S3): Answer {
  const buckets = s3.catalog.buckets().map(({ name, created }) => ({
    Name: name,
    CreationDate: new Date(created).toISOString(),
    BucketRegion: s3.region,
  }));
  const tree = { Owner: { ID: s3.accountId }, Buckets: { Bucket: buckets } };
  return { body: writeXml('ListAllMyBucketsResult', tree, NAMESPACE) };
}

export function getBucketLocation(_call: Call, s3: S3): Answer {
  // API_GetBucketLocation.html: "Buckets in Region us-east-1 have a LocationConstraint of null."
  const region = s3.region === 'us-east-1' ? '' : s3.region;
  return {
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="${NAMESPACE}">${region}</LocationConstraint>`,
  };
}
