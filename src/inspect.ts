/** `inspect`: what a sealed object says about itself, to anyone, without a key. Nothing here is authenticated. */
import { headerBytes } from './formats/esdk/header.ts';
import { NAME_MARKER } from './formats/esdk/message-id.ts';
import { findObject } from './get/object.ts';
import type { Tools } from './job.ts';
import { keyNameOf } from './keys/raw-aes-info.ts';

export interface Inspection {
  object: string;
  format: 'esdk';
  messageVersion: number;
  suite: string;
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
  etag: string;
  versionId: string | null;
  /** Hexadecimal, as the store confirms it. */
  crc32: string | null;
  storageClass: string | null;
  contentType: string | null;
  lastModified: string | null;
  metadata: Readonly<Record<string, string>>;
}

export async function inspect(
  url: string,
  tools: Tools,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Inspection> {
  const place = await tools.place(url);
  const { info, header, layout } = await findObject(place, options);
  const { suite } = header;
  return {
    object: place.url,
    format: 'esdk',
    messageVersion: suite.messageVersion,
    suite: suite.name,
    messageId: header.messageId.toString('hex'),
    encryptionContext: header.encryptionContext,
    keys: header.encryptedDataKeys.map((key) => ({ provider: key.providerId, key: keyNameOf(key) })),
    boundToName: header.encryptionContext[NAME_MARKER[0]] === NAME_MARKER[1],
    frameSize: header.frameSize,
    frames: layout.frameCount,
    headerBytes: headerBytes(header).length,
    plainBytes: layout.plainSize,
    sealedBytes: layout.sealedSize,
    etag: info.etag,
    versionId: info.versionId ?? null,
    crc32: info.crc32?.toString(16).padStart(8, '0') ?? null,
    storageClass: info.storageClass ?? null,
    contentType: info.contentType ?? null,
    lastModified: info.lastModified?.toISOString() ?? null,
    metadata: info.metadata,
  };
}
