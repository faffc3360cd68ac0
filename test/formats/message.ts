/**
 * Whole messages in memory, for tests: sealed part by part through the room's own doors, opened the same way. Frames
 * may be smaller here than writers may make them, so that small messages have many.
 */
import { createCipheriv, createSecretKey } from 'node:crypto';
import { SealiftError } from '../../src/errors.ts';
import { encodeContext } from '../../src/formats/esdk/context.ts';
import {
  authenticateHeader,
  decodeHeader,
  type EncryptedDataKey,
  encodeHeader,
  headerBytes,
  type MessageHeader,
} from '../../src/formats/esdk/header.ts';
import { deriveMessageKeys, type MessageKeys } from '../../src/formats/esdk/keys.ts';
import { frameRange, type Layout, layoutOfObject, partOf, sealedRangeOf } from '../../src/formats/esdk/layout.ts';
import { boundMessageId } from '../../src/formats/esdk/message-id.ts';
import { FrameOpener } from '../../src/formats/esdk/open-frames.ts';
import { MessageOpener } from '../../src/formats/esdk/open-message.ts';
import { PartSealer } from '../../src/formats/esdk/seal-frames.ts';
import { footerSizeOf, verifierFor } from '../../src/formats/esdk/signature.ts';
import type { EsdkMessage } from '../../src/formats/message.ts';
import { type ByteRange, type Piece, piecesOf } from '../../src/get/pieces.ts';

export const DATA_KEY = Buffer.alloc(32, 'data key');
export const CONTEXT = { purpose: 'test', 'sealift-name': '1' };
export const OBJECT_KEY = 'folder/object';
export const SOME_KEYS: EncryptedDataKey[] = [
  { providerId: 'somewhere', providerInfo: Buffer.from('some key'), ciphertext: Buffer.alloc(48, 'wrapped') },
];

/** Plain bytes that do not repeat with any power of two. */
export function somePlain(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, index) => index % 251));
}

export interface SomeMessage {
  plain: Buffer;
  sealed: Buffer;
  header: MessageHeader;
  layout: Layout;
  keys: MessageKeys;
  /** The tags of each part's frames, by part index. */
  tags: Buffer[];
}

export interface SealRequest {
  plain: Buffer;
  frameSize: number;
  /** Plain bytes a part. */
  partSize?: number;
  /** Part numbers in the order in which they are sealed. */
  order?: (partNumbers: number[]) => number[];
  /** Plain bytes given to a sealer at once. */
  chunkSize?: number;
  dataKey?: Buffer;
  random?: Buffer;
  objectKey?: string;
  encryptionContext?: Record<string, string>;
  encryptedDataKeys?: EncryptedDataKey[];
  /** Seal as some other writers do: the final frame may be full, where we write an empty one behind it. */
  fullFinalFrame?: boolean;
}

export function sealMessage(request: SealRequest): SomeMessage {
  const { plain, frameSize, partSize = 3 * frameSize, order = (numbers) => numbers } = request;
  const { chunkSize = Number.MAX_SAFE_INTEGER, dataKey = DATA_KEY, random = Buffer.alloc(16, 7) } = request;
  const messageId = boundMessageId({ random, objectKey: request.objectKey ?? OBJECT_KEY });
  const keys = deriveMessageKeys({ dataKey, messageId });
  const header = encodeHeader({
    messageId,
    encryptionContext: request.encryptionContext ?? CONTEXT,
    encryptedDataKeys: request.encryptedDataKeys ?? SOME_KEYS,
    frameSize,
    keys,
  });
  const bytes = headerBytes(header);
  const headerSize = bytes.length;
  const { length } = plain;
  const frameCount = request.fullFinalFrame
    ? Math.max(1, Math.ceil(length / frameSize))
    : Math.floor(length / frameSize) + 1;
  // Number, nonce and tag of every frame; the last has a mark and its size too.
  const sealedSize = headerSize + frameCount * 32 + 8 + plain.length;
  const layout = layoutOfObject({ sealedSize, frameSize, headerSize, partSize });
  const sealed = Buffer.alloc(sealedSize);
  bytes.copy(sealed);
  const tags: Buffer[] = [];
  const numbers = Array.from({ length: layout.partCount }, (_, index) => index + 1);
  for (const part of order(numbers).map((number) => partOf(layout, number))) {
    const offset = part.isFirst ? headerSize : part.sealedOffset;
    const sealer = new PartSealer({ keys, messageId, layout, frames: part.frames, sealed, offset });
    for (const chunk of chunksOf(plain.subarray(part.plainOffset, part.plainOffset + part.plainSize), chunkSize))
      sealer.push(chunk);
    tags[part.index] = sealer.finish().tags;
  }
  return { plain, sealed, header, layout, keys, tags };
}

/**
 * A message of a single block, which Sealift itself never writes. `nonce` is the block's; its header is made by hand out
 * of a framed one.
 */
export function sealBlock(request: {
  plain: Buffer;
  nonce?: Buffer;
  encryptionContext?: Record<string, string>;
  encryptedDataKeys?: EncryptedDataKey[];
}): SomeMessage {
  const { plain, nonce = Buffer.alloc(12, 9), encryptionContext = CONTEXT } = request;
  const messageId = boundMessageId({ random: Buffer.alloc(16, 8), objectKey: OBJECT_KEY });
  const keys = deriveMessageKeys({ dataKey: DATA_KEY, messageId });
  const framed = encodeHeader({
    messageId,
    encryptionContext,
    encryptedDataKeys: request.encryptedDataKeys ?? SOME_KEYS,
    frameSize: 0,
    // The tag over the framed header is thrown away: it must not be made under the message's own key.
    keys: { ...keys, frameKey: createSecretKey(Buffer.alloc(32)) },
  });
  const body = Buffer.from(framed.body);
  body[body.length - 32 - 4 - 1] = 1;
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(plain.length));
  const place = Buffer.concat([Buffer.from('AWSKMSEncryptionClient Single Block'), Buffer.from([0, 0, 0, 1]), size]);

  const seal = (input: { nonce: Buffer; data: Buffer; plain: Buffer }) => {
    const cipher = createCipheriv('aes-256-gcm', keys.frameKey, input.nonce, { authTagLength: 16 });
    cipher.setAAD(input.data);
    const sealed = Buffer.concat([cipher.update(input.plain), cipher.final()]);
    return { sealed, tag: cipher.getAuthTag() };
  };
  const header = {
    ...framed,
    body,
    authTag: seal({ nonce: Buffer.alloc(12), data: body, plain: Buffer.alloc(0) }).tag,
  };
  const block = seal({ nonce, data: Buffer.concat([messageId, place]), plain });
  const sealed = Buffer.concat([headerBytes(header), nonce, size, block.sealed, block.tag]);
  const layout = layoutOfObject({ sealedSize: sealed.length, headerSize: body.length + 16, frameSize: 0 });
  return { plain, sealed, header, layout, keys, tags: [block.tag] };
}

interface OpenRequest {
  dataKey?: Buffer;
  /** Sealed bytes given to the reader at once. */
  chunkSize?: number;
  /** Pairs that the message was sealed with but does not hold. */
  requiredContext?: Record<string, string>;
  /** How large the object is said to be; more or fewer bytes may come. */
  sealedSize?: number | undefined;
}

/** Opens a whole message frame by frame, as its size says where they lie. Throws what a reader would throw. */
export function openMessage(sealed: Buffer, request: OpenRequest = {}): Buffer {
  const { chunkSize = Number.MAX_SAFE_INTEGER, sealedSize = sealed.length } = request;
  const { header, headerSize, keys, verifier } = unlockMessage(sealed, request);
  const footerSize = verifier ? footerSizeOf(sealed.subarray(headerSize, sealedSize)) : 0;
  if (footerSize === undefined) throw new SealiftError('truncated', 'there is no signature at the end');
  const bodyEnd = sealedSize - footerSize;
  const layout = layoutOfObject({ sealedSize: bodyEnd, headerSize, frameSize: header.frameSize });
  const plain = Buffer.alloc(layout.plainSize);
  const range = { firstFrame: 1, lastFrame: layout.frameCount };
  const opener = new FrameOpener({ keys, messageId: header.messageId, layout, ...range, plain, offset: 0 });
  pushAll(opener, chunksOf(sealed.subarray(headerSize, verifier && bodyEnd), chunkSize));
  verifier?.update(sealed.subarray(0, bodyEnd));
  verifier?.check(sealed.subarray(bodyEnd + 2));
  return plain;
}

/** Opens the frames that hold some plain bytes, as a get of a range does. Throws what a reader would throw. */
export function openRange(sealed: Buffer, { first, last }: ByteRange, request: OpenRequest): Buffer {
  const { header, headerSize, keys } = unlockMessage(sealed, request);
  const layout = layoutOfObject({ sealedSize: sealed.length, headerSize, frameSize: header.frameSize });
  const range = { first, last: Math.max(first, Math.min(last, layout.plainSize - 1)) };
  const message = { format: 'esdk' as const, layout, messageId: header.messageId, keys };
  return Buffer.concat([...piecesOf({ message, range })].map((piece) => openPiece(sealed, message, piece, range)));
}

function openPiece(sealed: Buffer, message: EsdkMessage, piece: Piece, { first, last }: ByteRange): Buffer {
  const frames = frameRange(message.layout, { firstFrame: piece.firstUnit, lastFrame: piece.lastUnit });
  const bytes = sealedRangeOf(message.layout, frames);
  const plain = Buffer.alloc(frames.plainSize);
  pushAll(new FrameOpener({ ...message, ...frames, plain, offset: 0 }), [sealed.subarray(bytes.first, bytes.last + 1)]);
  return plain.subarray(Math.max(0, first - frames.plainOffset), last + 1 - frames.plainOffset);
}

/** Whoever goes on after an error hears of the same one. */
function pushAll(opener: FrameOpener, chunks: Buffer[]): void {
  try {
    for (const chunk of chunks) opener.push(chunk);
    opener.finish();
  } catch (error) {
    for (const goOn of [() => opener.push(Buffer.alloc(1)), () => opener.finish()]) {
      if (errorOf(goOn) !== error) throw new Error('a reader that failed goes on', { cause: error });
    }
    throw error;
  }
}

interface OpenInOrderRequest extends OpenRequest {
  /** Nobody knows how much is to come. */
  isPipe?: boolean;
  reserve?: (size: number) => void;
}

/** Opens a whole message from front to back, knowing nothing but its bytes so far. Throws what a reader would throw. */
export function openInOrder(sealed: Buffer, request: OpenInOrderRequest = {}): Buffer {
  const { chunkSize = Number.MAX_SAFE_INTEGER, isPipe = false, reserve = () => {} } = request;
  const { header, headerSize, keys, verifier } = unlockMessage(sealed, request);
  const opener = new MessageOpener({
    header,
    keys,
    verifier,
    reserve,
    sealedSize: isPipe ? undefined : sealed.length - headerSize,
  });
  const released: Buffer[] = [];
  for (const chunk of chunksOf(sealed.subarray(headerSize), chunkSize)) {
    for (const plain of opener.push(chunk)) released.push(Buffer.from(plain));
  }
  return Buffer.concat([...released, opener.finish()]);
}

function unlockMessage(sealed: Buffer, { dataKey = DATA_KEY, requiredContext }: OpenRequest) {
  const header = decodeHeader(sealed);
  if (!header) throw new SealiftError('truncated', 'the object ends within its header');
  const { suite, messageId } = header;
  const verifier = verifierFor(header);
  if (dataKey.length !== suite.keySize) throw new SealiftError('wrong-key', 'no keyring gives a key of another size');
  const keys = deriveMessageKeys({ suite, dataKey, messageId });
  authenticateHeader(header, keys, requiredContext);
  return { header, headerSize: headerBytes(header).length, keys, verifier };
}

export function chunksOf(bytes: Buffer, size: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) chunks.push(bytes.subarray(start, start + size));
  return chunks;
}

/** The SealiftError that `action` throws; fails where it throws none. */
export function errorOf(action: () => unknown): SealiftError {
  try {
    action();
  } catch (error) {
    if (error instanceof SealiftError) return error;
    throw error;
  }
  throw new Error('expected a SealiftError, and nothing was thrown');
}

/** A data key wrapped under a raw AES key, as every AWS Encryption SDK does it. */
export function wrapDataKey(input: {
  dataKey: Buffer;
  wrappingKey: Buffer;
  namespace: string;
  name: string;
  encryptionContext: Record<string, string>;
  nonce: Buffer;
}): EncryptedDataKey {
  const cipher = createCipheriv('aes-256-gcm', input.wrappingKey, input.nonce, { authTagLength: 16 });
  cipher.setAAD(encodeContext(input.encryptionContext));
  const sealedKey = Buffer.concat([cipher.update(input.dataKey), cipher.final(), cipher.getAuthTag()]);
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32BE(128, 0);
  sizes.writeUInt32BE(12, 4);
  return {
    providerId: input.namespace,
    providerInfo: Buffer.concat([Buffer.from(input.name), sizes, input.nonce]),
    ciphertext: sealedKey,
  };
}
