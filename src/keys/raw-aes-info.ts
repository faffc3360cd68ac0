/**
 * What a raw AES keyring says of itself beside a wrapped data key, laid out as in every AWS Encryption SDK:
 *
 *     name | u32 tag size in bits | u32 IV size | IV
 */
import type { EncryptedDataKey } from '../formats/esdk/header.ts';

export const IV_SIZE = 12;
export const TAG_SIZE = 16;

/** What stands between the key's name and the IV. */
const SIZES = Buffer.from([0, 0, 0, TAG_SIZE * 8, 0, 0, 0, IV_SIZE]);
const SUFFIX_SIZE = SIZES.length + IV_SIZE;

export interface RawAesInfo {
  name: string;
  iv: Buffer;
}

export function encodeRawAesInfo({ name, iv }: RawAesInfo): Buffer {
  return Buffer.concat([Buffer.from(name), SIZES, iv]);
}

/** The inverse of `encodeRawAesInfo`. Undefined for the info of any other kind of key. */
export function decodeRawAesInfo(info: Buffer): RawAesInfo | undefined {
  const nameSize = info.length - SUFFIX_SIZE;
  if (nameSize <= 0 || !info.subarray(nameSize, -IV_SIZE).equals(SIZES)) return undefined;
  return { name: info.toString('utf8', 0, nameSize), iv: info.subarray(-IV_SIZE) };
}

/** The wrapping key that a wrapped copy names: a KMS key's ARN, a raw key's name. Not authenticated. */
export function keyNameOf({ providerInfo }: Pick<EncryptedDataKey, 'providerInfo'>): string {
  return decodeRawAesInfo(providerInfo)?.name ?? providerInfo.toString();
}
