/**
 * The keys of one message. A data key may serve many messages; what touches bytes is derived from it for each message
 * id, so that no two messages share a key. The message carries a commitment to its key, which makes it impossible to
 * craft one message that two data keys open differently. Older suites do less of this, and are only read.
 */
import { createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { COMMITTING_SUITE, type Suite, suiteIdBytes } from './suites.ts';

/** Of the data keys that we make. */
export const DATA_KEY_SIZE = COMMITTING_SUITE.keySize;
/** Of what is derived beside the frame key. */
const DERIVED_SIZE = 32;

/** Labels of the derivation. The suite id stands before DERIVEKEY and not before COMMITKEY: the format says so. */
const COMMITMENT_LABEL = Buffer.from('COMMITKEY');
const FRAME_KEY_LABEL = Buffer.from('DERIVEKEY');
const LEDGER_KEY_LABEL = Buffer.from('sealift ledger v1');
const VAULT_KEY_LABEL = Buffer.from('sealift vault v1');

export interface MessageKeys {
  /** AES of the suite's key size: seals the header's tag and the frames. */
  frameKey: KeyObject;
  /** Public: the header carries it. 32 bytes, or none in suites that do not commit. */
  commitment: Buffer;
  /** Ours, not the format's: fingerprints are made under it, and it opens nothing. */
  ledgerKey: KeyObject;
}

/**
 * AES-256: seals what the ledger must keep secret and a resume needs again, so that only who can unwrap the data key can
 * go on. Ours, not the format's: its label makes it another key than the one that seals header and frames, and so no
 * nonce of the vault can meet one of theirs.
 */
export function deriveVaultKey({ dataKey, messageId }: { dataKey: Uint8Array; messageId: Uint8Array }): KeyObject {
  return intoKeyObject(Buffer.from(hkdfSync('sha512', dataKey, messageId, VAULT_KEY_LABEL, DERIVED_SIZE)));
}

/** Derives a message's keys, of the suite we write unless another is named. `dataKey` stays the caller's, who zeroes it. */
export function deriveMessageKeys(input: {
  suite?: Suite | undefined;
  dataKey: Uint8Array;
  messageId: Uint8Array;
}): MessageKeys {
  const { suite = COMMITTING_SUITE, dataKey, messageId } = input;
  if (dataKey.length !== suite.keySize) {
    throw new RangeError(`dataKey: expected ${suite.keySize} bytes, got ${dataKey.length}`);
  }
  if (messageId.length !== suite.messageIdSize) {
    throw new RangeError(`messageId: expected ${suite.messageIdSize} bytes, got ${messageId.length}`);
  }
  // From bytes each derivation would make such a key again, which takes Node longer than to derive.
  const root = createSecretKey(dataKey);
  const derive = (label: Buffer) => Buffer.from(hkdfSync('sha512', root, messageId, label, DERIVED_SIZE));
  return {
    frameKey: intoKeyObject(frameKeyBytes(suite, root, messageId)),
    commitment: derive(COMMITMENT_LABEL).subarray(0, suite.commitmentSize),
    ledgerKey: intoKeyObject(derive(LEDGER_KEY_LABEL)),
  };
}

/** The message id is the salt in suites that commit, and part of the label in older ones. */
function frameKeyBytes(suite: Suite, root: KeyObject, messageId: Uint8Array): Buffer {
  const { derivation, keySize, commitmentSize } = suite;
  if (derivation === undefined) return root.export();
  const id = suiteIdBytes(suite);
  const [salt, label] =
    commitmentSize > 0
      ? [messageId, Buffer.concat([id, FRAME_KEY_LABEL])]
      : [Buffer.alloc(0), Buffer.concat([id, messageId])];
  return Buffer.from(hkdfSync(derivation, root, salt, label, keySize));
}

/** Moves key bytes into a KeyObject: they live on there alone. */
function intoKeyObject(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** Throws `bad-header` unless the header commits to these keys. Nothing else may be done with them before. */
export function checkCommitment(header: { commitment: Uint8Array }, keys: Pick<MessageKeys, 'commitment'>): void {
  if (!timingSafeEqual(header.commitment, keys.commitment)) {
    throw new SealiftError('bad-header', 'The header commits to another key than the one its data key gives', {
      hint: 'The header was changed, or its encrypted data keys belong to another message. Fetch another version or another copy of the object.',
    });
  }
}
