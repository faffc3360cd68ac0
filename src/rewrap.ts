/**
 * `rewrap`: the data key of an S3 Encryption Client's object is wrapped under another key. The sealed bytes stay as they
 * are: S3 copies the object onto itself with other metadata, or only its instruction file is written anew. Both happen
 * only if the object, and the file, are still what was read.
 *
 * Messages of the AWS Encryption SDK are refused, always. Their wrapped keys stand in the header, and the header's tag
 * is made under the message key with the IV 0. Another header needs another tag: under the same key, since that follows
 * from the data key and the message id, and with the same IV. Two such tags differ by a polynomial in the authentication
 * key, which both headers tell, and who sees both objects solves it (test/formats/two-header-tags.test.ts does) and can
 * then forge frames of the message. So they are sealed again (`reseal`), under another key.
 *
 * Whoever has the old key and the old metadata, in an older version or a backup, still has the data key: wrapping it
 * anew takes nothing back.
 */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from './errors.ts';
import type { EncryptedDataKey } from './formats/esdk/header.ts';
import { encodeHeader, encodeWithInstructions, INSTRUCTION_FILE_SUFFIX } from './formats/s3ec/encode-header.ts';
import { decodeHeader, HEADER_NAMES, headerPlace, type ObjectHeader, parsePairs } from './formats/s3ec/header.ts';
import { checkCommitment, deriveObjectKeys } from './formats/s3ec/keys.ts';
import { ALGORITHM_NAME, PROVIDER_ID } from './formats/s3ec/wrapping.ts';
import { readRange } from './get/object.ts';
import { type JobResult, type Place, type RunOptions, type Tools, underKey } from './job.ts';
import type { Keyring, KeyringRequest, WrappingKeyring } from './keys/keyring.ts';
import { Progress } from './progress.ts';
import { wrappedBy } from './put/s3ec.ts';
import { type CopyRequest, copyOver, otherBytes } from './rewrap/copy.ts';
import { writeInstructions } from './rewrap/instructions.ts';
import { placeAsItIs } from './rewrap/place.ts';
import {
  checkEncrypted,
  checkEncryption,
  encryptionAsked,
  encryptionKept,
  type ServerEncryption,
} from './stores/encryption.ts';
import type { ObjectInfo, WriteAnswer } from './stores/store.ts';
import { KiB } from './units.ts';

/** Whose data key is to be wrapped anew. */
export interface RewrapOptions extends RunOptions {
  /** `s3://bucket/key`. */
  object: string;
  /** In a bucket with versions, delete the one that opens with the old key, once the new one is confirmed. */
  deleteOldVersion?: boolean | undefined;
  /** How S3 is to encrypt it at rest. Default: as it is. */
  sse?: ServerEncryption | undefined;
  /** S3 is to encrypt it with this key (SSE-C). */
  customerKey?: KeyObject | undefined;
  /** With which S3 has encrypted it as it is now. Default: `customerKey`, or none. */
  oldCustomerKey?: KeyObject | undefined;
}

/** An instruction file is some 500 bytes; a larger one is none. */
const MOST_INSTRUCTIONS = 16 * KiB;

/** What was found: an object, and the file beside it where it has one. */
interface Found {
  place: Place;
  info: ObjectInfo;
  header: ObjectHeader;
  instructions?: { key: string; info: ObjectInfo } | undefined;
}

/**
 * Wraps the object's data key under `wrapper`; `opener` opens it as it is now. Resolves when the store has confirmed it.
 * Throws `cannot-rewrap`, `cannot-carry`, `bad-option` before a key is asked for anything.
 */
export async function rewrap(
  request: RewrapOptions,
  { opener, wrapper }: { opener: Keyring; wrapper: WrappingKeyring },
  tools: Tools,
): Promise<JobResult> {
  const { signal } = request;
  const asked = encryptionAsked(request);
  if (asked) checkEncryption(asked);
  const progress = new Progress(request);
  const bare = await tools.place(request.object);
  const place = underKey(bare, request.customerKey);
  const { copies } = place.store;
  if (!copies) throw cannotRewrap(place, 'is not in S3');
  const source = await placeAsItIs(bare, request);
  const found = await find(source, request);
  const { info, instructions } = found;
  const kept = await source.store.headers(place.key, { versionId: info.versionId, signal });
  const header = await wrapAnew(found, { opener, wrapper }, { signal, onCall: progress.countKmsCall });

  let written: { answer: WriteAnswer; parts: number };
  if (instructions) {
    const body = Buffer.from(encodeWithInstructions(header).instructions);
    written = {
      answer: await writeInstructions(place.store, instructions, body, { signal }),
      parts: 0,
    };
  } else {
    const others = Object.entries(kept.metadata).filter(([name]) => !HEADER_NAMES.has(name));
    const metadata = { ...Object.fromEntries(others), ...encodeHeader(header) };
    const headers = { ...kept, metadata, sse: encryptionKept(request, kept.sse) };
    written = await confirmed({ place, source, copies, info, headers, signal, warn: progress.warn });
  }
  const { answer, parts } = written;
  const old = instructions ?? { key: place.key, info };
  const isOther = old.info.versionId !== undefined && old.info.versionId !== answer.versionId;
  if (request.deleteOldVersion && isOther) await copies.deleteVersion(old.key, old.info, { signal });
  return progress.result({
    command: 'rewrap',
    job: '',
    object: place.url,
    plainBytes: info.size - header.suite.tagSize,
    sealedBytes: info.size,
    parts,
    etag: answer.etag,
    versionId: answer.versionId,
    sse: answer.sse,
  });
}

/** Throws `object-not-found`, `bad-header`, `cannot-rewrap` for what is of another format, or too old, and `bad-option`. */
async function find(place: Place, request: RewrapOptions): Promise<Found> {
  const { signal } = request;
  const { store, key, url } = place;
  const info = await store.head(key, { signal });
  if (!info) {
    throw new SealiftError('object-not-found', `There is no object ${url}`, {
      hint: 'Check bucket and key; keys are case-sensitive and have no leading slash.',
    });
  }
  let instructions: Found['instructions'];
  let header: ObjectHeader;
  if (headerPlace(info.metadata) === 'object') {
    header = decodeHeader(info.metadata);
  } else {
    instructions = await findInstructions(place, signal);
    if (!instructions) throw cannotRewrap(place, "is no S3 Encryption Client's object");
    refuseEncryption(place, request);
    const last = Math.min(instructions.info.size, MOST_INSTRUCTIONS) - 1;
    const at = { store, key: instructions.key };
    const text = (await readRange(at, instructions.info, { first: 0, last }, signal)).toString();
    const fields = parsePairs(text);
    if (!fields) throw cannotRewrap(place, 'has an instruction file that cannot be read');
    header = decodeHeader(info.metadata, fields);
  }
  if (header.version === 1 || header.suite.tagSize === 0) throw cannotRewrap(place, 'is not sealed with AES-GCM');
  if (header.wrapping.code === undefined)
    throw cannotRewrap(place, `has a data key wrapped by ${header.wrapping.name}`);
  return { place, info, header, instructions };
}

/** The file alone is written: the object would keep its encryption, and the two be under different keys. */
function refuseEncryption({ url }: Place, { sse, customerKey, oldCustomerKey }: RewrapOptions): void {
  if (sse === undefined && customerKey === undefined && oldCustomerKey === undefined) return;
  throw new SealiftError('bad-option', `${url} has an instruction file, and rewrap does not write the object itself`, {
    hint: 'Leave --sse, --sse-c and --old-sse-c away. `sealift reseal` writes the object anew, encrypted at rest as it is told.',
  });
}

async function findInstructions(
  { store, key }: Place,
  signal: AbortSignal | undefined,
): Promise<Found['instructions']> {
  const file = `${key}${INSTRUCTION_FILE_SUFFIX}`;
  const info = await store.head(file, { signal });
  return info && info.size > 0 ? { key: file, info } : undefined;
}

/** The same header, with the data key wrapped by `wrapper`. */
async function wrapAnew(
  { header }: Found,
  { opener, wrapper }: { opener: Keyring; wrapper: WrappingKeyring },
  call: Pick<KeyringRequest, 'signal' | 'onCall'>,
): Promise<ObjectHeader> {
  const { suite, wrapping, wrappedKey, description, messageId } = header;
  const { contentAlgorithm } = suite;
  const old: EncryptedDataKey = {
    providerId: PROVIDER_ID,
    providerInfo: Buffer.from(wrapping.name),
    ciphertext: wrappedKey,
  };
  const asked = { encryptionContext: description, contentAlgorithm, encryptedDataKeys: [old], cacheable: false };
  using dataKey = await opener.openDataKey({ ...asked, ...call });
  checkCommitment(header, deriveObjectKeys({ suite, dataKey: dataKey.bytes, messageId }));

  // What KMS did not bind was never proven, and does not become a context.
  const bound = wrapping.name === 'kms+context' ? description : {};
  const encryptionContext = { ...bound, [ALGORITHM_NAME]: contentAlgorithm };
  const anew = wrappedBy(await wrapper.wrapDataKey(dataKey, { encryptionContext, contentAlgorithm, ...call }));
  if (anew.wrapping.name === 'kms+context') return { ...header, ...anew, description: encryptionContext };
  if (Object.keys(encryptionContext).length === 1) return { ...header, ...anew, description: {} };
  throw new SealiftError('bad-context', 'The object has an encryption context, which a raw key would not bind', {
    hint: 'Give a --kms-key. Nothing was changed.',
  });
}

/** The copy and its second witness. After a lost answer HEAD decides: nobody else's metadata has this wrapped key. */
async function confirmed(request: CopyRequest): Promise<{ answer: WriteAnswer; parts: number }> {
  const { place, info, headers, signal } = request;
  const look = (versionId?: string) => place.store.head(place.key, { versionId, signal });
  const isOurs = (there: ObjectInfo | undefined): there is ObjectInfo =>
    there?.size === info.size && [...HEADER_NAMES].every((name) => there.metadata[name] === headers.metadata[name]);
  let copied: { answer: WriteAnswer; parts: number };
  try {
    copied = await copyOver(request);
  } catch (error) {
    const there = await look().catch(() => undefined);
    if (!isOurs(there)) throw error;
    copied = { answer: there, parts: 0 };
  }
  const there = await look(copied.answer.versionId);
  const isSame = isOurs(there) && (info.crc32 === undefined || there.crc32 === undefined || info.crc32 === there.crc32);
  if (!isSame) throw otherBytes(place.url);
  checkEncrypted(place.url, { asked: headers.sse, told: there.sse });
  return { ...copied, answer: { ...copied.answer, sse: there.sse } };
}

function cannotRewrap({ url }: Place, why: string): SealiftError {
  return new SealiftError('cannot-rewrap', `${url} ${why}: its data key cannot be wrapped anew`, {
    hint: 'If it is sealed, `sealift reseal` seals it again, under a new data key: a message of the AWS Encryption SDK would need a second header tag under the same key and IV, and two such tags give its authentication key away. If it is not, `sealift put` seals it, to another name.',
  });
}
