/** What a message of one part ends with behind it: a signature over its bytes, or its tag. */
import type { KeyObject } from 'node:crypto';
import { SignatureMaker } from '../formats/esdk/signature.ts';
import { P384 } from '../formats/esdk/suites.ts';
import type { Message } from '../formats/message.ts';
import { objectTag } from '../formats/s3ec/object-tag.ts';
import { type HeldPart, withFooter } from './seal-once.ts';

/** The only part of a message with what stands behind it, where anything does. */
export function ended(
  part: HeldPart,
  { message, signingKey }: { message: Message; signingKey?: KeyObject | undefined },
): Pick<HeldPart, 'sealed' | 'intent'> {
  if (message.format === 's3ec') return withFooter(part, objectTag(message, new Map([[1, part.hash!]])));
  return signingKey ? withFooter(part, signatureOver(part.sealed, signingKey)) : part;
}

function signatureOver(sealed: Uint8Array, signingKey: KeyObject): Buffer {
  const maker = new SignatureMaker(P384, signingKey);
  maker.update(sealed);
  return maker.footer();
}
