/**
 * An attempt: one message key, one header, at most one upload. Everything about it is decided here and written to the
 * ledger before the store hears of it.
 */
import type { KeyObject } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { badContext, PUBLIC_KEY_NAME } from '../formats/esdk/context.ts';
import { checkEncryptionContext, encodeHeader, headerBytes } from '../formats/esdk/header.ts';
import { deriveMessageKeys, deriveVaultKey } from '../formats/esdk/keys.ts';
import type { Layout } from '../formats/esdk/layout.ts';
import { boundMessageId, NAME_MARKER } from '../formats/esdk/message-id.ts';
import { DEFAULT_FRAME_SIZE, planLayout } from '../formats/esdk/plan.ts';
import { COMMITTING_SUITE, SIGNING_SUITE } from '../formats/esdk/suites.ts';
import type { LaneNeeds, Tools } from '../job.ts';
import type { AttemptRow, SourceIdentity } from '../ledger/types.ts';
import { MTIME_METADATA, mtimeText } from '../mtime.ts';
import { laneSizeOf } from '../parts/memory.ts';
import type { Message } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import { freshRandom } from '../random.ts';
import { checkHeaders } from '../stores/s3-fields.ts';
import type { ObjectHeaders, ObjectInfo, WriteCondition } from '../stores/store.ts';
import { ID_METADATA, isDenied, targetExists } from './confirm.ts';
import { needsOf } from './parts.ts';
import { makeSigningKey, publicTextOf, sealSigningKey } from './signing-key.ts';

/** What a user decides about how an object is sealed and kept. */
export interface SealOptions {
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
  contentType?: string | undefined;
  /** For example STANDARD_IA, GLACIER_IR. */
  storageClass?: string | undefined;
  /** User metadata. Not encrypted. */
  metadata?: Readonly<Record<string, string>> | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
  /**
   * Append a signature, which nobody can make who may only decrypt. Costs about 1 CPU second a GiB and a KMS call an
   * object. What is signed is opened from front to back, without ranges.
   */
  sign?: boolean | undefined;
}

export interface Attempt {
  row: AttemptRow;
  message: Message;
  resumed: boolean;
  /** Parts whose receipts hold: not to be sent. */
  kept: ReadonlySet<number>;
  /** The source may not be the file that was sealed: kept parts are sealed again and compared, not trusted. */
  doubtful: boolean;
  /** Signs the message; undefined where nothing is to be signed, or all is. */
  signingKey?: KeyObject | undefined;
  /** The signature as it was made, where the last part has an intent already. */
  footer?: Uint8Array | undefined;
}

/** The header's size is known only with its keys; this much is assumed when a plan is checked before they are made. */
export const TYPICAL_HEADER_SIZE = 1024;

const OUR_METADATA = [MTIME_METADATA, ID_METADATA];

/**
 * Plans the object, looks at the target, makes the message key and header, and records all of it. Throws usage errors,
 * `memory-too-small` among them, and `target-exists` before anything is sent or asked of KMS.
 */
export async function beginAttempt(run: PutRun, source: SourceIdentity): Promise<Attempt> {
  const { request, tools } = run;
  const frameSize = request.frameSize ?? DEFAULT_FRAME_SIZE;
  const { partSize, equalParts, sign } = request;
  if (equalParts && sign) {
    throw new SealiftError('bad-option', 'The parts of a signed object cannot be equal', {
      hint: 'How long its signature will be is not known beforehand. Leave out --sign or --equal-parts.',
    });
  }
  const plan = { plainSize: source.size, frameSize, partSize, equalParts };
  const typical = planLayout({ ...plan, headerSize: TYPICAL_HEADER_SIZE });
  if (!goesWhole(typical, tools)) checkMemory(tools, needsOf(typical, request));
  run.progress.totalBytes = source.size;
  const intended = await intend(run, { [MTIME_METADATA]: mtimeText(source.mtimeNs) });
  return await startAttempt(run, intended, {
    source,
    plainSize: source.size,
    layoutFor: (headerSize) => planLayout({ ...plan, headerSize }),
  });
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
interface Intended extends Pick<AttemptRow, 'sealiftId' | 'headers' | 'condition'> {
  encryptionContext: Record<string, string>;
  signingKey: KeyObject | undefined;
}

/** Looks at what the user asks for and at the target. Throws as `beginAttempt` does. */
export async function intend(run: PutRun, ours: Readonly<Record<string, string>> = {}): Promise<Intended> {
  const signingKey = run.request.sign ? makeSigningKey() : undefined;
  const encryptionContext = markedContext(run.request, signingKey);
  const sealiftId = freshRandom(16).toString('hex');
  const headers = headersFor(run.request, { ...ours, [ID_METADATA]: sealiftId });
  return { encryptionContext, signingKey, sealiftId, headers, condition: await conditionFor(run) };
}

/** What an attempt seals, and how it is cut once the header's size is known. */
interface Sealing {
  /** Undefined for a pipe. */
  source?: SourceIdentity;
  /** The most it can be. */
  plainSize: number;
  layoutFor: (headerSize: number) => Layout;
}

/** Makes the message key and header, and has all of the attempt in the ledger. */
export async function startAttempt(run: PutRun, intended: Intended, sealing: Sealing): Promise<Attempt> {
  const { request, place, tools, ledger } = run;
  const { source, plainSize, layoutFor } = sealing;
  const { encryptionContext, signingKey, ...fixed } = intended;
  const suite = signingKey ? SIGNING_SUITE : COMMITTING_SUITE;
  const frameSize = request.frameSize ?? DEFAULT_FRAME_SIZE;
  using materials = await tools.keyring.makeDataKey({
    encryptionContext,
    plainSize,
    // The context of a signed message is like no other's: nobody will ask for this key again.
    cacheable: signingKey === undefined,
    signal: request.signal,
    onCall: run.progress.countKmsCall,
  });
  const messageId = boundMessageId({ random: freshRandom(16), objectKey: place.key });
  const secret = { dataKey: materials.dataKey.bytes, messageId };
  const keys = deriveMessageKeys({ suite, ...secret });
  const { encryptedDataKeys } = materials;
  const header = headerBytes(encodeHeader({ suite, messageId, encryptionContext, encryptedDataKeys, frameSize, keys }));
  const layout = layoutFor(header.length);
  const single = goesWhole(layout, tools);
  const sealedKey = signingKey && sealSigningKey(signingKey, { vaultKey: deriveVaultKey(secret), header });
  const row = ledger.startAttempt({ ...fixed, source, single, header, layout, signingKey: sealedKey }, keys.ledgerKey);
  return { row, message: { layout, messageId, keys }, resumed: false, kept: new Set(), doubtful: false, signingKey };
}

/** One part that fits into memory goes up in one request, with no upload and no threads. */
function goesWhole({ partCount, sealedSize }: Layout, { budget }: Tools): boolean {
  return partCount === 1 && budget.fits(laneSizeOf(sealedSize));
}

/** The user's context, our mark, and the public key where there is one. Throws `bad-context`. */
function markedContext({ context = {} }: SealOptions, signingKey: KeyObject | undefined): Record<string, string> {
  const [name, value] = NAME_MARKER;
  if (Object.hasOwn(context, name)) throw badContext(`${JSON.stringify(name)} is a name that Sealift gives itself`);
  const marked = { ...context, [name]: value };
  checkEncryptionContext(marked);
  if (!signingKey) return marked;
  const signed = { ...marked, [PUBLIC_KEY_NAME]: publicTextOf(signingKey) };
  checkEncryptionContext(signed, { isSigned: true });
  return signed;
}

/** The object must still be what it was at the start: absent, or with `overwrite` the very one seen. */
async function conditionFor({ request, place }: PutRun): Promise<WriteCondition> {
  let there: ObjectInfo | undefined;
  try {
    there = await place.store.head(place.key, { signal: request.signal });
  } catch (error) {
    // Who may write and not look needs no look: the condition holds whatever is there.
    if (request.overwrite || !isDenied(error)) throw error;
  }
  if (!there) return { ifNoneMatch: '*' };
  if (!request.overwrite) throw targetExists(place.url);
  return { ifMatch: there.etag };
}

/** The user's headers and ours. Throws `bad-option` and `metadata-too-large` for what no object can have. */
function headersFor(request: SealOptions, ours: Readonly<Record<string, string>>): ObjectHeaders {
  const taken = Object.keys(request.metadata ?? {}).find((name) => OUR_METADATA.includes(name.toLowerCase()));
  if (taken !== undefined) {
    throw new SealiftError('bad-option', `Metadata ${JSON.stringify(taken)} is a name that Sealift gives itself`, {
      hint: 'Choose another name.',
    });
  }
  const metadata = { ...request.metadata, ...ours };
  const { contentType, storageClass, tags } = request;
  const headers = { metadata, contentType, storageClass, tags };
  checkHeaders(headers);
  return headers;
}
