/**
 * The header of an ESDK message, format version 2: who may open the message, under which encryption context, in
 * frames of which size, and a tag over all of it.
 *
 * A header is made once for a message key and stored; it is never made again. Its tag uses nonce 0, and a second tag
 * over other bytes under the same key would give the authentication key away.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { KiB } from '../../units.ts';
import { badHeader, checkEncryptionContext, decodeContext, decodeUtf8, encodeContext, u16 } from './context.ts';
import { Cursor } from './cursor.ts';
import { checkCommitment, type MessageKeys } from './keys.ts';
import { MESSAGE_ID_SIZE } from './message-id.ts';
import { COMMITTING_SUITE_ID, suiteOf } from './suites.ts';

export { checkEncryptionContext } from './context.ts';

/** A data key sealed under one wrapping key. `providerId` says which kind, `providerInfo` says which key. */
export interface EncryptedDataKey {
  providerId: string;
  providerInfo: Buffer;
  ciphertext: Buffer;
}

export interface MessageHeader {
  suiteId: number;
  /** 32 bytes. */
  messageId: Buffer;
  encryptionContext: Record<string, string>;
  encryptedDataKeys: EncryptedDataKey[];
  /** Plain bytes in every frame but the last; 0 where the message is a single block. */
  frameSize: number;
  /** 32 bytes: what the message key commits to. */
  commitment: Buffer;
  /** The header without its tag, exactly as read or written: it is what the tag authenticates. */
  body: Buffer;
  /** 16 bytes. */
  authTag: Buffer;
}

/** The largest header written or read, tag included: twice the largest encryption context. The format has no limit. */
export const MAX_HEADER_SIZE = 128 * KiB;
/** Each of them may cost a call to KMS. The format has no limit. */
export const DEFAULT_MAX_ENCRYPTED_DATA_KEYS = 100;

const MESSAGE_VERSION = 2;
const CONTENT_FRAMED = 2;
const CONTENT_SINGLE_BLOCK = 1;
const COMMITMENT_SIZE = 32;
const TAG_SIZE = 16;
const HEADER_NONCE = Buffer.alloc(12);

/**
 * Makes a message's header, once: see above. Throws `bad-context`, or `bad-option` where the header would be one that
 * readers refuse.
 */
export function encodeHeader(input: {
  messageId: Uint8Array;
  encryptionContext: Readonly<Record<string, string>>;
  encryptedDataKeys: readonly EncryptedDataKey[];
  frameSize: number;
  keys: MessageKeys;
}): MessageHeader {
  const { messageId, encryptionContext, encryptedDataKeys, frameSize, keys } = input;
  checkEncryptionContext(encryptionContext);
  const context = encodeContext(encryptionContext);
  const count = encryptedDataKeys.length;
  if (count === 0 || count > DEFAULT_MAX_ENCRYPTED_DATA_KEYS) {
    throw new SealiftError(
      'bad-option',
      `A header holds 1 to ${DEFAULT_MAX_ENCRYPTED_DATA_KEYS} wrapped keys, not ${count}`,
    );
  }
  const body = Buffer.concat([
    Buffer.from([MESSAGE_VERSION]),
    u16(COMMITTING_SUITE_ID),
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
  const cipher = createCipheriv('aes-256-gcm', keys.frameKey, HEADER_NONCE, { authTagLength: TAG_SIZE });
  cipher.setAAD(body);
  cipher.final();
  return {
    suiteId: COMMITTING_SUITE_ID,
    messageId: Buffer.from(messageId),
    encryptionContext: { ...encryptionContext },
    encryptedDataKeys: [...encryptedDataKeys],
    frameSize,
    commitment: keys.commitment,
    body,
    authTag: cipher.getAuthTag(),
  };
}

/** The header as it stands at the front of the message. */
export function headerBytes(header: Pick<MessageHeader, 'body' | 'authTag'>): Buffer {
  return Buffer.concat([header.body, header.authTag]);
}

/**
 * Reads the header off the front of a message. Undefined means that more bytes are needed. Nothing of the result is
 * authentic before `authenticateHeader`. Throws `not-sealed`, `bad-header` or `unsupported-message`.
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
  const suiteId = readSuiteId(bytes, cursor);
  const messageId = cursor.bytes(MESSAGE_ID_SIZE);
  const encryptionContext = decodeContext(cursor.sized());
  const encryptedDataKeys = readEncryptedDataKeys(cursor, maxEncryptedDataKeys);
  const contentType = cursor.u8();
  if (contentType !== CONTENT_FRAMED && contentType !== CONTENT_SINGLE_BLOCK) {
    throw badHeader(`its content type is ${contentType}`);
  }
  const frameSize = cursor.u32();
  if ((contentType === CONTENT_FRAMED) !== frameSize > 0) {
    throw badHeader(`its content type is ${contentType}, and the size of its frames ${frameSize}`);
  }
  const commitment = cursor.bytes(COMMITMENT_SIZE);
  const body = Buffer.from(bytes.subarray(0, cursor.offset));
  const authTag = cursor.bytes(TAG_SIZE);
  return { suiteId, messageId, encryptionContext, encryptedDataKeys, frameSize, commitment, body, authTag };
}

/** Reads the message version and suite, and refuses everything but messages of version 2. */
function readSuiteId(bytes: Uint8Array, cursor: Cursor): number {
  const messageVersion = cursor.u8();
  if (messageVersion !== 1 && messageVersion !== MESSAGE_VERSION) throw notSealed(bytes);
  // Version 1 has a type in front of its suite, always the same.
  if (messageVersion === 1 && cursor.u8() !== 0x80) throw notSealed(bytes);
  return suiteOf({ id: cursor.u16(), messageVersion }).id;
}

function readEncryptedDataKeys(cursor: Cursor, max: number): EncryptedDataKey[] {
  const count = cursor.u16();
  if (count === 0) throw badHeader('it holds no encrypted data key');
  if (count > max) throw badHeader(`it holds ${count} encrypted data keys, and at most ${max} are accepted`);
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
 * the tag. Throws `bad-header`.
 */
export function authenticateHeader(header: MessageHeader, keys: MessageKeys): void {
  checkCommitment(header, keys);
  const decipher = createDecipheriv('aes-256-gcm', keys.frameKey, HEADER_NONCE, { authTagLength: TAG_SIZE });
  decipher.setAAD(header.body);
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
