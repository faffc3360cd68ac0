/**
 * The keys of one object. In the suite that commits, what touches bytes is derived from the data key for each message
 * id, so that a data key may serve many objects; in older suites the data key itself does. The labels are not those of
 * the ESDK: here the suite's id stands before both.
 */
import { createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import type { GcmMessage } from '../gcm/message.ts';
import type { Suite } from './suites.ts';

export const DATA_KEY_SIZE = 32;

const COMMITMENT_LABEL = 'COMMITKEY';
const CONTENT_KEY_LABEL = 'DERIVEKEY';
const LEDGER_KEY_LABEL = 'sealift ledger v1';
const VAULT_KEY_LABEL = 'sealift vault v1';

/** The IV of all objects that have a key of their own. */
const COMMITTING_IV = Buffer.alloc(12, 1);

export interface ObjectKeys {
  /** AES-256: seals the object's bytes. */
  contentKey: KeyObject;
  /** Public: the metadata carries it. Empty in suites that do not commit. */
  commitment: Buffer;
  /** Ours, not the format's: fingerprints are made under it, and it opens nothing. */
  ledgerKey: KeyObject;
}

/** AES-256, ours too: seals what the ledger must keep secret, the hashes of parts. */
export function deriveVaultKey({ dataKey, messageId }: { dataKey: Uint8Array; messageId: Uint8Array }): KeyObject {
  return intoKeyObject(Buffer.from(hkdfSync('sha512', dataKey, messageId, VAULT_KEY_LABEL, DATA_KEY_SIZE)));
}

/** `dataKey` stays the caller's, who zeroes it. */
export function deriveObjectKeys(input: { suite: Suite; dataKey: Uint8Array; messageId: Uint8Array }): ObjectKeys {
  const { suite, dataKey, messageId } = input;
  if (dataKey.length !== DATA_KEY_SIZE) {
    throw new RangeError(`dataKey: expected ${DATA_KEY_SIZE} bytes, got ${dataKey.length}`);
  }
  if (messageId.length !== suite.messageIdSize) {
    throw new RangeError(`messageId: expected ${suite.messageIdSize} bytes, got ${messageId.length}`);
  }
  const derive = (label: string | Buffer, size: number) =>
    Buffer.from(hkdfSync('sha512', dataKey, messageId, label, size));
  const labelled = (label: string) => Buffer.concat([suiteIdBytes(suite), Buffer.from(label)]);
  const commits = suite.commitmentSize > 0;
  return {
    contentKey: intoKeyObject(commits ? derive(labelled(CONTENT_KEY_LABEL), DATA_KEY_SIZE) : Buffer.from(dataKey)),
    commitment: commits ? derive(labelled(COMMITMENT_LABEL), suite.commitmentSize) : Buffer.alloc(0),
    ledgerKey: intoKeyObject(derive(LEDGER_KEY_LABEL, DATA_KEY_SIZE)),
  };
}

/** Throws `bad-header` unless the metadata commits to these keys. Nothing else may be done with them before. */
export function checkCommitment(header: { commitment: Uint8Array }, keys: Pick<ObjectKeys, 'commitment'>): void {
  if (!timingSafeEqual(header.commitment, keys.commitment)) {
    throw new SealiftError('bad-header', 'The metadata commits to another key than the one its data key gives', {
      hint: 'The metadata was changed, or its data key belongs to another object. Fetch another version or another copy of it.',
    });
  }
}

/** The object's bytes as a GCM message. */
export function gcmMessageOf(suite: Suite, messageId: Uint8Array, { contentKey }: ObjectKeys): GcmMessage {
  const commits = suite.commitmentSize > 0;
  return {
    key: contentKey,
    iv: commits ? COMMITTING_IV : messageId,
    additional: commits ? suiteIdBytes(suite) : Buffer.alloc(0),
  };
}

function suiteIdBytes({ id }: Suite): Buffer {
  return Buffer.from([id >> 8, id & 0xff]);
}

/** Moves key bytes into a KeyObject: they live on there alone. */
function intoKeyObject(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}
