/**
 * How the S3 Encryption Clients wrap a data key. Newer ones bind the wrapped copy to the algorithm that seals the object,
 * so that nobody can have the key used with a weaker one: KMS by its encryption context, AES-GCM by its additional data,
 * RSA by what it encrypts beside the key. Keyrings do the wrapping (src/keys); here are the names and the bytes.
 */
import { timingSafeEqual } from 'node:crypto';

export interface Wrapping {
  /** As metadata of version 2 spells it. */
  name: 'kms+context' | 'AES/GCM' | 'RSA-OAEP-SHA1' | 'kms' | 'AESWrap' | 'AES' | 'RSA' | typeof OAEP_SHA256;
  /** As metadata of version 3 does. Undefined where that has none: such are only read, and only where that is wanted. */
  code?: '12' | '02' | '22';
}

/** Java's name for OAEP with SHA-256, whose mask generation stays with SHA-1. */
export const OAEP_SHA256 = 'RSA/ECB/OAEPWithSHA-256AndMGF1Padding';

export const WRAPPINGS: readonly Wrapping[] = [
  { name: 'kms+context', code: '12' },
  { name: 'AES/GCM', code: '02' },
  { name: 'RSA-OAEP-SHA1', code: '22' },
  { name: 'kms' },
  { name: 'AESWrap' },
  { name: 'AES' },
  { name: 'RSA' },
  { name: OAEP_SHA256 },
];

/** Wrapped copies of this provider are an S3 Encryption Client's; their provider info is the wrapping's name. */
export const PROVIDER_ID = 'S3Keyring';

/** The name in a KMS encryption context that binds a data key to the algorithm of the object's bytes. */
export const ALGORITHM_NAME = 'aws:x-amz-cek-alg';

/** What RSA encrypts: the data key's size, the data key, the algorithm it is bound to. The caller zeroes it. */
export function bindDataKey(dataKey: Uint8Array, contentAlgorithm: string): Buffer {
  const bound = Buffer.allocUnsafeSlow(1 + dataKey.length + contentAlgorithm.length);
  bound[0] = dataKey.length;
  bound.set(dataKey, 1);
  bound.write(contentAlgorithm, 1 + dataKey.length, 'ascii');
  return bound;
}

/** The data key in what RSA encrypted; a view of `bound`. Undefined where it is bound to another algorithm. */
export function unbindDataKey(bound: Buffer, contentAlgorithm: string): Buffer | undefined {
  const size = bound.length - 1 - contentAlgorithm.length;
  if (bound[0] !== size) return undefined;
  const isBound = timingSafeEqual(bound.subarray(1 + size), Buffer.from(contentAlgorithm));
  return isBound ? bound.subarray(1, 1 + size) : undefined;
}
