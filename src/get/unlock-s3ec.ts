/**
 * From the header of an S3 Encryption Client's object to its keys, as unlock.ts does it for messages. A header is metadata
 * that anyone may have written, and all that proves it is the commitment, and at last the tag; so what the user has not
 * allowed by a flag is refused before a key is asked for anything.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';
import { ALLOW_FLAG, DEFAULT_COMMITMENT_POLICY } from '../formats/policy.ts';
import { badHeader, type ObjectHeader } from '../formats/s3ec/header.ts';
import { checkCommitment, DATA_KEY_SIZE, deriveObjectKeys, type ObjectKeys } from '../formats/s3ec/keys.ts';
import { ALGORITHM_NAME } from '../formats/s3ec/wrapping.ts';
import type { Keyring, KeyringRequest } from '../keys/keyring.ts';
import { s3ecCopy } from '../keys/s3ec-wrapping.ts';
import { type FoundAt, mismatch, type OpenRules, unbound, unsigned } from './unlock.ts';

/** What older clients wrote, and a flag of the official clients' names allows. */
interface Mode {
  code: ErrorCode;
  flag: string;
  what: string;
  isUsed: (header: ObjectHeader) => boolean;
  isAllowed: (rules: OpenRules) => boolean;
}

const MODES: readonly Mode[] = [
  {
    code: 'commitment-policy',
    flag: ALLOW_FLAG,
    what: 'does not commit to its key',
    isUsed: ({ suite }) => suite.commitmentSize === 0,
    isAllowed: ({ commitmentPolicy = DEFAULT_COMMITMENT_POLICY }) => commitmentPolicy !== DEFAULT_COMMITMENT_POLICY,
  },
  {
    code: 'legacy-mode',
    flag: '--enable-legacy-wrapping-algorithms',
    what: 'has its data key wrapped in a way that binds it to no algorithm',
    isUsed: ({ wrapping }) => wrapping.code === undefined,
    isAllowed: (rules) => rules.enableLegacyWrappingAlgorithms === true,
  },
  {
    code: 'legacy-mode',
    flag: '--enable-legacy-unauthenticated-modes',
    what: 'is under AES-CBC: nothing tells whether it was changed',
    isUsed: ({ suite }) => suite.tagSize === 0,
    isAllowed: (rules) => rules.enableLegacyUnauthenticatedModes === true,
  },
];

/** The flags without which an object is refused; most need none. */
export function flagsToOpen(header: ObjectHeader): string[] {
  return MODES.filter(({ isUsed }) => isUsed(header)).map(({ flag }) => flag);
}

/**
 * Unwraps the data key. Throws `commitment-policy`, `legacy-mode`, `object-unbound`, `object-unsigned`, `context-mismatch` and `bad-header`
 * before the keyring is asked; wrong-key and what else keyrings throw; and `bad-header` where the metadata commits to
 * another key.
 */
export async function unlockObject(
  header: ObjectHeader,
  at: FoundAt,
  tools: { keyring: Pick<Keyring, 'openDataKey'> },
  { signal, onCall, ...rules }: OpenRules & Pick<KeyringRequest, 'signal' | 'onCall'>,
): Promise<ObjectKeys> {
  checkModes(header, at, rules);
  if (rules.requireBound) throw unbound(at);
  if (rules.requireSignature) throw unsigned(at);
  const encryptionContext = contextOf(header);
  checkContext(encryptionContext, rules);
  checkAlgorithm(header);

  const { suite, messageId, wrapping, wrappedKey } = header;
  using dataKey = await tools.keyring.openDataKey({
    encryptionContext,
    contentAlgorithm: suite.contentAlgorithm,
    encryptedDataKeys: [s3ecCopy(wrapping.name, wrappedKey)],
    // A key that seals without derivation is one object's: nobody else's copy of it is to be kept.
    cacheable: suite.commitmentSize > 0,
    signal,
    onCall,
  });
  if (dataKey.bytes.length !== DATA_KEY_SIZE) {
    throw badHeader(`its data key has ${dataKey.bytes.length} bytes instead of ${DATA_KEY_SIZE}`);
  }
  const keys = deriveObjectKeys({ suite, dataKey: dataKey.bytes, messageId });
  checkCommitment(header, keys);
  return keys;
}

function checkModes(header: ObjectHeader, { url }: FoundAt, rules: OpenRules): void {
  const refused = MODES.find(({ isUsed, isAllowed }) => isUsed(header) && !isAllowed(rules));
  if (!refused) return;
  throw new SealiftError(refused.code, `${url} ${refused.what}`, {
    hint: `Older S3 Encryption Clients wrote such objects. If you expect one: ${flagsToOpen(header).join(' ')}`,
  });
}

/** What KMS binds to the data key. Other wrappings bind nothing that the writer says. */
export function contextOf({ wrapping, description }: ObjectHeader): Record<string, string> {
  return wrapping.name === 'kms+context' || wrapping.name === 'kms' ? description : {};
}

/** All of the context is in the object, so a pair that is required is one that is expected. Throws `context-mismatch`. */
function checkContext(context: Readonly<Record<string, string>>, { expectContext, requiredContext }: OpenRules): void {
  for (const [name, value] of Object.entries({ ...requiredContext, ...expectContext })) {
    const found = Object.hasOwn(context, name) ? context[name] : undefined;
    if (found !== value) throw mismatch(name, value, found);
  }
}

/** KMS binds the context to the data key, so the algorithm in it is the one the key was made for. */
function checkAlgorithm({ suite, wrapping, description }: ObjectHeader): void {
  const bound = description[ALGORITHM_NAME];
  if (wrapping.name !== 'kms+context' || bound === suite.contentAlgorithm) return;
  throw badHeader(`its data key was made for ${JSON.stringify(bound)}, and it says it is ${suite.contentAlgorithm}`);
}
