/**
 * The header of an ESDK message: who may open the message, under which encryption context, in frames of which size,
 * and a tag over all of it. We write format version 2, and read version 1 too:
 *
 *   1:  01 ‖ type 80 ‖ suite ‖ message id 16 ‖ context ‖ keys ‖ content type ‖ 4 zeros ‖ 0C ‖ frame size    nonce 12 ‖ tag 16
 *   2:  02 ‖ suite ‖ message id 32 ‖ context ‖ keys ‖ content type ‖ frame size ‖ commitment 32             tag 16
 *
 * A header is made once for a message key and stored; it is never made again. Its tag uses nonce 0, and a second tag
 * over other bytes under the same key would give the authentication key away.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { KiB } from '../../units.ts';
import { badHeader, checkEncryptionContext, decodeContext, decodeUtf8, encodeContext, u16 } from './context.ts';
import { Cursor } from './cursor.ts';
import { gcmOf, NONCE_SIZE, TAG_SIZE } from './frame.ts';
import { checkCommitment, type MessageKeys } from './keys.ts';
import { COMMITTING_SUITE, type Suite, suiteIdBytes, suiteOf } from './suites.ts';

export { checkEncryptionContext } from './context.ts';

/** A data key sealed under one wrapping key. `providerId` says which kind, `providerInfo` says which key. */
export interface EncryptedDataKey {
  providerId: string;
  providerInfo: Buffer;
  ciphertext: Buffer;
}

export interface MessageHeader {
  suite: Suite;
  messageId: Buffer;
  encryptionContext: Record<string, string>;
  encryptedDataKeys: EncryptedDataKey[];
  /** Plain bytes in every frame but the last; 0 where the message is a single block. */
  frameSize: number;
  /** What the header commits to: 32 bytes, or none in suites that do not commit. */
  commitment: Buffer;
  /** The header without its tag, exactly as read or written: it is what the tag authenticates. */
  body: Buffer;
  /** The tag's: 12 bytes. Version 1 stores it, in version 2 it is zeros. */
  nonce: Buffer;
  /** 16 bytes. */
  authTag: Buffer;
}

/** The largest header written or read, tag included: twice the largest encryption context. The format has no limit. */
export const MAX_HEADER_SIZE = 128 * KiB;
/** Each of them may cost a call to KMS. The format has no limit. */
export const DEFAULT_MAX_ENCRYPTED_DATA_KEYS = 100;

const OLD_TYPE = 0x80;
const CONTENT_FRAMED = 2;
const CONTENT_SINGLE_BLOCK = 1;
const HEADER_NONCE = Buffer.alloc(NONCE_SIZE);

/**
 * Makes a message's header, once: see above. Throws `bad-context`, or `bad-option` where the header would be one that
 * readers refuse.
 */
export function encodeHeader(input: {
  /** One of message version 2. */
  suite?: Suite | undefined;
  messageId: Uint8Array;
  encryptionContext: Readonly<Record<string, string>>;
  encryptedDataKeys: readonly EncryptedDataKey[];
  frameSize: number;
  keys: MessageKeys;
}): MessageHeader {
  const { suite = COMMITTING_SUITE, messageId, encryptionContext, encryptedDataKeys, frameSize, keys } = input;
  checkEncryptionContext(encryptionContext, { isSigned: suite.signature !== undefined });
  const context = encodeContext(encryptionContext);
  const count = encryptedDataKeys.length;
  if (count === 0 || count > DEFAULT_MAX_ENCRYPTED_DATA_KEYS) {
    throw new SealiftError(
      'bad-option',
      `A header holds 1 to ${DEFAULT_MAX_ENCRYPTED_DATA_KEYS} wrapped keys, not ${count}`,
    );
  }
  const body = Buffer.concat([
    Buffer.from([suite.messageVersion]),
    suiteIdBytes(suite),
    messageId,
    sized(context),
    u16(count),
    ...encryptedDataKeys.flatMap((key) => [
      sized(Buffer.from(key.providerId)),
      sized(key.providerInfo),
      sized(key.ciphertext),
    ]),
    Buffer.from([CONTENT_FRAMED]),
    u32(frameSize),
    keys.commitment,
  ]);
  if (body.length + TAG_SIZE > MAX_HEADER_SIZE) {
    throw new SealiftError(
      'bad-option',
      `The header would take ${body.length + TAG_SIZE} bytes, more than ${MAX_HEADER_SIZE}`,
      {
        hint: 'Use fewer wrapping keys, or a shorter encryption context.',
      },
    );
  }
  const cipher = createCipheriv(gcmOf(keys.frameKey), keys.frameKey, HEADER_NONCE, { authTagLength: TAG_SIZE });
  cipher.setAAD(body);
  cipher.final();
  return {
    suite,
    messageId: Buffer.from(messageId),
    encryptionContext: { ...encryptionContext },
    encryptedDataKeys: [...encryptedDataKeys],
    frameSize,
    commitment: keys.commitment,
    body,
    nonce: HEADER_NONCE,
    authTag: cipher.getAuthTag(),
  };
}

/** The header as it stands at the front of the message. */
export function headerBytes({ suite, body, nonce, authTag }: MessageHeader): Buffer {
  return Buffer.concat(suite.messageVersion === 1 ? [body, nonce, authTag] : [body, authTag]);
}

/**
 * Reads the header off the front of a message. Undefined means that more bytes are needed. Nothing of the result is
 * authentic before `authenticateHeader`. Throws `not-sealed` or `bad-header`.
 */
export function decodeHeader(
  bytes: Uint8Array,
  { maxEncryptedDataKeys = DEFAULT_MAX_ENCRYPTED_DATA_KEYS }: { maxEncryptedDataKeys?: number | undefined } = {},
): MessageHeader | undefined {
  if (bytes.length === 0) return undefined;
  const window = bytes.subarray(0, MAX_HEADER_SIZE);
  const full = window.length === MAX_HEADER_SIZE;
  const short = () => (full ? badHeader(`it takes more than ${MAX_HEADER_SIZE} bytes`) : new MoreBytesNeeded());
  try {
    return readHeader(window, new Cursor(window, short), maxEncryptedDataKeys);
  } catch (error) {
    if (error instanceof MoreBytesNeeded) return undefined;
    throw error;
  }
}

class MoreBytesNeeded extends Error {}

function readHeader(bytes: Uint8Array, cursor: Cursor, maxEncryptedDataKeys: number): MessageHeader {
  const suite = readSuite(bytes, cursor);
  const isOld = suite.messageVersion === 1;
  const messageId = cursor.bytes(suite.messageIdSize);
  const encryptionContext = decodeContext(cursor.sized());
  const encryptedDataKeys = readEncryptedDataKeys(cursor, maxEncryptedDataKeys);
  const contentType = cursor.u8();
  if (contentType !== CONTENT_FRAMED && contentType !== CONTENT_SINGLE_BLOCK) {
    throw badHeader(`its content type is ${contentType}`);
  }
  if (isOld && cursor.u32() !== 0) throw badHeader('its reserved bytes are not zero');
  if (isOld && cursor.u8() !== NONCE_SIZE) throw badHeader('its nonces are of another size than 12 bytes');
  const frameSize = cursor.u32();
  if ((contentType === CONTENT_FRAMED) !== frameSize > 0) {
    throw badHeader(`its content type is ${contentType}, and the size of its frames ${frameSize}`);
  }
  const commitment = cursor.bytes(suite.commitmentSize);
  const body = Buffer.from(bytes.subarray(0, cursor.offset));
  const nonce = isOld ? cursor.bytes(NONCE_SIZE) : HEADER_NONCE;
  const authTag = cursor.bytes(TAG_SIZE);
  return { suite, messageId, encryptionContext, encryptedDataKeys, frameSize, commitment, body, nonce, authTag };
}

/** Reads the message version and the suite. */
function readSuite(bytes: Uint8Array, cursor: Cursor): Suite {
  const messageVersion = cursor.u8();
  if (messageVersion !== 1 && messageVersion !== 2) throw notSealed(bytes);
  if (messageVersion === 1 && cursor.u8() !== OLD_TYPE) throw notSealed(bytes);
  return suiteOf({ id: cursor.u16(), messageVersion });
}

function readEncryptedDataKeys(cursor: Cursor, max: number): EncryptedDataKey[] {
  const count = cursor.u16();
  if (count === 0) throw badHeader('it holds no encrypted data key');
  if (count > max) {
    throw new SealiftError('bad-header', `The header holds ${count} encrypted data keys; at most ${max} are accepted`, {
      hint: 'Each may cost a call to KMS. If you expect so many, give a larger --max-encrypted-data-keys.',
    });
  }
  return Array.from({ length: count }, () => ({
    providerId: decodeUtf8(cursor.sized()),
    providerInfo: cursor.sized(),
    ciphertext: cursor.sized(),
  }));
}

function notSealed(bytes: Uint8Array): SealiftError {
  // In base64 every message begins with AYA (version 1) or AgR or AgV (version 2).
  const text = /^A(YA|gR|gV)/.test(Buffer.from(bytes.subarray(0, 3)).toString('latin1'));
  if (text) {
    return new SealiftError('not-sealed', 'This is an AWS Encryption SDK message, but as base64 text', {
      hint: 'It is base64 text. Decode it first: base64 --decode.',
    });
  }
  return new SealiftError('not-sealed', 'This is not an AWS Encryption SDK message', {
    hint: 'Only objects sealed by Sealift or by an AWS Encryption SDK can be opened.',
  });
}

/**
 * Proves that whoever wrote this header had the data key, and that its body is as written: the commitment first, then
 * the tag. `requiredContext` are pairs that the tag covers although the header does not hold them. Throws `bad-header`.
 */
export function authenticateHeader(
  header: MessageHeader,
  keys: MessageKeys,
  requiredContext: Readonly<Record<string, string>> = {},
): void {
  checkCommitment(header, keys);
  const { frameKey } = keys;
  const decipher = createDecipheriv(gcmOf(frameKey), frameKey, header.nonce, { authTagLength: TAG_SIZE });
  decipher.setAAD(Buffer.concat([header.body, encodeContext(requiredContext)]));
  decipher.setAuthTag(header.authTag);
  try {
    decipher.final();
  } catch (cause) {
    throw badHeader('its authentication tag does not match', cause);
  }
}

function sized(field: Uint8Array): Buffer {
  return Buffer.concat([u16(field.length), field]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
