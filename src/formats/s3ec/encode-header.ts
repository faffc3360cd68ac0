/**
 * The header as an S3 Encryption Client's reader expects it: as metadata of the object, or split between the object and
 * an instruction file. The inverse of `decodeHeader`. All of it is ASCII: S3 changes anything else on its way.
 */
import type { Fields, ObjectHeader } from './header.ts';

/** The name that marks an instruction file, in its own metadata. */
export const INSTRUCTION_FILE_MARK = 'x-amz-crypto-instr-file';
/** What an instruction file is called after its object's name. */
export const INSTRUCTION_FILE_SUFFIX = '.instruction';

/** All of it as metadata of the object. Of versions 2 and 3: nobody writes the first. */
export function encodeHeader(header: ObjectHeader): Record<string, string> {
  return { ...bindingFields(header), ...keyFields(header) };
}

/** Split: `metadata` goes on the object, `instructions` into the instruction file. */
export function encodeWithInstructions(header: ObjectHeader): {
  metadata: Record<string, string>;
  instructions: string;
} {
  const [metadata, fields] =
    header.version === 3 ? [bindingFields(header), keyFields(header)] : [{}, encodeHeader(header)];
  return { metadata, instructions: asciiJson(fields) };
}

/** What is the object's own, whoever may open it. */
function bindingFields({ version, suite, messageId, commitment }: ObjectHeader): Record<string, string> {
  if (version === 3) {
    return {
      'x-amz-c': suite.contentAlgorithm,
      'x-amz-d': commitment.toString('base64'),
      'x-amz-i': messageId.toString('base64'),
    };
  }
  return {
    'x-amz-cek-alg': suite.contentAlgorithm,
    'x-amz-iv': messageId.toString('base64'),
    'x-amz-tag-len': String(8 * suite.tagSize),
  };
}

/** What changes when the data key is wrapped anew. */
function keyFields({ version, wrapping, wrappedKey, description }: ObjectHeader): Record<string, string> {
  const key = wrappedKey.toString('base64');
  const described = asciiJson(description);
  if (version === 2) {
    return { 'x-amz-key-v2': key, 'x-amz-matdesc': described, 'x-amz-wrap-alg': wrapping.name };
  }
  const isEmpty = Object.keys(description).length === 0;
  const name = wrapping.name === 'kms+context' ? 'x-amz-t' : 'x-amz-m';
  return { 'x-amz-3': key, 'x-amz-w': wrapping.code!, ...(isEmpty ? {} : { [name]: described }) };
}

function asciiJson(pairs: Fields): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(pairs).replace(/[\u0080-\uffff]/g, escaped);
}
