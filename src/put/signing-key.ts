/**
 * The key that signs one message: made for it, named in its encryption context, and of no use once it is signed. Until
 * then a resume needs it, so the ledger keeps it in the message's vault, bound to the message's header: it is useless in
 * the ledger of any other message.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { publicKeyText } from '../formats/esdk/signature.ts';
import { P384 } from '../formats/esdk/suites.ts';
import type { Vault } from './vault.ts';

export function makeSigningKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: P384.curve }).privateKey;
}

/** The public half, as the encryption context names it. */
export function publicTextOf(signingKey: KeyObject): string {
  return publicKeyText(createPublicKey(signingKey), P384);
}

/** PKCS #8 in the vault, in base64. */
export function sealSigningKey(signingKey: KeyObject, { vault, header }: { vault: Vault; header: Uint8Array }): string {
  const plain = signingKey.export({ format: 'der', type: 'pkcs8' });
  const sealed = vault.seal(plain, header);
  plain.fill(0);
  return sealed.toString('base64');
}

/** The inverse of `sealSigningKey`. Throws `ledger-corrupt`. */
export function openSigningKey(text: string, { vault, header }: { vault: Vault; header: Uint8Array }): KeyObject {
  const plain = vault.open(Buffer.from(text, 'base64'), header);
  const key = createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
  plain.fill(0);
  return key;
}
