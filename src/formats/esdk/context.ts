/**
 * The encryption context: visible name-value pairs that the header authenticates and that wrapping keys are bound to.
 * Both sides must turn it into the same bytes, so pairs are sorted by the bytes of their names, whatever their order
 * in the record.
 */
import { SealiftError } from '../../errors.ts';
import { Cursor } from './cursor.ts';

/** The header gives the encoded context's size in two bytes. */
const MAX_CONTEXT_SIZE = 0xffff;
/** Names the ESDK keeps for itself. */
const RESERVED_PREFIX = 'aws-crypto-';
/** The one of them there is: in a signed message it names the key that verifies the signature. */
export const PUBLIC_KEY_NAME = 'aws-crypto-public-key';

/** Throws `bad-context` where a writer may not use this context. Of a signed message it must name the public key. */
export function checkEncryptionContext(
  context: Readonly<Record<string, string>>,
  { isSigned = false }: { isSigned?: boolean } = {},
): void {
  if (isSigned && !Object.hasOwn(context, PUBLIC_KEY_NAME)) throw badContext(`it lacks ${PUBLIC_KEY_NAME}`);
  for (const [name, value] of Object.entries(context)) {
    if (name === '') throw badContext('one of its names is empty');
    if (name.startsWith(RESERVED_PREFIX) && !(isSigned && name === PUBLIC_KEY_NAME)) {
      throw badContext(`${JSON.stringify(name)}: names that begin with ${RESERVED_PREFIX} belong to AWS`);
    }
    // Lone surrogates have no UTF-8: they would be sealed as something else than what was asked.
    if (!name.isWellFormed() || !value.isWellFormed()) {
      throw badContext(`${JSON.stringify(name)}: name or value is not well-formed Unicode`);
    }
  }
  const size = encodedSize(context);
  if (size > MAX_CONTEXT_SIZE)
    throw badContext(`it takes ${size} bytes, and a header has room for ${MAX_CONTEXT_SIZE}`);
}

/**
 * The context as bytes: a count, then each name and value behind its size; nothing at all for an empty context. This is
 * what wrapping keys authenticate; the header puts two bytes of size in front. Call `checkEncryptionContext` first.
 */
export function encodeContext(context: Readonly<Record<string, string>>): Buffer {
  return encodePairs(Object.entries(context).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}

/**
 * As `encodeContext`, with the names in a dictionary's order, capitals among the small letters. AWS's JavaScript client
 * binds raw AES keys to that unless it is made with `utf8Sorting`. It takes its machine's language; we English.
 */
export function encodeContextByDictionary(context: Readonly<Record<string, string>>): Buffer {
  return encodePairs(Object.entries(context).sort(([a], [b]) => a.localeCompare(b, 'en')));
}

function encodePairs(texts: readonly (readonly [string, string])[]): Buffer {
  const pairs = texts.map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  if (pairs.length === 0) return Buffer.alloc(0);
  const fields = pairs.flatMap(([name, value]) => [u16(name.length), name, u16(value.length), value]);
  return Buffer.concat([u16(pairs.length), ...fields]);
}

/**
 * The inverse of `encodeContext`. Pairs may come in any order, because some old writers sorted otherwise; a name given
 * twice is refused. Throws `bad-header`.
 */
export function decodeContext(bytes: Uint8Array): Record<string, string> {
  if (bytes.length === 0) return {};
  const cursor = new Cursor(bytes, () => badHeader('its encryption context is cut short'));
  const count = cursor.u16();
  if (count === 0) throw badHeader('its encryption context has a size but no pairs');
  const pairs = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const name = decodeUtf8(cursor.sized());
    if (pairs.has(name)) throw badHeader(`its encryption context names ${JSON.stringify(name)} twice`);
    pairs.set(name, decodeUtf8(cursor.sized()));
  }
  if (!cursor.done) throw badHeader('its encryption context is longer than its pairs');
  return Object.fromEntries(pairs);
}

/** Exact or not at all: a replaced or dropped character would be another context. Throws `bad-header`. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw badHeader('a text in it is not UTF-8', cause);
  }
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function badHeader(what: string, cause?: unknown): SealiftError {
  return new SealiftError('bad-header', `The message header is damaged: ${what}`, {
    hint: 'The object was changed or damaged after it was sealed. Fetch another version or another copy of it.',
    cause,
  });
}

function encodedSize(context: Readonly<Record<string, string>>): number {
  const entries = Object.entries(context);
  const size = entries.reduce((sum, pair) => sum + 4 + Buffer.byteLength(pair[0]) + Buffer.byteLength(pair[1]), 0);
  return entries.length === 0 ? 0 : 2 + size;
}

export function badContext(message: string): SealiftError {
  return new SealiftError('bad-context', `The encryption context cannot be used: ${message}`, {
    hint: 'Give short names and values with --context NAME=VALUE. They are stored in the clear.',
  });
}
