/** The tag of an object of the S3 Encryption Client, made from what its parts leave behind. */
import { tagOf } from '../gcm/message.ts';
import { partOf, type S3ecMessage } from '../message.ts';
import { gcmMessageOf } from './keys.ts';

/** From the hashes of all its parts by their numbers. */
export function objectTag(message: S3ecMessage, hashes: ReadonlyMap<number, Uint8Array>): Buffer {
  const { layout, suite, messageId, keys } = message;
  const parts = Array.from({ length: layout.partCount }, (_, index) => ({
    size: partOf(message, index + 1).plainSize,
    hash: hashes.get(index + 1)!,
  }));
  return tagOf(gcmMessageOf(suite, messageId, keys), parts);
}
