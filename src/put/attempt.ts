/**
 * An attempt: one message key, one header, at most one upload. Everything about it is decided here and written to the
 * ledger before the store hears of it.
 */
import type { KeyObject } from 'node:crypto';
import { isDenied, SealiftError } from '../errors.ts';
import type { Cut, Message } from '../formats/message.ts';
import type { Format } from '../formats/names.ts';
import { SEAL_METADATA } from '../formats/plain/mark.ts';
import type { LaneNeeds, Place, Tools } from '../job.ts';
import type { AttemptRow } from '../ledger/types.ts';
import { MTIME_METADATA } from '../mtime.ts';
import { laneSizeOf } from '../parts/memory.ts';
import { ID_METADATA, targetExists } from '../parts/written.ts';
import type { PutRun } from '../put.ts';
import { freshRandom } from '../random.ts';
import type { ServerEncryption } from '../stores/encryption.ts';
import { checkHeaders } from '../stores/s3-fields.ts';
import type { ObjectHeaders, ObjectInfo, WriteCondition } from '../stores/store.ts';
import { EsdkPut } from './esdk.ts';
import { formatFor, NO_KEY, type PutFormat } from './format.ts';
import { keepOldInstructions } from './instructions.ts';
import { lookAtTarget } from './look.ts';
import { needsOf } from './parts.ts';
import { sealSigningKey } from './signing-key.ts';
import { heldSizeOf, identityOf, metadataOf, type PartDigests, type RangedSource } from './source.ts';
import type { Vault } from './vault.ts';

/** What a user decides about how an object is sealed and kept. */
export interface SealOptions {
  /**
   * `none`: not sealed. The object is the file's bytes, in the clear but for what S3 does at rest, and needs no key; all else
   * is as ever. Nothing of it can be authenticated afterwards.
   */
  seal?: 'none' | undefined;
  /** `esdk` (default): the AWS Encryption SDK's, of any size. `s3ec`: the S3 Encryption Client's, up to 64 GiB. */
  format?: Format | undefined;
  /** With `s3ec`, metadata of version 2 for readers that do not know version 3: it does not commit to its key. */
  s3ecLegacy?: boolean | undefined;
  /** With `s3ec`, in S3: the wrapped data key in an object of its own, `KEY.instruction`, not in the object's metadata. */
  instructionFile?: boolean | undefined;
  /** Plain bytes of a frame. Default 256 KiB. */
  frameSize?: number | undefined;
  /** Plain bytes of a part. Default 8 MiB, or what 9,500 parts need. */
  partSize?: number | undefined;
  /** Parts of one size but for the last, for servers that take no others, as Cloudflare R2. Not of a stream, nor with `sign`. */
  equalParts?: boolean | undefined;
  /** The encryption context: authenticated, visible to all, also in CloudTrail. */
  context?: Readonly<Record<string, string>> | undefined;
  /** Replace an object that exists. */
  overwrite?: boolean | undefined;
  /** With `overwrite` and `instructionFile`: also in a bucket without versions, which keeps nothing of the old ones. */
  yes?: boolean | undefined;
  contentType?: string | undefined;
  /** For example STANDARD_IA, GLACIER_IR. */
  storageClass?: string | undefined;
  /** User metadata. Not encrypted. */
  metadata?: Readonly<Record<string, string>> | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
  /** How S3 is to encrypt the object at rest, beside the seal. Default: as the bucket is set to. */
  sse?: ServerEncryption | undefined;
  /** S3 is to encrypt it with this key, 32 bytes, which it forgets (SSE-C): over HTTPS only. */
  customerKey?: KeyObject | undefined;
  /**
   * Append a signature, which nobody can make who may only decrypt. Costs about 1 CPU second a GiB and a KMS call an
   * object. What is signed is opened from front to back, without ranges.
   */
  sign?: boolean | undefined;
}

export interface Attempt {
  row: AttemptRow;
  /** Undefined for a pipe. */
  source?: RangedSource | undefined;
  /** Of a source that proves itself only as a whole, and has: what the plain bytes of each part hash to, by its number. */
  digests?: PartDigests | undefined;
  message: Message;
  resumed: boolean;
  /** Parts whose receipts hold: not to be sent. */
  kept: ReadonlySet<number>;
  /** The source may not be the file that was sealed: kept parts are sealed again and compared, not trusted. */
  doubtful: boolean;
  /** Signs the message; undefined where nothing is to be signed, or all is. */
  signingKey?: KeyObject | undefined;
  /** What the message ends with, where the last part has an intent already. */
  footer?: Uint8Array | undefined;
  /** Where the ledger's secrets of this attempt are. */
  vault: Vault;
  /** Of one GCM message, what the ledger has of its tag: by part number, in the vault. */
  hashes: ReadonlyMap<number, Uint8Array>;
  /** Of an object whose store keeps a checksum of its plain bytes: the CRC32 of each part's that this run has read. */
  plainCrcs: Map<number, number>;
}

const OUR_METADATA = [MTIME_METADATA, ID_METADATA, SEAL_METADATA];

/**
 * Plans the object, looks at the target, makes the message key and header, and records all of it. Throws usage errors,
 * `memory-too-small` among them, and `target-exists` before anything is sent or asked of KMS.
 */
export async function beginAttempt(run: PutRun, source: RangedSource): Promise<Attempt> {
  const { request, tools } = run;
  const format = formatFor(request);
  const identity = identityOf(source);
  const cut = format.cutFile(identity.size);
  if (!goesWhole(cut, tools, source)) checkMemory(tools, needsOf(cut, request, source));
  run.progress.totalBytes = identity.size;
  const intended = await intend(run, format, source);
  return await startAttempt(run, intended, { source, format, cut });
}

/** Throws `memory-too-small`, and says so where it is for the signature's sake. */
function checkMemory(tools: Tools, needs: LaneNeeds): void {
  try {
    tools.plan(needs);
  } catch (thrown) {
    const { code, message, hint } = SealiftError.from(thrown);
    if (code !== 'memory-too-small' || !needs.signed) throw thrown;
    const why =
      'Parts of a signed message have to be held in memory; without --sign a large one is sealed twice instead.';
    throw new SealiftError(code, message, { hint: `${hint} ${why}`, cause: thrown });
  }
}

/** What an object is to be, whatever its bytes: checked before anything is asked of KMS. */
type Intended = Pick<AttemptRow, 'sealiftId' | 'headers' | 'condition' | 'oldInstructions'>;

/** Looks at what the user asks for and at the target. Throws as `beginAttempt` does. */
export async function intend(run: PutRun, format: PutFormat, source?: RangedSource): Promise<Intended> {
  const sealiftId = freshRandom(16).toString('hex');
  const headers = headersFor(run, format, { source, ours: { [ID_METADATA]: sealiftId } });
  const condition = await conditionFor(run, source);
  const oldInstructions = run.request.instructionFile ? await keepOldInstructions(run) : undefined;
  return { sealiftId, headers, condition, oldInstructions };
}

/** What an attempt seals, and how. */
interface Sealing {
  /** Undefined for a pipe. */
  source?: RangedSource;
  format: PutFormat;
  /** Of a pipe, the longest it can be. */
  cut: Cut;
}

/** Makes the message key and header, and has all of the attempt in the ledger. */
export async function startAttempt(run: PutRun, intended: Intended, sealing: Sealing): Promise<Attempt> {
  const { request, place, tools, ledger, progress } = run;
  const { source, format, cut } = sealing;
  const { plainSize } = cut.layout;
  const { signal } = request;
  const { keyNeeds } = format;
  const asked = keyNeeds && {
    ...keyNeeds,
    // To reseal is to have a new key.
    cacheable: keyNeeds.cacheable !== false && request.command === 'put',
    plainSize,
    signal,
    onCall: progress.countKmsCall,
  };
  using materials = asked && (await progress.watch.time('kms', () => tools.keyring.makeDataKey(asked)));
  const dataKey = materials?.dataKey.bytes ?? NO_KEY;
  const encryptedDataKeys = materials?.encryptedDataKeys ?? [];
  const made = format.begin({ dataKey, encryptedDataKeys, cut, objectKey: place.key });
  const { message, header, instructions } = made;
  const vault = format.vaultOf(message, dataKey);
  const signingKey = format instanceof EsdkPut ? format.signingKey : undefined;
  const headers = withMetadata(intended.headers, made.metadata);
  const single = goesWhole(message, tools, source);
  const sourceRow = source && identityOf(source);
  const sealedKey = signingKey && sealSigningKey(signingKey, { vault, header });
  const sealed = { instructions, header, signingKey: sealedKey, made: materials?.made };
  const fixed = { ...intended, ...sealed, headers, source: sourceRow, single };
  const row = ledger.startAttempt({ ...fixed, ...cutOf(message) }, message.keys.ledgerKey);
  return {
    row,
    source,
    message,
    vault,
    signingKey,
    resumed: false,
    kept: new Set(),
    doubtful: false,
    hashes: new Map(),
    plainCrcs: new Map(),
  };
}

/** Without its keys. For the compiler's sake: it does not see that a format goes with its own layout alone. */
function cutOf({ format, layout }: Message): Cut {
  return { format, layout } as Cut;
}

/** The headers with what a format has to say. Throws `metadata-too-large`. */
export function withMetadata(headers: ObjectHeaders, ofFormat: Readonly<Record<string, string>>): ObjectHeaders {
  const all = { ...headers, metadata: { ...headers.metadata, ...ofFormat } };
  checkHeaders(all);
  return all;
}

/** One part that fits into memory goes up in one request, with no upload and no threads. */
export function goesWhole(cut: Cut, { budget }: Tools, source: RangedSource | undefined): boolean {
  return cut.layout.partCount === 1 && budget.fits(wholeSizeOf(cut, source));
}

/** What an object of one part takes of the memory: what is opened is held beside what is sealed. */
export function wholeSizeOf({ layout }: Cut, source: RangedSource | undefined): number {
  return laneSizeOf(layout.sealedSize) + (heldSizeOf(source, layout.plainSize) ?? 0);
}

/** The object must still be what it was at the start: absent, or with `overwrite` the very one seen. */
async function conditionFor({ request, place }: PutRun, source: RangedSource | undefined): Promise<WriteCondition> {
  if (request.command === 'reseal' && source && 'object' in source) return { ifMatch: source.object.etag };
  let there: ObjectInfo | undefined;
  try {
    there = await lookAtTarget(place, { signal: request.signal });
  } catch (error) {
    // Who may write and not look needs no look: the condition holds whatever is there.
    if (request.overwrite || !isDenied(error)) throw error;
  }
  if (!there) return { ifNoneMatch: '*' };
  if (!request.overwrite) throw targetExists(place.url);
  return { ifMatch: there.etag };
}

/** The user's headers and ours. Throws `bad-option` and `metadata-too-large` for what no object can have. */
export function headersFor(
  { request, place }: { request: SealOptions & { inherited?: ObjectHeaders['inherited'] }; place: Place },
  { metadataNames }: PutFormat,
  { source, ours = {} }: { source?: RangedSource | undefined; ours?: Readonly<Record<string, string>> } = {},
): ObjectHeaders {
  refuseNames(request, [...OUR_METADATA, ...metadataNames]);
  const kept = (source && 'object' in source && source.kept) || { metadata: {} };
  const metadata = { ...kept.metadata, ...request.metadata, ...(source && metadataOf(source)), ...ours };
  const { storageClass, sse } = request;
  const { contentType = kept.contentType, tags = kept.tags, inherited = kept.inherited } = request;
  const headers = { metadata, contentType, storageClass, tags, sse, inherited };
  if (sse && !place.store.copies) throw noServer(place);
  checkHeaders(headers);
  return headers;
}

function noServer({ url }: Place): SealiftError {
  return new SealiftError('bad-option', `--sse asks a server to encrypt, and ${url} has none`, {
    hint: 'Leave --sse away: Sealift does not encrypt a disk. What it seals is encrypted already.',
  });
}

/** Throws `bad-option` where the user's metadata takes a name that is not the user's. */
function refuseNames({ metadata = {} }: SealOptions, names: readonly string[]): void {
  const taken = Object.keys(metadata).find((name) => names.includes(name.toLowerCase()));
  if (taken === undefined) return;
  throw new SealiftError('bad-option', `Metadata ${JSON.stringify(taken)} is a name that Sealift gives itself`, {
    hint: 'Choose another name.',
  });
}
