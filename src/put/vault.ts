/**
 * What the ledger must keep secret and a resume needs again, sealed under a key that only the message's data key leads to:
 * who has the ledger and cannot unwrap the data key learns nothing from it, and can go on with nothing.
 *
 *   nonce 12 ‖ sealed bytes ‖ tag 16        the tag also covers what the bytes are bound to
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { freshRandom } from '../random.ts';

const NONCE_SIZE = 12;
const TAG_SIZE = 16;

export class Vault {
  readonly #key: KeyObject;

  /** Of one message, and of nothing else. */
  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** `boundTo` says what the bytes are for: they open for nothing else. */
  seal(plain: Uint8Array, boundTo: Uint8Array): Buffer {
    const nonce = freshRandom(NONCE_SIZE);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_SIZE }).setAAD(boundTo);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** The inverse of `seal`. Throws `ledger-corrupt`. */
  open(sealed: Uint8Array, boundTo: Uint8Array): Buffer {
    const nonce = sealed.subarray(0, NONCE_SIZE);
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_SIZE });
      decipher.setAAD(boundTo).setAuthTag(sealed.subarray(-TAG_SIZE));
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_SIZE, -TAG_SIZE)), decipher.final()]);
    } catch (cause) {
      throw new SealiftError('ledger-corrupt', 'A secret of the job does not open', {
        hint: 'Run the same command with --fresh, to start again under a new key.',
        cause,
      });
    }
  }
}
