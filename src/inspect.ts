/** `inspect`: what a sealed object says about itself, to anyone, without a key. Nothing here is authenticated. */
import { headerBytes, type MessageHeader } from './formats/esdk/header.ts';
import type { Layout } from './formats/esdk/layout.ts';
import { MAX_FOOTER_SIZE } from './formats/esdk/signature.ts';
import { findObject, layoutOfMessage, refuseVersion } from './get/object.ts';
import { streamOfPipe } from './get/stream.ts';
import { isBound, type OpenRules } from './get/unlock.ts';
import type { Tools } from './job.ts';
import { keyNameOf } from './keys/raw-aes-info.ts';

/** What an object says about itself. Only who opens it knows whether it is true. */
export interface Inspection {
  object: string;
  format: 'esdk';
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
  /** 0 where the message is a single block, which counts as one frame. */
  frameSize: number;
  frames: number;
  headerBytes: number;
  plainBytes: number;
  sealedBytes: number;
  /** This and what follows is what a store says. Of a pipe there is none. */
  etag: string | null;
  versionId: string | null;
  /** Hexadecimal, as the store confirms it. */
  crc32: string | null;
  storageClass: string | null;
  contentType: string | null;
  lastModified: string | null;
  metadata: Readonly<Record<string, string>>;
}

/** When to refuse a message, and when to stop. */
export type InspectOptions = Pick<OpenRules, 'maxEncryptedDataKeys'> & {
  /** Of an S3 bucket with versions: this one of the object, instead of the newest. */
  versionId?: string | undefined;
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
  const place = await tools.place(source);
  const { info, header, layout } = await findObject(place, options);
  return {
    object: place.url,
    ...inspectMessage({ header, layout, size: info.size }),
    etag: info.etag,
    versionId: info.versionId ?? null,
    crc32: info.crc32?.toString(16).padStart(8, '0') ?? null,
    storageClass: info.storageClass ?? null,
    contentType: info.contentType ?? null,
    lastModified: info.lastModified?.toISOString() ?? null,
    metadata: info.metadata,
  };
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
    contentType: null,
    lastModified: null,
  };
  return { object: at.url, ...inspectMessage({ header, layout, size }), ...unknown, metadata: {} };
}

function inspectMessage({ header, layout, size }: { header: MessageHeader; layout: Layout; size: number }) {
  const { suite, messageId, encryptionContext, encryptedDataKeys, frameSize } = header;
  return {
    format: 'esdk' as const,
    messageVersion: suite.messageVersion,
    suite: suite.name,
    commits: suite.commitmentSize > 0,
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
