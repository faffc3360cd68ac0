/**
 * The key that signs one message: made for it, named in its encryption context, and of no use once it is signed. Until
 * then a resume needs it, so the ledger keeps it, sealed under a key that only the message's data key leads to
 * (`deriveVaultKey`): who has the ledger and cannot unwrap the data key cannot sign in our name.
 *
 *   nonce 12 ‖ sealed PKCS #8 ‖ tag 16        in base64; the tag covers the message's header too
 *
 * A vault key belongs to one message id and seals this one key, once, so its nonce could be anything; it is fresh all
 * the same. The header makes the sealed key useless in the ledger of any other message.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { NONCE_SIZE, TAG_SIZE } from '../formats/esdk/frame.ts';
import { publicKeyText } from '../formats/esdk/signature.ts';
import { P384 } from '../formats/esdk/suites.ts';
import { freshRandom } from '../random.ts';

/** What a signing key is sealed under, and what it is bound to. */
export interface Vault {
  vaultKey: KeyObject;
  /** Header body and tag of the message that the key signs. */
  header: Uint8Array;
}

export function makeSigningKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: P384.curve }).privateKey;
}

/** The public half, as the encryption context names it. */
export function publicTextOf(signingKey: KeyObject): string {
  return publicKeyText(createPublicKey(signingKey), P384);
}

export function sealSigningKey(signingKey: KeyObject, { vaultKey, header }: Vault): string {
  const nonce = freshRandom(NONCE_SIZE);
  const plain = signingKey.export({ format: 'der', type: 'pkcs8' });
  const cipher = createCipheriv('aes-256-gcm', vaultKey, nonce, { authTagLength: TAG_SIZE });
  cipher.setAAD(header);
  const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  plain.fill(0);
  return sealed.toString('base64');
}

/** The inverse of `sealSigningKey`. Throws `ledger-corrupt`. */
export function openSigningKey(text: string, { vaultKey, header }: Vault): KeyObject {
  const sealed = Buffer.from(text, 'base64');
  const nonce = sealed.subarray(0, NONCE_SIZE);
  try {
    const decipher = createDecipheriv('aes-256-gcm', vaultKey, nonce, { authTagLength: TAG_SIZE });
    decipher.setAAD(header);
    decipher.setAuthTag(sealed.subarray(-TAG_SIZE));
    const plain = Buffer.concat([decipher.update(sealed.subarray(NONCE_SIZE, -TAG_SIZE)), decipher.final()]);
    const key = createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
    plain.fill(0);
    return key;
  } catch (cause) {
    throw new SealiftError('ledger-corrupt', "The job's signing key does not open", {
      hint: 'Run the same command with --fresh, to start again under a new key.',
      cause,
    });
  }
}
