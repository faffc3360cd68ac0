/** Messages of the AWS Encryption SDK, as a put makes them: framed, committing, bound to the object's name. */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { badContext, PUBLIC_KEY_NAME } from '../formats/esdk/context.ts';
import {
  authenticateHeader,
  checkEncryptionContext,
  decodeHeader,
  encodeHeader,
  headerBytes,
} from '../formats/esdk/header.ts';
import { checkCommitment, deriveMessageKeys, deriveVaultKey } from '../formats/esdk/keys.ts';
import { DEFAULT_PART_SIZE, type Layout } from '../formats/esdk/layout.ts';
import { boundMessageId, NAME_MARKER } from '../formats/esdk/message-id.ts';
import { DEFAULT_FRAME_SIZE, planLayout, planPipe, withHeader } from '../formats/esdk/plan.ts';
import { COMMITTING_SUITE, SIGNING_SUITE } from '../formats/esdk/suites.ts';
import type { EsdkMessage } from '../formats/message.ts';
import type { AttemptRow } from '../ledger/types.ts';
import { freshRandom } from '../random.ts';
import type { SealOptions } from './attempt.ts';
import type { KeyNeeds, NewMessage, NewMessageInput, PutFormat, StoredMessage } from './format.ts';
import { makeSigningKey, publicTextOf } from './signing-key.ts';
import { Vault } from './vault.ts';

/** The header's size is known only with its keys; this much is assumed when a plan is checked before they are made. */
const TYPICAL_HEADER_SIZE = 1024;

export class EsdkPut implements PutFormat {
  readonly keyNeeds: KeyNeeds;
  readonly metadataNames: readonly string[] = [];
  readonly firstPartSize: number;
  readonly signingKey: KeyObject | undefined;
  readonly #frameSize: number;
  readonly #partSize: number | undefined;
  readonly #equalParts: boolean | undefined;

  constructor(options: SealOptions) {
    const { frameSize = DEFAULT_FRAME_SIZE, partSize, equalParts, sign, s3ecLegacy, instructionFile } = options;
    if (equalParts && sign) {
      throw new SealiftError('bad-option', 'The parts of a signed object cannot be equal', {
        hint: 'How long its signature will be is not known beforehand. Leave out --sign or --equal-parts.',
      });
    }
    if (s3ecLegacy || instructionFile) {
      const flag = s3ecLegacy ? '--s3ec-legacy' : '--instruction-file';
      throw new SealiftError('bad-option', `${flag} is for --format s3ec`, {
        hint: 'Give --format s3ec too, or leave it out.',
      });
    }
    this.#frameSize = frameSize;
    this.#partSize = partSize;
    this.#equalParts = equalParts;
    this.firstPartSize = partSize ?? DEFAULT_PART_SIZE;
    this.signingKey = sign ? makeSigningKey() : undefined;
    // The context of a signed message is like no other's: nobody will ask for this key again.
    this.keyNeeds = { encryptionContext: markedContext(options, this.signingKey), cacheable: !this.signingKey };
  }

  cutFile(plainSize: number) {
    const sizes = { frameSize: this.#frameSize, partSize: this.#partSize, headerSize: TYPICAL_HEADER_SIZE };
    const equalParts = this.#equalParts;
    return { format: 'esdk' as const, layout: planLayout({ plainSize, equalParts, ...sizes }) };
  }

  cutPipe(limits: { mostPartSize: number; expectedSize?: number | undefined }) {
    if (this.#equalParts) {
      throw new SealiftError('bad-option', 'The parts of a pipe grow: they cannot be equal', {
        hint: 'Write it into a file, and put that with --equal-parts.',
      });
    }
    const sizes = { frameSize: this.#frameSize, partSize: this.firstPartSize, headerSize: TYPICAL_HEADER_SIZE };
    return { format: 'esdk' as const, layout: planPipe({ ...limits, ...sizes }) };
  }

  begin({ dataKey, encryptedDataKeys, cut, objectKey }: NewMessageInput): NewMessage {
    const { encryptionContext } = this.keyNeeds;
    const suite = this.signingKey ? SIGNING_SUITE : COMMITTING_SUITE;
    const messageId = boundMessageId({ random: freshRandom(16), objectKey });
    const keys = deriveMessageKeys({ suite, dataKey, messageId });
    const frameSize = this.#frameSize;
    const header = headerBytes(
      encodeHeader({ suite, messageId, encryptionContext, encryptedDataKeys, frameSize, keys }),
    );
    const layout = withHeader(cut.layout as Layout, header.length);
    return { message: { format: 'esdk', layout, messageId, keys }, header, metadata: {} };
  }

  vaultOf({ messageId }: EsdkMessage, dataKey: Uint8Array): Vault {
    return new Vault(deriveVaultKey({ dataKey, messageId }));
  }
}

/** The user's context, our mark, and the public key where there is one. Throws `bad-context`. */
function markedContext({ context = {} }: SealOptions, signingKey: KeyObject | undefined): Record<string, string> {
  const [name, value] = NAME_MARKER;
  if (Object.hasOwn(context, name)) throw badContext(`${JSON.stringify(name)} is a name that Sealift gives itself`);
  const marked = { ...context, [name]: value };
  checkEncryptionContext(marked);
  if (!signingKey) return marked;
  const signed = { ...marked, [PUBLIC_KEY_NAME]: publicTextOf(signingKey) };
  checkEncryptionContext(signed, { isSigned: true });
  return signed;
}

export function storedEsdk(row: AttemptRow & Pick<EsdkMessage, 'format' | 'layout'>): StoredMessage {
  const header = decodeHeader(row.header);
  if (!header) throw new SealiftError('ledger-corrupt', 'The job holds half a header', { hint: 'Use --fresh.' });
  const { suite, encryptionContext, encryptedDataKeys, messageId } = header;
  return {
    keyNeeds: { encryptionContext, encryptedDataKeys },
    messageId,
    open(dataKey) {
      const keys = deriveMessageKeys({ suite, dataKey, messageId });
      checkCommitment(header, keys);
      authenticateHeader(header, keys);
      const message = { format: row.format, layout: row.layout, messageId, keys };
      return { message, vault: new Vault(deriveVaultKey({ dataKey, messageId })) };
    },
  };
}
