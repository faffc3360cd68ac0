/**
 * The header of an ESDK message, format version 2: who may open the message, under which encryption context, in
 * frames of which size. Its types come first: keyrings need them.
 */

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
  /** Plain bytes in every frame but the last. */
  frameSize: number;
  /** 32 bytes: what the message key commits to. */
  commitment: Buffer;
  /** The header without its tag, exactly as read or written: it is what the tag authenticates. */
  body: Buffer;
  /** 16 bytes. */
  authTag: Buffer;
}
