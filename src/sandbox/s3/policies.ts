/** GetBucketPolicy, PutBucketPolicy: the one body that is JSON. */
import type { Answer, Call, S3 } from './call.ts';
import { blocksPublicPolicy } from './configuration.ts';
import { S3Error } from './errors.ts';
import { isPublic, type Policy, parsePolicy } from './policy.ts';
import { receiveText } from './receive.ts';

/** As it was put, and as it is understood. */
type KeptPolicy = Policy & { readonly text: string };

export function getBucketPolicy(call: Call, s3: S3): Answer {
  const policy = s3.catalog.settings.get<KeptPolicy>(call.bucket, 'policy');
  if (policy === undefined) throw new S3Error('NoSuchBucketPolicy', undefined, { fields: { BucketName: call.bucket } });
  return { headers: { 'content-type': 'application/json' }, body: policy.text };
}

export async function putBucketPolicy(call: Call, s3: S3): Promise<Answer> {
  const text = await receiveText(call, { digest: 'required' });
  const policy = parsePolicy(text, call.bucket);
  // API_PublicAccessBlockConfiguration.html, BlockPublicPolicy: "reject calls to PUT Bucket policy if the specified bucket
  // policy allows public access".
  if (isPublic(policy) && blocksPublicPolicy(call.bucket, s3)) {
    throw new S3Error('AccessDenied', 'The policy allows public access, which the BlockPublicPolicy setting prevents');
  }
  const kept: KeptPolicy = { ...policy, text };
  s3.catalog.settings.set(call.bucket, 'policy', kept);
  return { status: 204 };
}
