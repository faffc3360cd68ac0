/**
 * The header of an S3 Encryption Client's object: in its metadata, or partly or wholly in an instruction file beside it.
 * Only that file tells an object whose metadata says nothing from a foreign one, so it is asked for where all else failed.
 */
import { isDenied, SealiftError } from '../errors.ts';
import { BLOCK_SIZE } from '../formats/gcm/message.ts';
import { INSTRUCTION_FILE_SUFFIX } from '../formats/s3ec/encode-header.ts';
import {
  badHeader,
  decodeHeader,
  type Fields,
  headerPlace,
  type ObjectHeader,
  parsePairs,
} from '../formats/s3ec/header.ts';
import { type Layout, layoutOfObject } from '../formats/s3ec/layout.ts';
import { readWhole } from '../stores/object-stream.ts';
import type { Store } from '../stores/store.ts';
import { KiB } from '../units.ts';

/** An instruction file holds what fits into 2 KiB of metadata, and a description that may be longer. */
const MAX_INSTRUCTION_SIZE = 64 * KiB;

/** An object's header, and where it lies. */
export interface FoundHeader {
  header: ObjectHeader;
  hasInstructionFile: boolean;
}

/**
 * What an object is: what its metadata says, else what `asMessage` makes of its bytes, else what an instruction file says.
 * Throws what `asMessage` does where nothing says anything, and `bad-header`.
 */
export async function headerOr<Message>(
  place: { store: Store; key: string },
  metadata: Fields,
  asMessage: () => Promise<Message>,
  signal: AbortSignal | undefined,
): Promise<Message | FoundHeader> {
  if (headerPlace(metadata) !== 'none') return (await findHeader(place, metadata, signal))!;
  try {
    return await asMessage();
  } catch (error) {
    // Sealed bytes may begin as a message does by chance, and then not go on as one.
    const isNone = ['not-sealed', 'bad-header', 'truncated'].includes(SealiftError.from(error).code);
    const found = isNone && (await findHeader(place, metadata, signal));
    if (!found) throw error;
    return found;
  }
}

/** Undefined where neither metadata nor a file beside it says anything. Throws `bad-header`, and what the store throws. */
async function findHeader(
  { store, key }: { store: Store; key: string },
  metadata: Fields,
  signal: AbortSignal | undefined,
): Promise<FoundHeader | undefined> {
  const where = headerPlace(metadata);
  if (where === 'object') return { header: decodeHeader(metadata), hasInstructionFile: false };
  // An instruction file has none itself.
  if (where === 'none' && key.endsWith(INSTRUCTION_FILE_SUFFIX)) return undefined;
  const fileKey = `${key}${INSTRUCTION_FILE_SUFFIX}`;
  const instructions = await readInstructions({ store, key: fileKey, isSure: where === 'instruction-file' }, signal);
  return instructions && { header: decodeHeader(metadata, instructions), hasInstructionFile: true };
}

/** Undefined where there is no such file, and that is no error: it is not `isSure` that there should be one. */
async function readInstructions(
  { store, key, isSure }: { store: Store; key: string; isSure: boolean },
  signal: AbortSignal | undefined,
): Promise<Fields | undefined> {
  const url = store.url(key);
  let text: string;
  try {
    const stream = await store.read(key, { first: 0, last: MAX_INSTRUCTION_SIZE - 1 }, { signal });
    text = (await readWhole(stream)).toString();
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (isSure && code === 'object-not-found') throw badHeader(`its data key is in ${url}, which is not there`);
    // Who may not list a bucket is refused what is not there.
    if (!isSure && (isDenied(error) || ['object-not-found', 'bad-range', 'bad-url'].includes(code))) return undefined;
    throw error;
  }
  const instructions = parsePairs(text);
  if (instructions && headerPlace(instructions) === 'object') return instructions;
  if (isSure) throw badHeader(`${url} is no instruction file`);
  return undefined;
}

/**
 * The layout of an object of this size. Under CBC its `plainSize` is too large by the padding, which shows only when it is
 * opened. Throws `truncated`.
 */
export function layoutOfSealed({ suite }: Pick<ObjectHeader, 'suite'>, size: number): Layout {
  const layout = layoutOfObject({ sealedSize: size, tagSize: suite.tagSize });
  if (suite.tagSize > 0 || (size > 0 && size % BLOCK_SIZE === 0)) return layout;
  throw new SealiftError('truncated', `No object under AES-CBC is ${size} bytes long`, {
    hint: 'The object was cut short, or bytes were added to it. Fetch another version or another copy of it.',
  });
}

/** Plain bytes of an object; under CBC what its metadata says of it, where that is possible, else undefined. */
export function plainSizeOf(
  { suite }: Pick<ObjectHeader, 'suite'>,
  size: number,
  metadata: Fields,
): number | undefined {
  const { plainSize } = layoutOfSealed({ suite }, size);
  if (suite.tagSize > 0) return plainSize;
  const said = Number(metadata['x-amz-unencrypted-content-length']);
  return Number.isSafeInteger(said) && said < size && said >= size - BLOCK_SIZE ? said : undefined;
}
