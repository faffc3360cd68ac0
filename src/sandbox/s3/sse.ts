/**
 * Server-side encryption: the sandbox encrypts nothing, but remembers what was asked for, echoes it, and refuses what
 * S3 refuses ("Protecting data with server-side encryption", userguide/serv-side-encryption.html).
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Call, S3 } from './call.ts';
import { encryptionOf } from './configuration.ts';
import { S3Error } from './errors.ts';

const PREFIX = 'x-amz-server-side-encryption';
const COPY_PREFIX = 'x-amz-copy-source-server-side-encryption';

export type Encryption =
  | { readonly kind: 'AES256' }
  | { readonly kind: 'aws:kms' | 'aws:kms:dsse'; readonly keyId: string; readonly bucketKey: boolean }
  | { readonly kind: 'customer'; readonly keyMd5: string };

/** What PutObject, CopyObject and CreateMultipartUpload ask for, with KMS asked for a key where it is of KMS. */
export function readEncryption(call: Call, s3: S3): Encryption {
  const encryption = encryptionAsked(call, s3);
  s3.kms.ask(call, encryption);
  return encryption;
}

function encryptionAsked(call: Call, s3: S3): Encryption {
  const { headers } = call;
  const kind = headers[PREFIX];
  const keyMd5 = customerKeyMd5(call);
  if (keyMd5 !== undefined) {
    // API_PutObject.html: SSE-C and the x-amz-server-side-encryption header exclude each other.
    if (kind !== undefined) {
      throw invalid(
        PREFIX,
        'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
      );
    }
    if (encryptionOf(call.bucket, s3).blocksCustomerKeys) {
      // userguide/blocking-unblocking-s3-c-encryption-gpb.html: 403, for uploads and copies; what is there can be read.
      throw new S3Error(
        'AccessDenied',
        'The request was denied because this bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C)',
      );
    }
    return { kind: 'customer', keyMd5 };
  }
  const keyId = headers[`${PREFIX}-aws-kms-key-id`] as string | undefined;
  const context = headers[`${PREFIX}-context`] as string | undefined;
  const byDefault = encryptionOf(call.bucket, s3);
  // userguide/configuring-bucket-key-object.html: the header overrides the bucket's setting.
  const asked = headers[`${PREFIX}-bucket-key-enabled`];
  if (kind === 'aws:kms' || kind === 'aws:kms:dsse') {
    if (context !== undefined) checkContext(context);
    // userguide/UsingDSSEncryption.html: "S3 Bucket Keys aren't supported for DSSE-KMS."
    if (kind === 'aws:kms:dsse' && asked === 'true') throw invalid(PREFIX, 'Bucket Key is not supported with DSSE-KMS');
    return { kind, keyId: s3.kms.arnOf(keyId), bucketKey: kind === 'aws:kms' && asBool(asked, byDefault.bucketKey) };
  }
  if (keyId !== undefined || context !== undefined) {
    throw invalid(
      PREFIX,
      'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms',
    );
  }
  if (kind !== undefined && kind !== 'AES256')
    throw invalid(PREFIX, 'The encryption method specified is not supported');
  // Since January 2023 every object has SSE-S3 at least (userguide/default-encryption-faq.html).
  const { algorithm, keyId: defaultKey, bucketKey } = byDefault;
  if (kind !== undefined || algorithm === 'AES256') return { kind: 'AES256' };
  return {
    kind: algorithm,
    keyId: s3.kms.arnOf(defaultKey),
    bucketKey: algorithm === 'aws:kms' && asBool(asked, bucketKey),
  };
}

function asBool(header: unknown, absent: boolean): boolean {
  return header === undefined ? absent : header === 'true';
}

/** The headers of answers about an object; the context is never told. */
export function encryptionHeaders(encryption: Encryption): Record<string, string | undefined> {
  if (encryption.kind === 'AES256') return { [PREFIX]: 'AES256' };
  if (encryption.kind === 'customer') {
    return {
      [`${PREFIX}-customer-algorithm`]: 'AES256',
      [`${PREFIX}-customer-key-md5`]: encryption.keyMd5,
    };
  }
  return {
    [PREFIX]: encryption.kind,
    [`${PREFIX}-aws-kms-key-id`]: encryption.keyId,
    [`${PREFIX}-bucket-key-enabled`]: encryption.bucketKey ? 'true' : undefined,
  };
}

/**
 * Calls that read an object: SSE-C objects need their key, others must not be given one. `copySource` looks at the
 * headers for the source of a copy.
 */
export function checkReadKey(
  call: Call,
  s3: S3,
  { encryption, copySource = false }: { encryption: Encryption; copySource?: boolean },
): void {
  if (!copySource) refuseEncryptionHeaders(call.headers);
  const given = customerKeyMd5(call, copySource ? COPY_PREFIX : PREFIX);
  if (encryption.kind !== 'customer') {
    if (given !== undefined) {
      throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.');
    }
    s3.kms.ask(call, encryption);
    return;
  }
  if (given === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
  }
  if (given !== encryption.keyMd5) throw new S3Error('AccessDenied');
}

/** Calls about an upload (UploadPart, ListParts, Complete): the key must be the one the upload began with. */
export function checkUploadKey(call: Call, s3: S3, encryption: Encryption): void {
  refuseEncryptionHeaders(call.headers);
  const given = customerKeyMd5(call);
  if (encryption.kind === 'customer' && given === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
    );
  }
  if (encryption.kind === 'customer' ? given !== encryption.keyMd5 : given !== undefined) {
    throw new S3Error('InvalidRequest', 'The provided encryption parameters did not match the ones used originally.');
  }
  s3.kms.ask(call, encryption);
}

/**
 * API_GetObject.html: "Encryption request headers, like x-amz-server-side-encryption, should not be sent for the GET
 * requests … you'll get an HTTP 400 Bad Request error." API_UploadPart.html takes the SSE-C headers alone.
 */
function refuseEncryptionHeaders(headers: IncomingHttpHeaders): void {
  for (const name of [PREFIX, `${PREFIX}-aws-kms-key-id`, `${PREFIX}-context`]) {
    if (headers[name] !== undefined) throw invalid(name, `${name} header is not supported for this operation.`);
  }
}

/** The MD5 of the SSE-C key a call carries. S3 keeps a salted HMAC of the key; its MD5 does here. */
function customerKeyMd5(call: Call, prefix = PREFIX): string | undefined {
  const [algorithm, key, keyMd5] = ['algorithm', 'key', 'key-md5'].map(
    (field) => call.headers[`${prefix}-customer-${field}`] as string | undefined,
  );
  if (algorithm === undefined && key === undefined && keyMd5 === undefined) return undefined;
  // userguide/ServerSideEncryptionCustomerKeys.html: "Amazon S3 rejects any requests made over HTTP when using SSE-C."
  if (!call.secure) {
    throw new S3Error(
      'InvalidRequest',
      'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
    );
  }
  if (algorithm !== undefined && algorithm !== 'AES256') throw new S3Error('InvalidEncryptionAlgorithmError');
  if (algorithm === undefined || key === undefined || keyMd5 === undefined) {
    throw invalid(
      `${prefix}-customer-key`,
      'Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.',
    );
  }
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== 32)
    throw invalid(`${prefix}-customer-key`, 'The secret key was invalid for the specified algorithm.');
  if (createHash('md5').update(bytes).digest('base64') !== keyMd5) {
    throw invalid(
      `${prefix}-customer-key-MD5`,
      'The calculated MD5 hash of the key did not match the hash that was provided.',
    );
  }
  return keyMd5;
}

/** API_PutObject.html: "a base64-encoded string of a UTF-8 encoded JSON, which contains the encryption context as key-value pairs". */
function checkContext(context: string): void {
  try {
    const pairs: unknown = JSON.parse(Buffer.from(context, 'base64').toString());
    if (pairs !== null && typeof pairs === 'object' && Object.values(pairs).every((v) => typeof v === 'string')) return;
  } catch {
    // Falls through to the answer for both kinds of malformed context.
  }
  throw invalid(
    `${PREFIX}-context`,
    'The header x-amz-server-side-encryption-context is not a valid base64-encoded JSON object.',
  );
}

function invalid(name: string, message: string): S3Error {
  return new S3Error('InvalidArgument', message, { fields: { ArgumentName: name } });
}
