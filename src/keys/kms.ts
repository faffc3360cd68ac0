/**
 * A keyring over AWS KMS: the first key makes the data key, the others wrap it too, and any one of them opens it. The
 * wrapped copies are those of every AWS Encryption SDK:
 *
 *     provider id    aws-kms
 *     provider info  the key's ARN, as KMS answered it
 *     ciphertext     KMS's CiphertextBlob
 *
 * KMS is a witness, not an oracle: its answers must name the key that was asked for and hold as many bytes.
 */
import { DecryptCommand, EncryptCommand, type EncryptCommandOutput, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import { SealiftError } from '../errors.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { copyDataKey, sealingMaterials } from './data-key.ts';
import type { DataKey, Keyring, KeyringRequest, SealingMaterials } from './keyring.ts';
import { callKms, type KmsAccess } from './kms-calls.ts';
import type { KmsQuestion } from './kms-errors.ts';
import { wrongKey } from './wrong-key.ts';

const PROVIDER_ID = 'aws-kms';
const KEY_ARN = /^arn:[\w-]+:kms:[\w-]+:\d{12}:key\/[\w-]+$/;

/** Failures that say nothing about the key: they may pass, and must not be told as "wrong key". */
const MAY_PASS = new Set(['kms-throttled', 'kms-unavailable', 'credentials-expired', 'credentials-missing']);

export interface KmsKeyringInput extends KmsAccess {
  /**
   * Key ids, ARNs, aliases or alias ARNs. The first makes data keys, the others can open them too. Where all are key
   * ARNs, only these keys are asked to open; otherwise KMS is asked about any key that the message names, because an
   * alias or a bare id does not say which ARN it is. None: opens only, whatever the message names.
   */
  keyIds: readonly string[];
}

export function kmsKeyring(input: KmsKeyringInput): Keyring {
  return new KmsKeyring(input);
}

class KmsKeyring implements Keyring {
  readonly id: string;
  readonly #keyIds: readonly string[];
  readonly #access: KmsAccess;

  constructor({ keyIds, ...access }: KmsKeyringInput) {
    this.id = JSON.stringify([PROVIDER_ID, ...keyIds]);
    this.#keyIds = keyIds;
    this.#access = access;
  }

  async makeDataKey({ encryptionContext, signal }: KeyringRequest): Promise<SealingMaterials> {
    const [keyId, ...otherKeyIds] = this.#keyIds;
    if (keyId === undefined) {
      throw new SealiftError('no-key', 'No KMS key was named to make the data key with', {
        hint: 'Give --kms-key with a key id, a key ARN or an alias.',
      });
    }
    const command = new GenerateDataKeyCommand({
      KeyId: keyId,
      NumberOfBytes: DATA_KEY_SIZE,
      EncryptionContext: encryptionContext,
    });
    const asked = { operation: 'GenerateDataKey', keyId } as const;
    const answer = await callKms(this.#access, asked, (client, options) => client.send(command, options), signal);
    const first = wrappedCopy(asked, answer);
    const dataKey = takePlaintext(asked, answer.Plaintext);
    const encryptedDataKeys = [first];
    try {
      for (const otherKeyId of otherKeyIds) {
        encryptedDataKeys.push(await this.#wrap(otherKeyId, dataKey, { encryptionContext, signal }));
      }
      return sealingMaterials(dataKey, encryptedDataKeys);
    } catch (error) {
      dataKey[Symbol.dispose]();
      throw error;
    }
  }

  async openDataKey(request: KeyringRequest & { encryptedDataKeys: readonly EncryptedDataKey[] }): Promise<DataKey> {
    const { encryptedDataKeys } = request;
    const failures: SealiftError[] = [];
    for (const wrapped of encryptedDataKeys.filter((one) => this.#mayOpen(one))) {
      try {
        return await this.#unwrap(wrapped, request);
      } catch (error) {
        const failure = SealiftError.from(error);
        // Not for another key to mend: the user stopped us, or KMS's answers cannot be trusted.
        if (['interrupted', 'kms-answer-mismatch', 'internal'].includes(failure.code)) throw failure;
        failures.push(failure);
      }
    }
    const tried = this.#keyIds.length === 0 ? 'AWS KMS' : `the KMS key ${this.#keyIds.join(', ')}`;
    const reasons = failures.map((failure) => failure.message);
    if (failures.every((failure) => failure.code === 'wrong-key')) {
      throw wrongKey({ encryptedDataKeys, tried, reasons, cause: failures[0] });
    }
    throw worthTelling(failures, reasons);
  }

  async #wrap(keyId: string, dataKey: DataKey, { encryptionContext, signal }: KeyringRequest) {
    const command = new EncryptCommand({
      KeyId: keyId,
      Plaintext: dataKey.bytes,
      EncryptionContext: encryptionContext,
    });
    const asked = { operation: 'Encrypt', keyId } as const;
    return wrappedCopy(
      asked,
      await callKms(this.#access, asked, (client, options) => client.send(command, options), signal),
    );
  }

  async #unwrap(wrapped: EncryptedDataKey, { encryptionContext, signal }: KeyringRequest): Promise<DataKey> {
    const keyId = arnOf(wrapped);
    const command = new DecryptCommand({
      KeyId: keyId,
      CiphertextBlob: wrapped.ciphertext,
      EncryptionContext: encryptionContext,
    });
    const asked = { operation: 'Decrypt', keyId } as const;
    const answer = await callKms(this.#access, asked, (client, options) => client.send(command, options), signal);
    checkKeyId(asked, answer.KeyId);
    return takePlaintext(asked, answer.Plaintext);
  }

  #mayOpen(wrapped: EncryptedDataKey): boolean {
    if (wrapped.providerId !== PROVIDER_ID || !KEY_ARN.test(arnOf(wrapped))) return false;
    const comparable = this.#keyIds.length > 0 && this.#keyIds.every((keyId) => KEY_ARN.test(keyId));
    return !comparable || this.#keyIds.includes(arnOf(wrapped));
  }
}

function arnOf(wrapped: EncryptedDataKey): string {
  return wrapped.providerInfo.toString('utf8');
}

function wrappedCopy(
  asked: KmsQuestion,
  answer: Pick<EncryptCommandOutput, 'KeyId' | 'CiphertextBlob'>,
): EncryptedDataKey {
  const arn = checkKeyId(asked, answer.KeyId);
  if (!answer.CiphertextBlob?.length) throw mismatch(asked, 'it holds no wrapped data key');
  return {
    providerId: PROVIDER_ID,
    providerInfo: Buffer.from(arn),
    ciphertext: Buffer.from(answer.CiphertextBlob),
  };
}

/** The ARN in an answer; it must be the one asked for, where that was an ARN. */
function checkKeyId(asked: KmsQuestion, answered: string | undefined): string {
  if (answered === undefined || !KEY_ARN.test(answered)) throw mismatch(asked, 'it names no key');
  if (KEY_ARN.test(asked.keyId) && answered !== asked.keyId) throw mismatch(asked, `it is about ${answered}`);
  return answered;
}

/**
 * Moves a plain data key out of an answer. The bytes are zeroed there; the base64 text they came in is a string, which
 * nobody can zero, and is left to the garbage collector.
 */
function takePlaintext(asked: KmsQuestion, plaintext: Uint8Array | undefined): DataKey {
  if (plaintext?.length !== DATA_KEY_SIZE) {
    throw mismatch(asked, `it holds ${plaintext?.length ?? 0} bytes of data key instead of ${DATA_KEY_SIZE}`);
  }
  const dataKey = copyDataKey(plaintext);
  plaintext.fill(0);
  return dataKey;
}

function mismatch({ operation, keyId }: KmsQuestion, reason: string): SealiftError {
  return new SealiftError('kms-answer-mismatch', `KMS ${operation} ${keyId}: the answer does not fit: ${reason}`, {
    hint: 'Check the KMS endpoint: whatever answers there does not behave as AWS KMS. Nothing was sealed or opened.',
  });
}

/** Of several attempts' failures the one that may pass, else the first that is more than "wrong key", with all reasons. */
function worthTelling(failures: readonly SealiftError[], reasons: readonly string[]): SealiftError {
  const telling =
    failures.find((failure) => MAY_PASS.has(failure.code)) ?? failures.find((failure) => failure.code !== 'wrong-key')!;
  if (failures.length === 1) return telling;
  return new SealiftError(telling.code, reasons.join('; '), { hint: telling.hint, cause: telling });
}
