/**
 * A customer's key (SSE-C): S3 encrypts an object with it, and forgets it. It goes to S3 with every request about the
 * object, over TLS alone (stores/s3-calls.ts), and nowhere else: here it is a KeyObject, in ledgers its MD5.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { badKeyFile, readPrivately } from './private-file.ts';

/** What S3 takes: AES-256. */
const KEY_SIZE = 32;
const HINT = 'Make one with: (umask 077 && head -c 32 /dev/urandom > FILE). Keep a copy: S3 has none.';

/**
 * The key that a file of 32 raw bytes holds, which nobody but its owner may read. Throws `bad-key-file`.
 *
 * @example
 * import { readCustomerKey } from 'sealift';
 *
 * const customerKey = await readCustomerKey('/keys/customer.key');
 * console.log(customerKey.symmetricKeySize);
 */
export async function readCustomerKey(path: string): Promise<KeyObject> {
  const bytes = await readPrivately(path, HINT);
  try {
    if (bytes.length === KEY_SIZE) return createSecretKey(bytes);
    throw badKeyFile(path, `it has ${bytes.length} bytes, and a key for SSE-C has ${KEY_SIZE}`, { hint: HINT });
  } finally {
    bytes.fill(0);
  }
}
