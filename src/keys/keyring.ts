/**
 * A keyring makes data keys and unwraps them again. It is AWS's word and AWS's idea: the data key seals the object,
 * the wrapping key (a KMS key, a raw AES key) seals the data key, and the sealed object carries the wrapped copies.
 */
import type { EncryptedDataKey } from '../formats/esdk/header.ts';

/**
 * A plain data key in memory, 32 bytes. Whoever receives one owns it and disposes of it (`using key = …`), which
 * zeroes the bytes; keys derived from it live on as KeyObjects.
 */
export interface DataKey extends Disposable {
  readonly bytes: Buffer;
}

export interface SealingMaterials extends Disposable {
  readonly dataKey: DataKey;
  /** At least one; in the order of the wrapping keys. */
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
}

export interface KeyringRequest {
  /** Bound to every wrapped copy: must be equal when sealing and opening. */
  encryptionContext: Readonly<Record<string, string>>;
  /** Plain bytes of the object the data key is for, where known: a data-key cache bounds what one key seals. */
  plainSize?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface Keyring {
  /** What cache entries of this keyring are filed under: equal for keyrings with equal wrapping keys. Not secret. */
  readonly id: string;

  /** Makes a fresh data key, wrapped under every wrapping key. */
  makeDataKey(request: KeyringRequest): Promise<SealingMaterials>;

  /**
   * Unwraps the first of `encryptedDataKeys` that a wrapping key of this keyring opens. Throws `wrong-key` where none
   * does, with every attempt's reason in the message; KMS failures that may pass keep their own code.
   */
  openDataKey(request: KeyringRequest & { encryptedDataKeys: readonly EncryptedDataKey[] }): Promise<DataKey>;
}
