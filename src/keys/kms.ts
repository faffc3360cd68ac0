/**
 * A keyring over AWS KMS: the first key makes the data key, the others wrap it too, and any one of them opens it. The
 * wrapped copies are those of every AWS Encryption SDK:
 *
 *     provider id    aws-kms
 *     provider info  the key's ARN, as KMS answered it
 *     ciphertext     KMS's CiphertextBlob
 *
 * Those of the S3 Encryption Client do not name their key: KMS is asked about the keys that were named, or, where none
 * was, about whichever wrapped it.
 *
 * KMS is a witness, not an oracle: its answers must name the key that was asked for and hold as many bytes.
 */
import { DecryptCommand, EncryptCommand, type EncryptCommandOutput, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import { SealiftError } from '../errors.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { firstToOpen } from './attempts.ts';
import { copyDataKey, sealingMaterials } from './data-key.ts';
import type { DataKey, KeyringRequest, OpenKeyRequest, SealingMaterials, WrappingKeyring } from './keyring.ts';
import { type DiscoveryFilter, inRegion, isKeyArn, isSameKey, passes } from './kms-arn.ts';
import { callKms, type KmsAccess } from './kms-calls.ts';
import { type KmsQuestion, requestIdOf } from './kms-errors.ts';
import { checkOneKey, isKmsWrapped, s3ecCopy } from './s3ec-wrapping.ts';
import { wrongKey } from './wrong-key.ts';

const PROVIDER_ID = 'aws-kms';

export interface KmsKeyringInput extends KmsAccess {
  /**
   * Key ids, ARNs, aliases or alias ARNs. The first makes data keys, the others can open them too. Where all are key
   * ARNs, only these keys are asked to open; otherwise KMS is asked about any key that the message names, because an
   * alias or a bare id does not say which ARN it is. None: opens only, whatever the message names. A multi-Region key
   * stands for its replicas too.
   */
  keyIds: readonly string[];
  /** Which keys KMS may be asked about that are not in `keyIds`. All where absent. */
  discovery?: DiscoveryFilter | undefined;
  /** Of the client: where a multi-Region key that nobody named is asked about. */
  region?: string | undefined;
  /** Of grants too young for all of KMS to know them. */
  grantTokens?: readonly string[] | undefined;
}

export function kmsKeyring(input: KmsKeyringInput): WrappingKeyring {
  return new KmsKeyring(input);
}

class KmsKeyring implements WrappingKeyring {
  readonly id: string;
  readonly #keyIds: readonly string[];
  readonly #discovery: DiscoveryFilter | undefined;
  readonly #region: string | undefined;
  readonly #grants: { GrantTokens?: string[] };
  readonly #access: KmsAccess;

  constructor({ keyIds, discovery, region, grantTokens = [], ...access }: KmsKeyringInput) {
    this.id = JSON.stringify([PROVIDER_ID, ...keyIds]);
    this.#keyIds = keyIds;
    this.#discovery = discovery;
    this.#region = region;
    this.#grants = grantTokens.length > 0 ? { GrantTokens: [...grantTokens] } : {};
    this.#access = access;
  }

  async makeDataKey(request: KeyringRequest): Promise<SealingMaterials> {
    const { encryptionContext, contentAlgorithm } = request;
    const [keyId, ...otherKeyIds] = this.#keyIds;
    if (keyId === undefined) {
      throw new SealiftError('no-key', 'No KMS key was named to make the data key with', {
        hint: 'Give --kms-key with a key id, a key ARN or an alias.',
      });
    }
    if (contentAlgorithm !== undefined) checkOneKey(this.#keyIds.length);
    const command = new GenerateDataKeyCommand({
      KeyId: keyId,
      NumberOfBytes: DATA_KEY_SIZE,
      EncryptionContext: encryptionContext,
      ...this.#grants,
    });
    const asked = { operation: 'GenerateDataKey', keyId } as const;
    const answer = await callKms(this.#access, asked, (client, options) => client.send(command, options), request);
    const first = wrappedCopy(asked, answer, request);
    const dataKey = takePlaintext(asked, answer.Plaintext, DATA_KEY_SIZE);
    try {
      const encryptedDataKeys = [first, ...(await this.#wrapUnder(otherKeyIds, dataKey, request))];
      const made = { kmsKey: checkKeyId(asked, answer.KeyId), kmsRequestId: requestIdOf(answer) };
      return sealingMaterials(dataKey, encryptedDataKeys, made);
    } catch (error) {
      dataKey[Symbol.dispose]();
      throw error;
    }
  }

  wrapDataKey(dataKey: DataKey, request: KeyringRequest): Promise<EncryptedDataKey[]> {
    return this.#wrapUnder(this.#keyIds, dataKey, request);
  }

  openDataKey(request: OpenKeyRequest): Promise<DataKey> {
    const { encryptedDataKeys } = request;
    const attempts = encryptedDataKeys.flatMap((wrapped) =>
      this.#keysToAsk(wrapped).map((keyId) => () => this.#unwrap(wrapped, keyId, request)),
    );
    const tried = this.#keyIds.length === 0 ? 'AWS KMS' : `the KMS key ${this.#keyIds.join(', ')}`;
    return firstToOpen(attempts, { encryptedDataKeys, tried });
  }

  async #wrapUnder(keyIds: readonly string[], dataKey: DataKey, request: KeyringRequest): Promise<EncryptedDataKey[]> {
    const wrapped: EncryptedDataKey[] = [];
    for (const keyId of keyIds) wrapped.push(await this.#wrap(keyId, dataKey, request));
    return wrapped;
  }

  async #wrap(keyId: string, dataKey: DataKey, request: KeyringRequest) {
    const { encryptionContext } = request;
    const command = new EncryptCommand({
      KeyId: keyId,
      Plaintext: dataKey.bytes,
      EncryptionContext: encryptionContext,
      ...this.#grants,
    });
    const asked = { operation: 'Encrypt', keyId } as const;
    const answer = await callKms(this.#access, asked, (client, options) => client.send(command, options), request);
    return wrappedCopy(asked, answer, request);
  }

  /** Without `keyId` KMS finds the key itself. */
  async #unwrap(wrapped: EncryptedDataKey, keyId: string | undefined, request: OpenKeyRequest): Promise<DataKey> {
    const { encryptionContext, dataKeySize = DATA_KEY_SIZE } = request;
    const command = new DecryptCommand({
      KeyId: keyId,
      CiphertextBlob: wrapped.ciphertext,
      EncryptionContext: encryptionContext,
      ...this.#grants,
    });
    const asked = { operation: 'Decrypt', keyId: keyId ?? 'without a key id' } as const;
    const answer = await callKms(this.#access, asked, (client, options) => client.send(command, options), request);
    const arn = checkKeyId(asked, answer.KeyId);
    if (keyId === undefined && this.#discovery && !passes(arn, this.#discovery)) {
      answer.Plaintext?.fill(0);
      throw wrongKey({ encryptedDataKeys: [wrapped], tried: `${arn}, which is not to be used` });
    }
    return takePlaintext(asked, answer.Plaintext, dataKeySize);
  }

  /** The keys to ask KMS about for a wrapped copy: none where it is for none of ours, undefined for any. */
  #keysToAsk(wrapped: EncryptedDataKey): readonly (string | undefined)[] {
    if (isKmsWrapped(wrapped)) return this.#keyIds.length > 0 ? this.#keyIds : [undefined];
    const arn = this.#arnToAsk(wrapped);
    return arn === undefined ? [] : [arn];
  }

  /** As `#keysToAsk`, for a copy that names its key. */
  #arnToAsk(wrapped: EncryptedDataKey): string | undefined {
    const arn = arnOf(wrapped);
    if (wrapped.providerId !== PROVIDER_ID || !isKeyArn(arn)) return undefined;
    const named = this.#keyIds.find((keyId) => isSameKey(keyId, arn));
    if (named !== undefined) return named;
    const isComparable = this.#keyIds.length > 0 && this.#keyIds.every(isKeyArn);
    if (isComparable || (this.#discovery && !passes(arn, this.#discovery))) return undefined;
    return this.#region === undefined ? arn : inRegion(arn, this.#region);
  }
}

function arnOf(wrapped: EncryptedDataKey): string {
  return wrapped.providerInfo.toString('utf8');
}

function wrappedCopy(
  asked: KmsQuestion,
  answer: Pick<EncryptCommandOutput, 'KeyId' | 'CiphertextBlob'>,
  { contentAlgorithm }: KeyringRequest,
): EncryptedDataKey {
  const arn = checkKeyId(asked, answer.KeyId);
  if (!answer.CiphertextBlob?.length) throw mismatch(asked, 'it holds no wrapped data key');
  const ciphertext = Buffer.from(answer.CiphertextBlob);
  if (contentAlgorithm !== undefined) return s3ecCopy('kms+context', ciphertext);
  return { providerId: PROVIDER_ID, providerInfo: Buffer.from(arn), ciphertext };
}

/** The ARN in an answer; it must be the one asked for, where that was an ARN. */
function checkKeyId(asked: KmsQuestion, answered: string | undefined): string {
  if (answered === undefined || !isKeyArn(answered)) throw mismatch(asked, 'it names no key');
  if (isKeyArn(asked.keyId) && answered !== asked.keyId) throw mismatch(asked, `it is about ${answered}`);
  return answered;
}

/**
 * Moves a plain data key out of an answer. The bytes are zeroed there; the base64 text they came in is a string, which
 * nobody can zero, and is left to the garbage collector.
 */
function takePlaintext(asked: KmsQuestion, plaintext: Uint8Array | undefined, size: number): DataKey {
  if (plaintext?.length !== size) {
    throw mismatch(asked, `it holds ${plaintext?.length ?? 0} bytes of data key instead of ${size}`);
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
