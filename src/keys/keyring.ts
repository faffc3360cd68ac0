/**
 * A keyring makes data keys and unwraps them again. It is AWS's word and AWS's idea: the data key seals the object,
 * the wrapping key (a KMS key, a raw AES key) seals the data key, and the sealed object carries the wrapped copies.
 */
import type { EncryptedDataKey } from '../formats/esdk/header.ts';

/**
 * A plain data key in memory: 32 bytes, or what the suite of an old message asks for. Whoever receives one owns it and
 * disposes of it (`using key = …`), which zeroes the bytes; keys derived from it live on as KeyObjects.
 */
export interface DataKey extends Disposable {
  readonly bytes: Buffer;
}

/** A fresh data key, and the copies of it that an object carries. */
export interface SealingMaterials extends Disposable {
  readonly dataKey: DataKey;
  /** At least one; in the order of the wrapping keys. */
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /** Where KMS made the key. */
  readonly made?: KeyMaking | undefined;
}

/** Who made a data key, and what is known of it there. */
export interface KeyMaking {
  /** ARN of the KMS key. */
  kmsKey: string;
  /** What CloudTrail knows the call by. */
  kmsRequestId?: string | undefined;
}

/** What a data key is wanted for. */
export interface KeyringRequest {
  /** Bound to every wrapped copy: must be equal when sealing and opening. */
  encryptionContext: Readonly<Record<string, string>>;
  /**
   * For an object of the S3 Encryption Client, the algorithm that seals its bytes: the data key is wrapped as that client
   * does, bound to the algorithm and under one wrapping key alone.
   */
  contentAlgorithm?: string | undefined;
  /** Plain bytes of the object the data key is for, where known: a data-key cache bounds what one key seals. */
  plainSize?: number | undefined;
  signal?: AbortSignal | undefined;
  /** False where no copy of the key may be kept for another request, or none will be asked for. */
  cacheable?: boolean | undefined;
  /**
   * Called after each call that this request makes to a service, whatever came of it: what AWS counts, retries included.
   * `requestId` is what the service's own log knows the call by, where it answered.
   */
  onCall?: ((requestId?: string) => void) | undefined;
}

/** The wrapped copies that an object carries, to be opened. */
export interface OpenKeyRequest extends KeyringRequest {
  encryptedDataKeys: readonly EncryptedDataKey[];
  /** Bytes the data key must have. Default 32. */
  dataKeySize?: number | undefined;
  /**
   * Whether the message's header is of this data key. RSA with PKCS#1 v1.5 makes something of every copy: where there
   * are several, only this tells which of them it has opened.
   */
  fits?: ((dataKey: DataKey) => boolean) | undefined;
}

/** Makes data keys and opens them. Sealift's own are made by functions; a program may bring one of its own. */
export interface Keyring {
  /** What cache entries of this keyring are filed under: equal for keyrings with equal wrapping keys. Not secret. */
  readonly id: string;

  /** Makes a fresh data key, wrapped under every wrapping key. */
  makeDataKey(request: KeyringRequest): Promise<SealingMaterials>;

  /**
   * Unwraps the first of `encryptedDataKeys` that a wrapping key of this keyring opens. Throws `wrong-key` where none
   * does, with every attempt's reason in the message; KMS failures that may pass keep their own code.
   */
  openDataKey(request: OpenKeyRequest): Promise<DataKey>;
}

/** A keyring that can also wrap what another one made: several of them can share one data key. */
export interface WrappingKeyring extends Keyring {
  /** The data key, which stays the caller's, wrapped under every wrapping key of this keyring. */
  wrapDataKey(dataKey: DataKey, request: KeyringRequest): Promise<EncryptedDataKey[]>;
}
