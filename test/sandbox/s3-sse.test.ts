import { randomBytes } from 'node:crypto';
import { CreateKeyCommand, DisableKeyCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
  type UploadPartCommandInput,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BUCKET, kmsClientOf, openSandbox, outcome, type TestSandbox, until } from './s3-client.ts';

let plain: TestSandbox;
let secure: TestSandbox;
beforeAll(async () => {
  plain = await openSandbox();
  secure = await openSandbox({ https: true });
  await blockSseC(secure.s3, false);
});
afterAll(async () => {
  await plain.close();
  await secure.close();
});

/** New buckets block it. */
const blockSseC = (s3: S3Client, isBlocked: boolean) =>
  s3.send(
    new PutBucketEncryptionCommand({
      Bucket: BUCKET,
      ServerSideEncryptionConfiguration: {
        Rules: [{ BlockedEncryptionTypes: { EncryptionType: [isBlocked ? 'SSE-C' : 'NONE'] } }],
      },
    }),
  );

const put = (s3: S3Client, Key: string, more: Partial<PutObjectCommandInput> = {}) =>
  s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'x', ...more }));
const head = (s3: S3Client, Key: string, more = {}) => s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key, ...more }));
const get = (s3: S3Client, Key: string, more = {}) => s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, ...more }));

const customerKey = (key = randomBytes(32)) =>
  ({ SSECustomerAlgorithm: 'AES256', SSECustomerKey: key as unknown as string }) as const;

it('encrypts everything with SSE-S3 at least', async () => {
  expect((await put(plain.s3, 'default')).ServerSideEncryption).toBe('AES256');
  expect((await head(plain.s3, 'default')).ServerSideEncryption).toBe('AES256');
});

it('remembers SSE-KMS, all but the context', async () => {
  const SSEKMSEncryptionContext = Buffer.from('{"a":"b"}').toString('base64');
  const kms = { ServerSideEncryption: 'aws:kms', BucketKeyEnabled: true } as const;
  const arn = secure.sandbox.kmsKeyId;
  for (const SSEKMSKeyId of ['alias/sandbox', arn.split('/')[1]!, arn]) {
    const { ETag } = await put(secure.s3, 'kms', { ...kms, SSEKMSKeyId, SSEKMSEncryptionContext });
    expect(await head(secure.s3, 'kms')).toMatchObject({ ...kms, SSEKMSKeyId: arn });
    // The MD5 of 'x': the ETag of such an object is not one.
    expect(ETag).not.toBe('"9dd4e461268c8034f5c8564e155c67a6"');
  }
  await put(secure.s3, 'dsse', { ServerSideEncryption: 'aws:kms:dsse' });
  const dsse = await head(secure.s3, 'dsse');
  expect(dsse.ServerSideEncryption).toBe('aws:kms:dsse');
  // A key of S3's own, the same for all objects.
  expect(dsse.SSEKMSKeyId).toMatch(/^arn:aws:kms:us-east-1:000000000000:key\//);
  expect((await put(secure.s3, 'dsse', { ServerSideEncryption: 'aws:kms' })).SSEKMSKeyId).toBe(dsse.SSEKMSKeyId);
});

it('asks KMS once a request, or once for a key of the bucket', async () => {
  const kms = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'alias/sandbox' } as const;
  const Bucket = 'counted';
  await secure.s3.send(new CreateBucketCommand({ Bucket }));
  const counts = async (BucketKeyEnabled: boolean) => {
    const from = secure.records.length;
    for (const Key of ['one', 'two']) await put(secure.s3, Key, { ...kms, Bucket, BucketKeyEnabled });
    await head(secure.s3, 'one', { Bucket });
    await head(secure.s3, 'one', { Bucket, ChecksumMode: 'ENABLED' });
    await (await get(secure.s3, 'one', { Bucket })).Body!.transformToByteArray();
    await until(() => secure.records.length === from + 5);
    return secure.records.slice(from).map(({ operation, kmsCalls }) => `${operation} ${kmsCalls}`);
  };
  expect(await counts(false)).toEqual(['PutObject 1', 'PutObject 1', 'HeadObject 0', 'HeadObject 1', 'GetObject 1']);
  expect(await counts(true)).toEqual(['PutObject 1', 'PutObject 0', 'HeadObject 0', 'HeadObject 0', 'GetObject 0']);
});

it('takes what is of KMS over TLS alone', async () => {
  expect(await outcome(put(plain.s3, 'kms', { ServerSideEncryption: 'aws:kms' }))).toBe('InvalidArgument 400');
});

it('refuses a key that KMS does not know, or that is not to be used; also to read', async () => {
  const kms = kmsClientOf(secure.sandbox);
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata!.KeyId!;
  const putUnder = (SSEKMSKeyId: string) =>
    outcome(put(secure.s3, 'under', { ServerSideEncryption: 'aws:kms', SSEKMSKeyId }));
  expect(await putUnder('alias/none')).toBe('KMS.NotFoundException 400');
  expect(await putUnder(KeyId.replace(/.{4}$/, '0000'))).toBe('KMS.NotFoundException 400');
  expect(await putUnder(KeyId)).toBe('ok');
  await kms.send(new DisableKeyCommand({ KeyId }));
  expect(await putUnder(KeyId)).toBe('KMS.DisabledException 400');
  expect(await outcome(get(secure.s3, 'under'))).toBe('KMS.DisabledException 400');
  expect(await outcome(head(secure.s3, 'under'))).toBe('ok');
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId }));
  expect(await putUnder(KeyId)).toBe('KMS.KMSInvalidStateException 400');
  secure.sandbox.kms.denied.add(secure.sandbox.kmsKeyId);
  expect(await putUnder(secure.sandbox.kmsKeyId)).toBe('AccessDenied 403');
  secure.sandbox.kms.denied.clear();
  kms.destroy();
});

it('is throttled by the quota of KMS, which is one for all', async () => {
  const few = await openSandbox({ https: true, kmsQuota: 0 });
  expect(await outcome(put(few.s3, 'k', { ServerSideEncryption: 'aws:kms' }))).toBe('SlowDown 503');
  expect(await outcome(put(few.s3, 'k'))).toBe('ok');
  await few.close();
});

it('refuses parameters that do not go together', async () => {
  const refusal = (more: Partial<PutObjectCommandInput>) => outcome(put(secure.s3, 'no', more));
  expect(await refusal({ SSEKMSKeyId: 'abc' })).toBe('InvalidArgument 400');
  expect(await refusal({ ServerSideEncryption: 'AES256', SSEKMSKeyId: 'abc' })).toBe('InvalidArgument 400');
  expect(await refusal({ ServerSideEncryption: 'ROT13' as 'AES256' })).toBe('InvalidArgument 400');
  const kms = { ServerSideEncryption: 'aws:kms' } as const;
  expect(await refusal({ ...kms, SSEKMSEncryptionContext: 'not json' })).toBe('InvalidArgument 400');
  expect(await refusal({ ServerSideEncryption: 'aws:kms:dsse', BucketKeyEnabled: true })).toBe('InvalidArgument 400');
  expect(await refusal({ ...kms, ...customerKey() })).toBe('InvalidArgument 400');
  expect(await refusal({ SSECustomerAlgorithm: 'AES256' })).toBe('InvalidArgument 400');
  expect(await refusal(customerKey(randomBytes(16)))).toBe('InvalidArgument 400');
  expect(await refusal({ ...customerKey(), SSECustomerAlgorithm: 'DES' })).toBe('InvalidEncryptionAlgorithmError 400');
});

it('takes SSE-C over TLS alone, and the same key again to read', async () => {
  const key = customerKey();
  expect(await outcome(put(plain.s3, 'c', key))).toBe('InvalidRequest 400');
  const { SSECustomerAlgorithm, ServerSideEncryption } = await put(secure.s3, 'c', key);
  expect([SSECustomerAlgorithm, ServerSideEncryption]).toEqual(['AES256', undefined]);
  expect(await outcome(get(secure.s3, 'c', key))).toBe('ok');
  expect(await outcome(get(secure.s3, 'c'))).toBe('InvalidRequest 400');
  expect(await outcome(get(secure.s3, 'c', customerKey()))).toBe('AccessDenied 403');
  expect(await outcome(head(secure.s3, 'c'))).toMatch(/400$/);
  await put(secure.s3, 'open');
  expect(await outcome(get(secure.s3, 'open', key))).toBe('InvalidRequest 400');
});

it('takes no SSE-C where the bucket blocks it, and reads what is there', async () => {
  const key = customerKey();
  await put(secure.s3, 'before', key);
  await blockSseC(secure.s3, true);
  expect(await outcome(put(secure.s3, 'after', key))).toBe('AccessDenied 403');
  expect(await outcome(get(secure.s3, 'before', key))).toBe('ok');
  await blockSseC(secure.s3, false);
});

it('encrypts as the bucket does by default, unless the request says otherwise', async () => {
  const Bucket = 'default-encryption';
  const arn = secure.sandbox.kmsKeyId;
  await secure.s3.send(new CreateBucketCommand({ Bucket }));
  const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: arn } } as const;
  const Rules = [{ ...rule, BucketKeyEnabled: true }];
  await secure.s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: { Rules } }));
  const asked = async (more: Partial<PutObjectCommandInput>) => {
    const answer = await secure.s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...more }));
    return [answer.ServerSideEncryption, answer.SSEKMSKeyId === arn, answer.BucketKeyEnabled];
  };
  expect(await asked({})).toEqual(['aws:kms', true, true]);
  expect(await asked({ BucketKeyEnabled: false })).toEqual(['aws:kms', true, undefined]);
  expect(await asked({ ServerSideEncryption: 'AES256' })).toEqual(['AES256', false, undefined]);
  expect(await asked({ ServerSideEncryption: 'aws:kms' })).toEqual(['aws:kms', false, true]);
});

it('copies from one SSE-C key to another', async () => {
  const [from, to] = [customerKey(), customerKey()];
  await put(secure.s3, 'from', from);
  const copy = (more = {}) =>
    secure.s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: 'to', CopySource: `${BUCKET}/from`, ...to, ...more }));
  const source = {
    CopySourceSSECustomerAlgorithm: 'AES256',
    CopySourceSSECustomerKey: from.SSECustomerKey,
  };
  expect(await outcome(copy())).toBe('InvalidRequest 400');
  expect(await outcome(copy(source))).toBe('ok');
  expect(await outcome(get(secure.s3, 'to', from))).toBe('AccessDenied 403');
  expect(await outcome(get(secure.s3, 'to', to))).toBe('ok');
});

it('wants one SSE-C key through a whole upload', async () => {
  const key = customerKey();
  const target = { Bucket: BUCKET, Key: 'upload' };
  const create = (more: Partial<CreateMultipartUploadCommandInput>) =>
    secure.s3.send(new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32', ...more }));
  const { UploadId } = await create(key);
  const send = (more: Partial<UploadPartCommandInput> = {}) =>
    secure.s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'x', ...more }));
  expect(await outcome(send())).toBe('InvalidRequest 400');
  expect(await outcome(send(customerKey()))).toBe('InvalidRequest 400');
  const { ETag, ChecksumCRC32 } = await send(key);
  const list = (more = {}) => outcome(secure.s3.send(new ListPartsCommand({ ...target, UploadId, ...more })));
  expect([await list(), await list(key)]).toEqual(['InvalidRequest 400', 'ok']);
  const complete = (more = {}) =>
    outcome(
      secure.s3.send(
        new CompleteMultipartUploadCommand({
          ...target,
          UploadId,
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] },
          ...more,
        }),
      ),
    );
  expect([await complete(), await complete(key)]).toEqual(['InvalidRequest 400', 'ok']);
  expect(await outcome(get(secure.s3, 'upload', key))).toBe('ok');
});
