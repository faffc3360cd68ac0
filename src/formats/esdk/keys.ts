/**
 * The keys of one message. A data key may serve many messages; what touches bytes is derived from it for each message
 * id, so that no two messages share a key. The message carries a commitment to its key, which makes it impossible to
 * craft one message that two data keys open differently.
 */
import { createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { MESSAGE_ID_SIZE } from './message-id.ts';
import { COMMITTING_SUITE_ID } from './suites.ts';

export const DATA_KEY_SIZE = 32;
const DERIVED_KEY_SIZE = 32;

/** Labels of the derivation. The suite id stands before DERIVEKEY and not before COMMITKEY: the format says so. */
const COMMITMENT_LABEL = Buffer.from('COMMITKEY');
const FRAME_KEY_LABEL = Buffer.from([
  COMMITTING_SUITE_ID >> 8,
  COMMITTING_SUITE_ID & 0xff,
  ...Buffer.from('DERIVEKEY'),
]);
const LEDGER_KEY_LABEL = Buffer.from('sealift ledger v1');

export interface MessageKeys {
  /** AES-256: seals the header's tag and the frames. */
  frameKey: KeyObject;
  /** 32 bytes, public: the header carries them. */
  commitment: Buffer;
  /** Ours, not the format's: fingerprints are made under it, and it opens nothing. */
  ledgerKey: KeyObject;
}

/** Derives a message's keys. `dataKey` stays the caller's, who zeroes it. */
export function deriveMessageKeys({ dataKey, messageId }: { dataKey: Uint8Array; messageId: Uint8Array }): MessageKeys {
  if (dataKey.length !== DATA_KEY_SIZE) {
    throw new RangeError(`dataKey: expected ${DATA_KEY_SIZE} bytes, got ${dataKey.length}`);
  }
  if (messageId.length !== MESSAGE_ID_SIZE) {
    throw new RangeError(`messageId: expected ${MESSAGE_ID_SIZE} bytes, got ${messageId.length}`);
  }
  const derive = (label: Buffer) => Buffer.from(hkdfSync('sha512', dataKey, messageId, label, DERIVED_KEY_SIZE));
  return {
    frameKey: intoKeyObject(derive(FRAME_KEY_LABEL)),
    commitment: derive(COMMITMENT_LABEL),
    ledgerKey: intoKeyObject(derive(LEDGER_KEY_LABEL)),
  };
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
