/**
 * From a header that anyone could have written to the keys of a message that is what it says. What the user demands is
 * checked first, before a key is asked for anything; nothing of the header is trusted before the key has proven it.
 */
import { SealiftError } from '../errors.ts';
import { authenticateHeader, type MessageHeader } from '../formats/esdk/header.ts';
import { deriveMessageKeys, type MessageKeys } from '../formats/esdk/keys.ts';
import { isBoundTo, NAME_MARKER } from '../formats/esdk/message-id.ts';
import { type SignatureVerifier, verifierFor } from '../formats/esdk/signature.ts';
import { type CommitmentPolicy, checkMayRead, DEFAULT_COMMITMENT_POLICY } from '../formats/policy.ts';
import type { DataKey, Keyring, KeyringRequest } from '../keys/keyring.ts';

type Context = Readonly<Record<string, string>>;

/** What whoever opens a message demands of it, or gives to it. */
export interface OpenRules {
  /** Default `require-encrypt-require-decrypt`: messages must commit to their key. */
  commitmentPolicy?: CommitmentPolicy | undefined;
  /** Pairs that the message's encryption context must have. */
  expectContext?: Context | undefined;
  /** Pairs that the message was sealed with but does not hold: without them it does not open. */
  requiredContext?: Context | undefined;
  /** Refuse a message with more wrapped data keys. Default 100. */
  maxEncryptedDataKeys?: number | undefined;
  /** Open an object whose message is bound to another name than it has now. */
  allowRelocated?: boolean | undefined;
  /** Refuse an object whose message is bound to no name: any other writer's, and whatever came before Sealift. */
  requireBound?: boolean | undefined;
  /** Refuse an object that is not signed. */
  requireSignature?: boolean | undefined;
  /** Of S3 Encryption Clients: take data keys that are wrapped as before 2020, bound to no algorithm. */
  enableLegacyWrappingAlgorithms?: boolean | undefined;
  /** Of S3 Encryption Clients: open objects under AES-CBC, which nothing authenticates. */
  enableLegacyUnauthenticatedModes?: boolean | undefined;
}

/** What can be said of the rules before anything is opened. Throws `bad-option`. */
export function checkRules({ allowRelocated, requireBound }: OpenRules): void {
  if (!allowRelocated || !requireBound) return;
  throw new SealiftError('bad-option', '--require-bound and --allow-relocated contradict each other', {
    hint: 'Leave one of them away.',
  });
}

export interface Unlocked {
  messageId: Buffer;
  keys: MessageKeys;
  /** For a signed message: it has proven nothing yet. */
  verifier: SignatureVerifier | undefined;
}

/** Where the message was found. Without an `objectKey` there is no name that it could be bound to. */
export interface FoundAt {
  url: string;
  objectKey?: string | undefined;
}

/**
 * Unwraps the data key and authenticates the header with it. Throws `commitment-policy`, `object-unbound`, `object-unsigned`,
 * `context-mismatch` before the keyring is asked; wrong-key and what else keyrings throw; bad-header; and `object-relocated` where the message says
 * that it is bound to a name, and was found under another or under none.
 */
export async function unlock(
  header: MessageHeader,
  at: FoundAt,
  tools: { keyring: Pick<Keyring, 'openDataKey'> },
  { signal, onCall, ...rules }: OpenRules & Pick<KeyringRequest, 'signal' | 'onCall'>,
): Promise<Unlocked> {
  const { suite, encryptedDataKeys } = header;
  checkMayRead(suite, rules.commitmentPolicy ?? DEFAULT_COMMITMENT_POLICY);
  if (rules.requireBound && !isBound(header)) throw unbound(at);
  if (rules.requireSignature && !suite.signature) throw unsigned(at);
  const verifier = verifierFor(header);
  const { encryptionContext, unstored } = contextOf(header, rules);

  using dataKey = await tools.keyring.openDataKey({
    encryptionContext,
    encryptedDataKeys,
    dataKeySize: suite.keySize,
    fits: (candidate) => fits(header, candidate, unstored),
    // A key that seals without derivation is one message's: nobody else's copy of it is to be kept.
    cacheable: suite.derivation !== undefined,
    signal,
    onCall,
  });
  const keys = provenKeys(header, dataKey, unstored);
  checkName(header, at, rules);
  return { messageId: header.messageId, keys, verifier };
}

/** The message's keys, which the header has proven to be its own. Throws `bad-header`. */
function provenKeys(header: MessageHeader, { bytes }: DataKey, unstored: Context): MessageKeys {
  const keys = deriveMessageKeys({ suite: header.suite, dataKey: bytes, messageId: header.messageId });
  authenticateHeader(header, keys, unstored);
  return keys;
}

function fits(header: MessageHeader, dataKey: DataKey, unstored: Context): boolean {
  try {
    provenKeys(header, dataKey, unstored);
    return true;
  } catch (error) {
    if (SealiftError.from(error).code === 'bad-header') return false;
    throw error;
  }
}

/** The whole encryption context, and the part of it that the header does not hold. Throws `context-mismatch`. */
function contextOf({ encryptionContext: stored }: MessageHeader, rules: OpenRules) {
  const required = Object.entries(rules.requiredContext ?? {});
  const unstored = Object.fromEntries(required.filter(([name]) => !Object.hasOwn(stored, name)));
  const encryptionContext = { ...stored, ...unstored };
  for (const [name, value] of [...required, ...Object.entries(rules.expectContext ?? {})]) {
    const found = Object.hasOwn(encryptionContext, name) ? encryptionContext[name] : undefined;
    if (found !== value) throw mismatch(name, value, found);
  }
  return { encryptionContext, unstored };
}

export function mismatch(name: string, wanted: string, found: string | undefined): SealiftError {
  const has = found === undefined ? 'has no such name' : `has ${JSON.stringify(found)}`;
  const pair = JSON.stringify(`${name}=${wanted}`);
  return new SealiftError('context-mismatch', `The encryption context should have ${pair}, and ${has}`, {
    hint: 'It is another object than you expect, or --expect-context or --required-context is mistaken. `sealift inspect` shows the context.',
  });
}

/** The message says that it is bound to a name. */
export function isBound({ encryptionContext }: MessageHeader): boolean {
  const [name, value] = NAME_MARKER;
  return encryptionContext[name] === value;
}

export function unbound({ url }: FoundAt): SealiftError {
  return new SealiftError('object-unbound', `${url} is not bound to its name: it could be any other object`, {
    hint: 'Another program wrote it, or it was sealed with --format s3ec. If you expect that, leave --require-bound away.',
  });
}

export function unsigned({ url }: FoundAt): SealiftError {
  return new SealiftError('object-unsigned', `${url} is not signed: whoever may only decrypt could have made it`, {
    hint: 'It was sealed without --sign, or put in the place of one that was. If you expect that, leave --require-signature away.',
  });
}

function checkName(header: MessageHeader, { url, objectKey }: FoundAt, { allowRelocated }: OpenRules): void {
  if (!isBound(header) || allowRelocated) return;
  if (objectKey === undefined) {
    throw new SealiftError(
      'object-relocated',
      'The message is bound to an object, and a pipe does not say which it is',
      {
        hint: 'If you know where it comes from, give --allow-relocated.',
      },
    );
  }
  if (isBoundTo(header.messageId, objectKey)) return;
  throw new SealiftError('object-relocated', `${url} was sealed under another name`, {
    hint: 'Somebody moved or swapped it. If you moved it yourself, give --allow-relocated.',
  });
}
