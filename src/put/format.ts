/**
 * What the formats do differently when an object is put: which options they take, how they cut, what they ask of a
 * keyring, and how a data key becomes a message. One file each: put/esdk.ts, put/s3ec.ts; and put/plain.ts for what is not
 * sealed.
 */
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import type { Cut, Message } from '../formats/message.ts';
import type { KeyringRequest } from '../keys/keyring.ts';
import type { AttemptRow } from '../ledger/types.ts';
import type { SealOptions } from './attempt.ts';
import { EsdkPut, storedEsdk } from './esdk.ts';
import { PlainPut, storedPlain } from './plain.ts';
import { S3ecPut, storedS3ec } from './s3ec.ts';
import type { Vault } from './vault.ts';

/** What is asked of a keyring. */
export type KeyNeeds = Pick<KeyringRequest, 'encryptionContext' | 'contentAlgorithm' | 'cacheable'>;

export interface PutFormat {
  /** Undefined where nothing is sealed: no keyring is asked then. */
  readonly keyNeeds: KeyNeeds | undefined;
  /** Metadata that is the format's own: nobody else may write it. */
  readonly metadataNames: Iterable<string>;
  /** Cuts a file. Throws usage errors. */
  cutFile(plainSize: number): Cut;
  /** The longest a pipe may become, in parts of at most `mostPartSize` plain bytes. Throws usage errors. */
  cutPipe(limits: { mostPartSize: number; expectedSize?: number | undefined }): Cut;
  /** Plain bytes of a pipe's first parts. */
  readonly firstPartSize: number;
  /** A new message under this data key, which stays the caller's: empty where none was needed. Throws usage errors. */
  begin(input: NewMessageInput): NewMessage;
  /** Where the ledger keeps a message's secrets: of what may be resumed alone, for it costs a derivation. */
  vaultOf(message: Message, dataKey: Uint8Array): Vault;
}

export interface NewMessageInput {
  dataKey: Uint8Array;
  encryptedDataKeys: readonly EncryptedDataKey[];
  cut: Cut;
  objectKey: string;
}

export interface NewMessage {
  message: Message;
  /** What a resume reads the message from again. Of an ESDK message it leads the first part. */
  header: Buffer;
  /** What the object's metadata must say. */
  metadata: Record<string, string>;
  /** What the instruction file must say, where there is to be one. */
  instructions?: string | undefined;
}

/** An attempt's message, for whoever has its data key. */
export interface StoredMessage {
  /** Undefined where nothing is sealed. */
  messageId: Uint8Array | undefined;
  keyNeeds: (KeyNeeds & { encryptedDataKeys: readonly EncryptedDataKey[] }) | undefined;
  /** Throws `bad-header` where the data key is not the message's. */
  open(dataKey: Uint8Array): { message: Message; vault: Vault };
}

/** Where no key is needed. */
export const NO_KEY = new Uint8Array(0);

/** Throws `bad-option`, `bad-context` for what the format asked for does not have. */
export function formatFor(options: SealOptions): PutFormat {
  if (options.seal === 'none') return new PlainPut(options);
  return options.format === 's3ec' ? new S3ecPut(options) : new EsdkPut(options);
}

/** Throws `ledger-corrupt`. */
export function storedMessage(row: AttemptRow): StoredMessage {
  switch (row.format) {
    case 'esdk':
      return storedEsdk(row);
    case 's3ec':
      return storedS3ec(row);
    case 'plain':
      return storedPlain(row);
  }
}
