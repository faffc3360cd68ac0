/**
 * Message ids that bind the object's name. An encryption context with the name in it would cost a KMS call an object,
 * because KMS binds all of the context; the message id costs nothing, and key derivation authenticates it. Half of it
 * is random, and the other half proves for which name it was made. Other readers see 32 random bytes.
 */
import { hash } from 'node:crypto';

export const MESSAGE_ID_SIZE = 32;
const RANDOM_SIZE = 16;
const LABEL = Buffer.from('sealift name v1');

/** The pair in the encryption context which says that the message id binds a name. */
export const NAME_MARKER = ['sealift-name', '1'] as const;

/** A message id for the object `objectKey`. `random` is 16 fresh random bytes: used twice, it makes one key serve twice. */
export function boundMessageId({ random, objectKey }: { random: Uint8Array; objectKey: string }): Buffer {
  if (random.length !== RANDOM_SIZE)
    throw new RangeError(`random: expected ${RANDOM_SIZE} bytes, got ${random.length}`);
  const proof = hash('sha256', Buffer.concat([LABEL, random, Buffer.from(objectKey)]), 'buffer');
  return Buffer.concat([random, proof.subarray(0, MESSAGE_ID_SIZE - RANDOM_SIZE)]);
}

/** Whether the message id was made for the object `objectKey`. */
export function isBoundTo(messageId: Uint8Array, objectKey: string): boolean {
  if (messageId.length !== MESSAGE_ID_SIZE) return false;
  return boundMessageId({ random: messageId.subarray(0, RANDOM_SIZE), objectKey }).equals(messageId);
}
