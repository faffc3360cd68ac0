/** `inspect`: what a sealed object says about itself, to anyone, without a key. Nothing here is authenticated. */
import type { KeyObject } from 'node:crypto';
import { headerBytes, type MessageHeader } from './formats/esdk/header.ts';
import type { Layout } from './formats/esdk/layout.ts';
import { MAX_FOOTER_SIZE } from './formats/esdk/signature.ts';
import type { Format } from './formats/names.ts';
import { ALLOW_FLAG } from './formats/policy.ts';
import {
  type FoundObject,
  findAny,
  layoutOfMessage,
  refuseVersion,
  type S3ecObject,
  type UnsealedObject,
} from './get/object.ts';
import { plainSizeOf } from './get/s3ec-header.ts';
import { streamOfPipe } from './get/stream.ts';
import { isBound, type OpenRules } from './get/unlock.ts';
import { contextOf, flagsToOpen } from './get/unlock-s3ec.ts';
import { type Tools, underKey } from './job.ts';
import { keyNameOf } from './keys/raw-aes-info.ts';
import type { ServerEncryption } from './stores/encryption.ts';

/** What an object says about itself. Only who opens it knows whether it is true. */
export interface Inspection {
  object: string;
  /** A message of the AWS Encryption SDK, or an object of the S3 Encryption Client; `none` where it says that it is not sealed. */
  format: Format | 'none';
  /** Of the message, or of the metadata. */
  messageVersion: number;
  suite: string;
  /** The header commits to its key: what every suite of message version 2 does. */
  commits: boolean;
  signed: boolean;
  messageId: string;
  encryptionContext: Record<string, string>;
  /** Who can open it. `key` is a KMS key's ARN or a raw key's name. */
  keys: { provider: string; key: string }[];
  /** The message says it is bound to the object's name. */
  boundToName: boolean;
  /** Of an S3 Encryption Client's object: how its data key is wrapped. It does not name the wrapping key. */
  wrapping: string | null;
  /** As `wrapping`: what the writer says of its raw wrapping key. */
  description: Record<string, string>;
  /** As `wrapping`: the data key is in a file of its own beside the object. */
  instructionFile: boolean;
  /** Flags without which get refuses it. */
  needs: string[];
  /** 0 where the message is a single block, which counts as one frame. */
  frameSize: number;
  frames: number;
  headerBytes: number;
  /** Null where only opening it tells. */
  plainBytes: number | null;
  sealedBytes: number;
  /** This and what follows is what a store says. Of a pipe there is none. */
  etag: string | null;
  versionId: string | null;
  /** Hexadecimal, as the store confirms it. */
  crc32: string | null;
  storageClass: string | null;
  /** How the server says that it has encrypted the object at rest. */
  sse: ServerEncryption | null;
  contentType: string | null;
  lastModified: string | null;
  metadata: Readonly<Record<string, string>>;
}

/** When to refuse a message, and when to stop. */
export type InspectOptions = Pick<OpenRules, 'maxEncryptedDataKeys'> & {
  /** Of an S3 bucket with versions: this one of the object, instead of the newest. */
  versionId?: string | undefined;
  /** With which S3 has encrypted it (SSE-C). */
  customerKey?: KeyObject | undefined;
  signal?: AbortSignal | undefined;
};

/** Of a pipe all is read, to know how large the message is. */
export async function inspect(
  source: string | AsyncIterable<Uint8Array>,
  tools: Tools,
  options: InspectOptions = {},
): Promise<Inspection> {
  if (typeof source !== 'string') {
    refuseVersion(options);
    return inspectPipe(source, options);
  }
  const place = underKey(await tools.place(source), options.customerKey);
  const found = await findAny(place, options);
  const { info } = found;
  return {
    object: place.url,
    ...inspectFound(found),
    etag: info.etag,
    versionId: info.versionId ?? null,
    crc32: info.crc32?.toString(16).padStart(8, '0') ?? null,
    storageClass: info.storageClass ?? null,
    sse: info.sse ?? null,
    contentType: info.contentType ?? null,
    lastModified: info.lastModified?.toISOString() ?? null,
    metadata: info.metadata,
  };
}

function inspectFound(found: FoundObject) {
  switch (found.format) {
    case 'esdk':
      return inspectMessage({ ...found, size: found.info.size });
    case 's3ec':
      return inspectObject(found);
    case 'plain':
      return inspectUnsealed(found);
  }
}

async function inspectPipe(source: AsyncIterable<Uint8Array>, options: InspectOptions): Promise<Inspection> {
  const { at, header, body } = await streamOfPipe(source, options);
  let size = headerBytes(header).length;
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of body) {
    size += chunk.length;
    tail = Buffer.concat([tail, chunk]).subarray(-MAX_FOOTER_SIZE);
  }
  const layout = layoutOfMessage({ url: at.url, header, size, tail });
  const unknown = {
    etag: null,
    versionId: null,
    crc32: null,
    storageClass: null,
    sse: null,
    contentType: null,
    lastModified: null,
  };
  return { object: at.url, ...inspectMessage({ header, layout, size }), ...unknown, metadata: {} };
}

function inspectMessage({ header, layout, size }: { header: MessageHeader; layout: Layout; size: number }) {
  const { suite, messageId, encryptionContext, encryptedDataKeys, frameSize } = header;
  return {
    ...NOT_S3EC,
    format: 'esdk' as const,
    messageVersion: suite.messageVersion,
    suite: suite.name,
    commits: suite.commitmentSize > 0,
    needs: suite.commitmentSize > 0 ? [] : [ALLOW_FLAG],
    signed: suite.signature !== undefined,
    messageId: messageId.toString('hex'),
    encryptionContext,
    keys: encryptedDataKeys.map((key) => ({ provider: key.providerId, key: keyNameOf(key) })),
    boundToName: isBound(header),
    frameSize,
    frames: layout.frameCount,
    headerBytes: headerBytes(header).length,
    plainBytes: layout.plainSize,
    sealedBytes: size,
  };
}

/** What an S3 Encryption Client's object has, and a message has not. */
const NOT_S3EC = { wrapping: null, description: {}, instructionFile: false };

function inspectObject({ header, hasInstructionFile, info }: S3ecObject) {
  const { version, suite, messageId, wrapping, description } = header;
  const context = contextOf(header);
  return {
    format: 's3ec' as const,
    messageVersion: version,
    suite: suite.name,
    commits: suite.commitmentSize > 0,
    signed: false,
    messageId: messageId.toString('hex'),
    encryptionContext: context,
    keys: [],
    boundToName: false,
    wrapping: wrapping.name,
    description: context === description ? {} : description,
    instructionFile: hasInstructionFile,
    needs: flagsToOpen(header),
    frameSize: 0,
    frames: 1,
    headerBytes: 0,
    plainBytes: plainSizeOf(header, info.size, info.metadata) ?? null,
    sealedBytes: info.size,
  };
}

function inspectUnsealed({ info }: UnsealedObject) {
  return {
    ...NOT_S3EC,
    format: 'none' as const,
    messageVersion: 0,
    suite: 'none',
    commits: false,
    signed: false,
    messageId: '',
    encryptionContext: {},
    keys: [],
    boundToName: false,
    needs: ['--seal none'],
    frameSize: 0,
    frames: 0,
    headerBytes: 0,
    plainBytes: info.size,
    sealedBytes: info.size,
  };
}
