/**
 * A writer of messages that lies on demand: of every suite, from fields that a test may change before they are
 * authenticated. It shares nothing with the readers but the table of suites, and follows the specification only.
 */
import { createCipheriv, createSign, ECDH, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import { type SignatureScheme, type Suite, suiteOf } from '../../src/formats/esdk/suites.ts';

export const ALL_SUITES: readonly Suite[] = [
  ...[0x0014, 0x0046, 0x0078, 0x0114, 0x0146, 0x0178, 0x0214, 0x0346, 0x0378].map((id) => ({ id, messageVersion: 1 })),
  ...[0x0478, 0x0578].map((id) => ({ id, messageVersion: 2 })),
].map(suiteOf);

/** A header's fields as they will stand in it. */
export interface HeaderFields {
  version: number;
  /** Of which version the fields behind the suite are. */
  form: number;
  type: number;
  suiteId: number;
  messageId: Buffer;
  contextSize: number;
  context: Buffer;
  keyCount: number;
  keys: Buffer;
  contentType: number;
  reserved: number;
  nonceSize: number;
  frameSize: number;
  commitment: Buffer;
  nonce: Buffer;
}

export interface FrameFields {
  kind: 'regular' | 'final' | 'block';
  number: number;
  nonce: Buffer;
  /** As the head claims it, in final frames and blocks. */
  size: number;
  plain: Buffer;
}

export interface MessageFields {
  suite: Suite;
  header: HeaderFields;
  frames: FrameFields[];
  /** Pairs that the header's tag covers although the header does not hold them, serialized. */
  unstored: Buffer;
  /** Changes the signature before it is put into the footer. */
  footer: (signature: Buffer) => Buffer;
}

export interface Recipe {
  suite: Suite;
  plain: Buffer;
  /** 0 makes a single block. */
  frameSize: number;
  context?: Record<string, string>;
  /** Serialized: count and fields. */
  encryptedDataKeys?: { count: number; bytes: Buffer };
  emptyFinalFrame?: boolean;
}

const SIGNERS = Object.fromEntries(
  (['prime256v1', 'secp384r1'] as const).map((curve) => [curve, generateKeyPairSync('ec', { namedCurve: curve })]),
);

const SOME_KEY = {
  count: 1,
  bytes: Buffer.concat([sized(Buffer.from('p')), sized(Buffer.from('i')), sized(Buffer.from('c'))]),
};

/** The fields of an honest message. */
export function fieldsOf(recipe: Recipe): MessageFields {
  const { suite, frameSize, encryptedDataKeys = SOME_KEY } = recipe;
  const context = encodePairs({ ...recipe.context, ...publicKeyPair(suite) });
  const header: HeaderFields = {
    version: suite.messageVersion,
    form: suite.messageVersion,
    type: 0x80,
    suiteId: suite.id,
    messageId: Buffer.alloc(suite.messageIdSize, 'message id'),
    contextSize: context.length,
    context,
    keyCount: encryptedDataKeys.count,
    keys: encryptedDataKeys.bytes,
    contentType: frameSize === 0 ? 1 : 2,
    reserved: 0,
    nonceSize: 12,
    frameSize,
    commitment: Buffer.alloc(0),
    nonce: Buffer.alloc(12),
  };
  return {
    suite,
    header,
    frames: framesOf(recipe),
    unstored: Buffer.alloc(0),
    footer: (signature) => Buffer.concat([u16(signature.length), signature]),
  };
}

function framesOf({ plain, frameSize, emptyFinalFrame = false }: Recipe): FrameFields[] {
  if (frameSize === 0) return [{ kind: 'block', number: 1, nonce: nonceOf(1), size: plain.length, plain }];
  const frames: FrameFields[] = [];
  let rest = plain;
  while (rest.length > frameSize || (emptyFinalFrame && rest.length === frameSize)) {
    frames.push(frame('regular', frames.length + 1, rest.subarray(0, frameSize)));
    rest = rest.subarray(frameSize);
  }
  return [...frames, frame('final', frames.length + 1, rest)];
}

export function frame(kind: FrameFields['kind'], number: number, plain: Buffer): FrameFields {
  return { kind, number, nonce: nonceOf(number), size: plain.length, plain };
}

/** The message: whatever the fields say is authenticated as if it were right. */
export function writeMessage({ suite, header, frames, unstored, footer }: MessageFields, dataKey: Buffer): Buffer {
  const { key, commitment } = keysOf(suite, dataKey, header.messageId);
  const body = headerBody({ ...header, commitment: header.commitment.length > 0 ? header.commitment : commitment });
  const { tag } = seal(key, header.nonce, Buffer.concat([body, unstored]), Buffer.alloc(0));
  const signed = Buffer.concat([
    body,
    ...(header.form === 1 ? [header.nonce] : []),
    tag,
    ...frames.map((some) => frameBytes(some, key, header.messageId)),
  ]);
  if (!suite.signature) return signed;
  return Buffer.concat([signed, footer(signatureOf(signed, suite.signature))]);
}

let last: { signed: Buffer; signature: Buffer } | undefined;

/** Signatures are random; the same bytes signed twice in a row have one, so that messages can be compared. */
function signatureOf(signed: Buffer, { curve, hash }: SignatureScheme): Buffer {
  if (last?.signed.equals(signed)) return last.signature;
  last = { signed, signature: createSign(hash).update(signed).sign(SIGNERS[curve]!.privateKey) };
  return last.signature;
}

function headerBody(fields: HeaderFields): Buffer {
  const front = fields.version === 1 ? [u8(1), u8(fields.type)] : [u8(fields.version)];
  const behind =
    fields.form === 1
      ? [u32(fields.reserved), u8(fields.nonceSize), u32(fields.frameSize)]
      : [u32(fields.frameSize), fields.commitment];
  const context = [u16(fields.contextSize), fields.context];
  const keys = [u16(fields.keyCount), fields.keys];
  return Buffer.concat([
    ...front,
    u16(fields.suiteId),
    fields.messageId,
    ...context,
    ...keys,
    u8(fields.contentType),
    ...behind,
  ]);
}

const LABELS = {
  regular: 'AWSKMSEncryptionClient Frame',
  final: 'AWSKMSEncryptionClient Final Frame',
  block: 'AWSKMSEncryptionClient Single Block',
};

function frameBytes({ kind, number, nonce, size, plain }: FrameFields, key: Buffer, messageId: Buffer): Buffer {
  const claimed = kind === 'regular' ? plain.length : size;
  const place = Buffer.concat([messageId, Buffer.from(LABELS[kind]), u32(number), u64(claimed)]);
  const { sealed, tag } = seal(key, nonce, place, plain);
  const head = {
    regular: [u32(number), nonce],
    final: [u32(0xffffffff), u32(number), nonce, u32(claimed)],
    block: [nonce, u64(claimed)],
  }[kind];
  return Buffer.concat([...head, sealed, tag]);
}

function keysOf(suite: Suite, dataKey: Buffer, messageId: Buffer): { key: Buffer; commitment: Buffer } {
  const derive = (hash: string, salt: Buffer, info: Buffer, size: number) =>
    Buffer.from(hkdfSync(hash, dataKey, salt, info, size));
  const none = Buffer.alloc(0);
  if (suite.messageVersion === 2) {
    const key = derive('sha512', messageId, Buffer.concat([u16(suite.id), Buffer.from('DERIVEKEY')]), 32);
    return { key, commitment: derive('sha512', messageId, Buffer.from('COMMITKEY'), 32) };
  }
  if (!suite.derivation) return { key: dataKey, commitment: none };
  const info = Buffer.concat([u16(suite.id), messageId]);
  return { key: derive(suite.derivation, none, info, suite.keySize), commitment: none };
}

function seal(key: Buffer, nonce: Buffer, data: Buffer, plain: Buffer): { sealed: Buffer; tag: Buffer } {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as 'aes-256-gcm', key, nonce, { authTagLength: 16 });
  cipher.setAAD(data);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { sealed, tag: cipher.getAuthTag() };
}

/** What a signed message has in its encryption context beside the user's pairs. */
export function publicKeyPair({ signature }: Suite): Record<string, string> {
  if (!signature) return {};
  const point = pointOf(SIGNERS[signature.curve]!.publicKey);
  const compressed = ECDH.convertKey(point, signature.curve, undefined, 'base64', 'compressed') as string;
  return { 'aws-crypto-public-key': compressed };
}

function pointOf(publicKey: KeyObject): Buffer {
  const { x, y } = publicKey.export({ format: 'jwk' });
  return Buffer.concat([u8(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
}

/** An encryption context as bytes, pairs in the order given. */
export function encodePairs(pairs: Record<string, string>): Buffer {
  const entries = Object.entries(pairs).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (entries.length === 0) return Buffer.alloc(0);
  return Buffer.concat([u16(entries.length), ...entries.flat().map((text) => sized(Buffer.from(text)))]);
}

function nonceOf(number: number): Buffer {
  return Buffer.concat([Buffer.alloc(8), u32(number)]);
}

export function sized(bytes: Buffer): Buffer {
  return Buffer.concat([u16(bytes.length), bytes]);
}

function u8(value: number): Buffer {
  return Buffer.from([value & 0xff]);
}

export function u16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 0xff, value & 0xff]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
