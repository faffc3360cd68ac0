/**
 * What must be known to open an object: the S3 Encryption Clients keep it in the object's metadata, or most of it in an
 * instruction file, an object of its own beside it. There are three versions:
 *
 *             version 1          version 2            version 3
 *   data key  x-amz-key          x-amz-key-v2         x-amz-3
 *   IV or id  x-amz-iv           x-amz-iv             x-amz-i
 *   suite     CBC                x-amz-cek-alg        x-amz-c
 *   wrapping  by the key's size  x-amz-wrap-alg       x-amz-w
 *   commits   no                 no                   x-amz-d
 *   context   x-amz-matdesc      x-amz-matdesc        x-amz-t (KMS) or x-amz-m
 *
 * In an instruction file is all of it, but in version 3 what binds the key to the object (c, d, i) stays on the object.
 * Anyone who can write metadata can write anything here. So nothing is guessed: an object that mixes versions, or has a
 * field where it does not belong, is refused.
 */
import { SealiftError } from '../../errors.ts';
import { decodeMetadataText } from './rfc2047.ts';
import { CBC_SUITE, COMMITTING_SUITE, GCM_SUITE, type Suite } from './suites.ts';
import { WRAPPINGS, type Wrapping } from './wrapping.ts';

export interface ObjectHeader {
  version: 1 | 2 | 3;
  suite: Suite;
  wrapping: Wrapping;
  /** The data key, wrapped. */
  wrappedKey: Buffer;
  /** New with every object; in versions 1 and 2 it is the IV. */
  messageId: Buffer;
  /** To the key; empty in suites that do not commit. */
  commitment: Buffer;
  /** With KMS the encryption context, with other wrappings what the writer says of the wrapping key. */
  description: Record<string, string>;
}

/** Names and values, as metadata or an instruction file has them. */
export type Fields = Readonly<Record<string, string>>;

const NAMES_OF_V3 = ['x-amz-c', 'x-amz-d', 'x-amz-i', 'x-amz-3', 'x-amz-w', 'x-amz-t', 'x-amz-m'];
const NAMES_OF_V2 = ['x-amz-key-v2', 'x-amz-iv', 'x-amz-matdesc', 'x-amz-wrap-alg', 'x-amz-cek-alg', 'x-amz-tag-len'];
const NAMES_OF_V1 = ['x-amz-key', 'x-amz-iv', 'x-amz-matdesc'];
/** All names that mean something to a reader. */
export const HEADER_NAMES: ReadonlySet<string> = new Set([...NAMES_OF_V1, ...NAMES_OF_V2, ...NAMES_OF_V3]);

/** Of version 3, on the object alone. */
const BINDING_NAMES = ['x-amz-c', 'x-amz-d', 'x-amz-i'];

/** The only value of `x-amz-tag-len`: bits. */
const TAG_LENGTH = '128';
/** An AES-wrapped key of version 1 is as large; one under RSA is larger. */
const AES_WRAPPED_SIZE = 48;

/** Where the header is: all on the object, the rest or all of it in an instruction file, or nowhere on the object. */
export function headerPlace(metadata: Fields): 'object' | 'instruction-file' | 'none' {
  const fields = fieldsOf(metadata);
  if (['x-amz-key', 'x-amz-key-v2', 'x-amz-3'].some((name) => fields.has(name))) return 'object';
  return BINDING_NAMES.some((name) => fields.has(name)) ? 'instruction-file' : 'none';
}

/** The header of an object with this metadata and, where it has one, this instruction file. Throws `bad-header`. */
export function decodeHeader(metadata: Fields, instructions?: Fields): ObjectHeader {
  const fields = fieldsOf(metadata);
  if (instructions) {
    for (const [name, value] of fieldsOf(instructions)) {
      if (fields.has(name)) throw badHeader(`${name} is in its metadata and in its instruction file`);
      if (BINDING_NAMES.includes(name)) throw badHeader(`${name} is in its instruction file, where it binds nothing`);
      fields.set(name, value);
    }
    const onObject = fieldsOf(metadata);
    for (const name of onObject.keys()) {
      if (!BINDING_NAMES.includes(name)) throw badHeader(`it has an instruction file, and ${name} in its metadata`);
    }
  }
  if (fields.has('x-amz-3')) return decodeV3(new FieldReader(fields, NAMES_OF_V3));
  if (fields.has('x-amz-key-v2')) return decodeV2(new FieldReader(fields, NAMES_OF_V2));
  return decodeV1(new FieldReader(fields, NAMES_OF_V1));
}

function decodeV3(fields: FieldReader): ObjectHeader {
  const code = fields.text('x-amz-c');
  if (code !== COMMITTING_SUITE.contentAlgorithm) throw badHeader(`x-amz-c is ${JSON.stringify(code)}, not 115`);
  const wrappingCode = fields.text('x-amz-w');
  const wrapping = WRAPPINGS.find((one) => one.code === wrappingCode);
  if (!wrapping) throw badHeader(`x-amz-w is ${JSON.stringify(wrappingCode)}, which names no wrapping`);
  return {
    version: 3,
    suite: COMMITTING_SUITE,
    wrapping,
    wrappedKey: fields.bytes('x-amz-3'),
    messageId: freshBytes(fields, 'x-amz-i', COMMITTING_SUITE),
    commitment: fields.bytes('x-amz-d', COMMITTING_SUITE.commitmentSize),
    description: fields.pairs(wrapping.name === 'kms+context' ? 'x-amz-t' : 'x-amz-m'),
  };
}

function decodeV2(fields: FieldReader): ObjectHeader {
  const algorithm = fields.text('x-amz-cek-alg');
  const suite = [GCM_SUITE, CBC_SUITE].find((one) => one.contentAlgorithm === algorithm);
  if (!suite) throw badHeader(`x-amz-cek-alg is ${JSON.stringify(algorithm)}, which names no algorithm`);
  const name = fields.text('x-amz-wrap-alg');
  const wrapping = WRAPPINGS.find((one) => one.name === name);
  if (!wrapping) throw badHeader(`x-amz-wrap-alg is ${JSON.stringify(name)}, which names no wrapping`);
  const tagLength = fields.optional('x-amz-tag-len');
  if (tagLength !== (suite.tagSize > 0 ? TAG_LENGTH : undefined)) {
    throw badHeader(`x-amz-tag-len is ${JSON.stringify(tagLength)}, with ${algorithm}`);
  }
  return {
    version: 2,
    suite,
    wrapping,
    wrappedKey: fields.bytes('x-amz-key-v2'),
    messageId: freshBytes(fields, 'x-amz-iv', suite),
    commitment: Buffer.alloc(0),
    description: fields.pairs('x-amz-matdesc'),
  };
}

function decodeV1(fields: FieldReader): ObjectHeader {
  const wrappedKey = fields.bytes('x-amz-key');
  const name = wrappedKey.length > AES_WRAPPED_SIZE ? 'RSA' : 'AES';
  return {
    version: 1,
    suite: CBC_SUITE,
    wrapping: WRAPPINGS.find((one) => one.name === name)!,
    wrappedKey,
    messageId: freshBytes(fields, 'x-amz-iv', CBC_SUITE),
    commitment: Buffer.alloc(0),
    description: fields.pairs('x-amz-matdesc'),
  };
}

/** What must be new with every object is not zeros, which a writer leaves that failed to make it. */
function freshBytes(fields: FieldReader, name: string, { messageIdSize }: Suite): Buffer {
  const bytes = fields.bytes(name, messageIdSize);
  if (bytes.every((byte) => byte === 0)) throw badHeader(`${name} is all zeros`);
  return bytes;
}

/** What is ours to read, by name in lower case, as some clients send others; empty is what some write for "none". */
function fieldsOf(given: Fields): Map<string, string> {
  const all = Object.entries(given).map(([name, value]) => [name.toLowerCase(), decodeMetadataText(value)] as const);
  return new Map(all.filter(([name, value]) => HEADER_NAMES.has(name) && value !== ''));
}

/** Reads the fields of one version. Throws `bad-header` where there are those of another beside them. */
class FieldReader {
  readonly #fields: ReadonlyMap<string, string>;

  constructor(fields: ReadonlyMap<string, string>, names: readonly string[]) {
    const strangers = [...fields.keys()].filter((name) => !names.includes(name));
    if (strangers.length > 0) throw badHeader(`${strangers.join(', ')} and ${names[0]} are of different versions`);
    this.#fields = fields;
  }

  optional(name: string): string | undefined {
    return this.#fields.get(name);
  }

  text(name: string): string {
    const value = this.#fields.get(name);
    if (value === undefined) throw badHeader(`${name} is missing`);
    return value;
  }

  bytes(name: string, size?: number): Buffer {
    const text = this.text(name);
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw badHeader(`${name} is not base64`);
    if (size !== undefined && bytes.length !== size) {
      throw badHeader(`${name} holds ${bytes.length} bytes instead of ${size}`);
    }
    return bytes;
  }

  pairs(name: string): Record<string, string> {
    const text = this.#fields.get(name);
    if (text === undefined) return {};
    const pairs = parsePairs(text);
    if (!pairs) throw badHeader(`${name} is not a JSON object of texts`);
    return pairs;
  }
}

/** A JSON object whose values are texts; undefined for anything else. */
export function parsePairs(text: string): Record<string, string> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject || Object.values(value as object).some((member) => typeof member !== 'string')) return undefined;
  return value as Record<string, string>;
}

export function badHeader(what: string): SealiftError {
  return new SealiftError('bad-header', `The object's encryption metadata is damaged: ${what}`, {
    hint: 'The metadata was changed after the object was sealed. Fetch another version or another copy of it.',
  });
}
