/**
 * The signature of suites that have one. Whoever sealed the message made a key pair for it, put the public key into the
 * encryption context, and signed every byte before the footer:
 *
 *   footer:  size 2 ‖ ECDSA signature in DER
 *
 * So a signed message proves itself only as a whole, and in order.
 */
import { createPublicKey, createSign, createVerify, ECDH, type KeyObject, type Sign, type Verify } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { badHeader, PUBLIC_KEY_NAME, u16 } from './context.ts';
import type { MessageHeader } from './header.ts';
import type { SignatureScheme } from './suites.ts';

/** Largest footer: a signature of two integers of 384 bits and their sign bytes. */
export const MAX_FOOTER_SIZE = 2 + 104;

/** What stands before a point in a key's DER (RFC 5480). */
const SPKI_PREFIX: Record<SignatureScheme['curve'], Buffer> = {
  prime256v1: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
  secp384r1: Buffer.from('3076301006072a8648ce3d020106052b81040022036200', 'hex'),
};

/** Takes a message's bytes in order, and signs them at their end. */
export class SignatureMaker {
  readonly #sign: Sign;
  readonly #privateKey: KeyObject;

  constructor({ hash }: SignatureScheme, privateKey: KeyObject) {
    this.#sign = createSign(hash);
    this.#privateKey = privateKey;
  }

  update(sealed: Uint8Array): void {
    this.#sign.update(sealed);
  }

  /**
   * The footer. To be called once. Its size is not known before: DER writes an integer in as few bytes as it takes, and
   * every reader takes whatever size the footer says. The official JavaScript client writes what comes, as we do; the
   * Python one signs again until it is 103 bytes, for which it needs a library that signs a hash.
   */
  footer(): Buffer {
    const signature = this.#sign.sign(this.#privateKey);
    return Buffer.concat([u16(signature.length), signature]);
  }
}

/** Takes a message's bytes in order, and says at their end whether they are what was signed. */
export class SignatureVerifier {
  readonly #verify: Verify;
  readonly #publicKey: KeyObject;

  constructor({ hash }: SignatureScheme, publicKey: KeyObject) {
    this.#verify = createVerify(hash);
    this.#publicKey = publicKey;
  }

  update(sealed: Uint8Array): void {
    this.#verify.update(sealed);
  }

  /** Throws `bad-signature`. To be called once. */
  check(signature: Uint8Array): void {
    if (this.#verify.verify(this.#publicKey, signature)) return;
    throw new SealiftError('bad-signature', 'The signature does not match the message', {
      hint: 'The object was changed or damaged after it was sealed. Its last frame was not released. Fetch another version or another copy of it.',
    });
  }
}

/**
 * The verifier of a signed message, undefined where the suite does not sign. Throws `bad-header` where suite and
 * encryption context disagree about it: a signature must not go away by changing the suite.
 */
export function verifierFor(header: Pick<MessageHeader, 'suite' | 'encryptionContext'>): SignatureVerifier | undefined {
  const { signature } = header.suite;
  const text = header.encryptionContext[PUBLIC_KEY_NAME];
  if (signature === undefined) {
    if (text !== undefined) throw badHeader('its suite does not sign, but it has a key to verify a signature');
    return undefined;
  }
  if (text === undefined) throw badHeader('its suite signs, but it has no key to verify the signature');
  return new SignatureVerifier(signature, publicKeyOf(text, signature));
}

/** A public key of this scheme as the encryption context names it: the inverse of `publicKeyOf`. */
export function publicKeyText(publicKey: KeyObject, { curve }: SignatureScheme): string {
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX[curve].length);
  return ECDH.convertKey(point, curve, undefined, 'base64', 'compressed') as string;
}

function publicKeyOf(text: string, { curve }: SignatureScheme): KeyObject {
  try {
    const point = ECDH.convertKey(text, curve, 'base64', undefined, 'uncompressed') as Buffer;
    return createPublicKey({ key: Buffer.concat([SPKI_PREFIX[curve], point]), format: 'der', type: 'spki' });
  } catch (cause) {
    throw badHeader('the key to verify its signature is none', cause);
  }
}

/**
 * The size of the footer at the end of `tail`, undefined where none is there. A footer's size stands at its front, so it
 * is looked for: a size, followed by just as many bytes, which are a DER sequence of two integers of just that size.
 * That is an assumption to plan with, and proves nothing: the frames say where the footer begins.
 */
export function footerSizeOf(tail: Uint8Array): number | undefined {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.length);
  for (let size = Math.min(MAX_FOOTER_SIZE, bytes.length); size > 2; size--) {
    const footer = bytes.subarray(bytes.length - size);
    if (footer.readUInt16BE(0) === size - 2 && isSignature(footer.subarray(2))) return size;
  }
  return undefined;
}

/** Whether these bytes are SEQUENCE { INTEGER, INTEGER } with nothing behind. Sizes below 128 take one byte. */
function isSignature(bytes: Buffer): boolean {
  const first = bytes[3] ?? 0;
  const second = bytes[5 + first] ?? 0;
  const isSequence = bytes[0] === 0x30 && bytes[1] === bytes.length - 2;
  return isSequence && bytes[2] === 2 && bytes[4 + first] === 2 && 6 + first + second === bytes.length;
}
