/**
 * Objects of the S3 Encryption Client, as a put makes them: one GCM message, and beside it in the object's metadata what
 * opens it. The suite that commits to its key is the default; the older one is for readers that know no better, and has a
 * data key of its own for every object, which seals nothing else.
 */
import { SealiftError } from '../errors.ts';
import { badContext, checkEncryptionContext } from '../formats/esdk/context.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import type { S3ecMessage } from '../formats/message.ts';
import { encodeHeader, encodeWithInstructions } from '../formats/s3ec/encode-header.ts';
import { decodeHeader, HEADER_NAMES, type ObjectHeader, parsePairs } from '../formats/s3ec/header.ts';
import { checkCommitment, deriveObjectKeys, deriveVaultKey } from '../formats/s3ec/keys.ts';
import { DEFAULT_PART_SIZE, planLayout, planPipe } from '../formats/s3ec/layout.ts';
import { COMMITTING_SUITE, GCM_SUITE, type Suite } from '../formats/s3ec/suites.ts';
import { ALGORITHM_NAME, PROVIDER_ID, WRAPPINGS, type Wrapping } from '../formats/s3ec/wrapping.ts';
import type { AttemptRow } from '../ledger/types.ts';
import { freshRandom } from '../random.ts';
import type { SealOptions } from './attempt.ts';
import type { KeyNeeds, NewMessage, NewMessageInput, PutFormat, StoredMessage } from './format.ts';
import { Vault } from './vault.ts';

/** Names that readers take for their own, and no longer compare. */
export const RESERVED_NAMES = [ALGORITHM_NAME, 'kms_cmk_id'];

export class S3ecPut implements PutFormat {
  readonly keyNeeds: KeyNeeds;
  readonly metadataNames = HEADER_NAMES;
  readonly firstPartSize: number;
  readonly #suite: Suite;
  readonly #partSize: number | undefined;
  readonly #instructionFile: boolean;

  constructor(options: SealOptions) {
    const { context = {}, frameSize, partSize, equalParts, sign, s3ecLegacy, instructionFile = false } = options;
    if (sign) throw notOfThisFormat('--sign', 'has no signatures');
    if (equalParts) throw notOfThisFormat('--equal-parts', 'may have 16 bytes more in its last part');
    if (frameSize !== undefined) throw notOfThisFormat('--frame-size', 'has no frames');
    this.#suite = s3ecLegacy ? GCM_SUITE : COMMITTING_SUITE;
    this.#partSize = partSize;
    this.#instructionFile = instructionFile;
    this.firstPartSize = partSize ?? DEFAULT_PART_SIZE;
    const { contentAlgorithm } = this.#suite;
    this.keyNeeds = {
      encryptionContext: boundContext(context, contentAlgorithm),
      contentAlgorithm,
      // In the older suite the data key itself seals: a second object under it would be a second message.
      cacheable: this.#suite.commitmentSize > 0,
    };
  }

  cutFile(plainSize: number) {
    return { format: 's3ec' as const, layout: planLayout({ plainSize, partSize: this.#partSize }) };
  }

  cutPipe({ expectedSize }: { expectedSize?: number | undefined }) {
    return { format: 's3ec' as const, layout: planPipe({ partSize: this.#partSize, expectedSize }) };
  }

  begin({ dataKey, encryptedDataKeys, cut }: NewMessageInput): NewMessage {
    const suite = this.#suite;
    const messageId = freshRandom(suite.messageIdSize);
    const keys = deriveObjectKeys({ suite, dataKey, messageId });
    const { wrapping, wrappedKey } = wrappedBy(encryptedDataKeys);
    const header: ObjectHeader = {
      version: suite.commitmentSize > 0 ? 3 : 2,
      suite,
      wrapping,
      wrappedKey,
      messageId,
      commitment: keys.commitment,
      description: this.#descriptionFor(wrapping),
    };
    const all = encodeHeader(header);
    const split = this.#instructionFile ? encodeWithInstructions(header) : { metadata: all };
    const layout = cut.layout as S3ecMessage['layout'];
    return {
      message: { format: 's3ec', layout, suite, messageId, keys },
      header: Buffer.from(JSON.stringify(all)),
      ...split,
    };
  }

  vaultOf({ messageId }: S3ecMessage, dataKey: Uint8Array): Vault {
    return new Vault(deriveVaultKey({ dataKey, messageId }));
  }

  /** KMS binds a context to the data key; with a raw key nothing would, and nobody should rely on it. */
  #descriptionFor({ name }: Wrapping): Record<string, string> {
    const { encryptionContext } = this.keyNeeds;
    if (name === 'kms+context') return { ...encryptionContext };
    if (Object.keys(encryptionContext).length === 1) return {};
    throw new SealiftError('bad-context', 'With --format s3ec and a raw key nothing would bind an encryption context', {
      hint: 'Leave --context out, or give --kms-key or --format esdk.',
    });
  }
}

/** The user's context, and the name that binds the data key to its algorithm. Throws `bad-context`. */
function boundContext(context: Readonly<Record<string, string>>, contentAlgorithm: string): Record<string, string> {
  const taken = RESERVED_NAMES.find((name) => Object.hasOwn(context, name));
  if (taken !== undefined) throw badContext(`${JSON.stringify(taken)} belongs to the S3 Encryption Client`);
  const bound = { ...context, [ALGORITHM_NAME]: contentAlgorithm };
  checkEncryptionContext(bound);
  return bound;
}

/** The one wrapped copy, as metadata names it. Throws `bad-option` where a keyring does not know this format. */
export function wrappedBy(copies: readonly EncryptedDataKey[]): { wrapping: Wrapping; wrappedKey: Buffer } {
  const [copy, ...others] = copies;
  const wrapping = WRAPPINGS.find(({ name, code }) => code && copy?.providerInfo.equals(Buffer.from(name)));
  if (wrapping && copy?.providerId === PROVIDER_ID && others.length === 0) {
    return { wrapping, wrappedKey: copy.ciphertext };
  }
  throw new SealiftError('bad-option', 'The keyring does not wrap data keys as the S3 Encryption Client does', {
    hint: 'Use a KMS key or a raw key of Sealift, or --format esdk.',
  });
}

function notOfThisFormat(option: string, why: string): SealiftError {
  return new SealiftError('bad-option', `${option} does not go with --format s3ec, which ${why}`, {
    hint: `Leave ${option} out, or give --format esdk.`,
  });
}

export function storedS3ec(row: AttemptRow & Pick<S3ecMessage, 'format' | 'layout'>): StoredMessage {
  const fields = parsePairs(Buffer.from(row.header).toString());
  if (!fields) throw new SealiftError('ledger-corrupt', 'The job holds half a header', { hint: 'Use --fresh.' });
  const { suite, wrapping, wrappedKey, messageId, commitment, description } = decodeHeader(fields);
  const providerInfo = Buffer.from(wrapping.name);
  return {
    messageId,
    keyNeeds: {
      encryptionContext: description,
      contentAlgorithm: suite.contentAlgorithm,
      cacheable: suite.commitmentSize > 0,
      encryptedDataKeys: [{ providerId: PROVIDER_ID, providerInfo, ciphertext: wrappedKey }],
    },
    open(dataKey) {
      const keys = deriveObjectKeys({ suite, dataKey, messageId });
      checkCommitment({ commitment }, keys);
      const message = { format: row.format, layout: row.layout, suite, messageId, keys };
      return { message, vault: new Vault(deriveVaultKey({ dataKey, messageId })) };
    },
  };
}
