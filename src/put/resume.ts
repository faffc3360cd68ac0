/**
 * What is left of an interrupted put? The ledger says what was meant, the store what it has, the file whether it is
 * still the same. The ledger may be older than the truth (a backup, a copied folder, a torn tail): a part in the store
 * that it knows nothing of, or knows otherwise, means that this key has sealed bytes we cannot account for, and the
 * only safe answer is a new key.
 */
import { isDenied, SealiftError } from '../errors.ts';
import { partOf } from '../formats/message.ts';
import type { AttemptRow, Intent, ObjectIdentity, Receipt, SourceIdentity } from '../ledger/types.ts';
import { compareSource, nameOf, sourceChanged } from '../parts/source.ts';
import type { PutRun } from '../put.ts';
import type { StoredPart, WriteAnswer } from '../stores/store.ts';
import type { Attempt } from './attempt.ts';
import { findOurs } from './confirm.ts';
import { expectedObject } from './finish.ts';
import { NO_KEY, storedMessage } from './format.ts';
import { writeInstructions } from './instructions.ts';
import { openSigningKey } from './signing-key.ts';
import { identityOf, type RangedSource } from './source.ts';
import { StartOver } from './start-over.ts';

/** What a resume finds: an attempt to go on with, or an object that is there: only the answer to its writing was lost. */
export type Resumed = { attempt: Attempt } | { arrived: WriteAnswer };

/** Undefined where there is nothing to go on with. Throws StartOver where it cannot be gone on with. */
export async function resumeAttempt(run: PutRun, source: RangedSource): Promise<Resumed | undefined> {
  const { ledger, progress } = run;
  const row = ledger.attempt();
  if (!row || row.state === 'aborted' || row.state === 'lost') return undefined;
  const unlocked = await unlock(run, row);
  const nothing = { kept: new Set<number>(), doubtful: false, plainCrcs: new Map<number, number>() };
  const attempt = { row, source, resumed: true, ...nothing, ...unlocked };
  progress.totalBytes = row.layout.plainSize;

  const planned = row.source!;
  const now = identityOf(source);
  const verdict = compareSource(planned, now);
  const receipts = ledger.receipts();
  if (row.single || row.uploadId === undefined) {
    const answer = row.single ? await arrived(run, attempt, receipts) : undefined;
    if (answer) return { arrived: checkedArrival(run, answer, planned, now) };
    throw new StartOver('The job was interrupted before anything was acknowledged', undefined);
  }

  const stored = await storedParts(run, row.uploadId);
  if (!stored) {
    const answer = await arrived(run, attempt, receipts);
    if (answer) return { arrived: checkedArrival(run, answer, planned, now) };
    throw new StartOver('The upload is gone: it was aborted or completed elsewhere', lost(run));
  }
  if (verdict === 'changed') {
    throw new StartOver('The source changed since the job was interrupted', sourceChanged(planned, now));
  }
  refuseStaleLedger(run, stored, receipts);
  const kept = keptParts(run, row, stored, receipts);
  return { attempt: { ...attempt, kept, doubtful: verdict === 'doubtful' } };
}

/** What arrived is the source as it was then. Throws `source-changed` where that is not the source as it is now. */
function checkedArrival(
  { place, progress, request }: PutRun,
  answer: WriteAnswer,
  planned: SourceIdentity | ObjectIdentity,
  source: SourceIdentity | ObjectIdentity,
): WriteAnswer {
  // An object that was resealed is, of course, another one now.
  if (request.command === 'reseal') return answer;
  const verdict = compareSource(planned, source);
  if (verdict === 'changed') {
    throw new SealiftError('source-changed', `${place.url} holds ${nameOf(source)} as it was before it changed`, {
      hint: 'It had been written, and only the answer was lost. Give --overwrite to replace it by what the source is now.',
    });
  }
  if (verdict === 'doubtful') {
    progress.warn(
      `${place.url} had been written, and only the answer was lost; ${nameOf(source)} may have changed since`,
    );
  }
  return answer;
}

/** The message, from the stored header; with it the ledger's rows, and what the message ends with or what makes it. */
async function unlock(
  { tools, ledger, request, progress }: PutRun,
  row: AttemptRow,
): Promise<Pick<Attempt, 'message' | 'vault' | 'signingKey' | 'footer' | 'hashes'>> {
  const { keyNeeds, open } = storedMessage(row);
  const { signal } = request;
  const asked = keyNeeds && { ...keyNeeds, signal, onCall: progress.countKmsCall };
  using dataKey = asked && (await progress.watch.time('kms', () => tools.keyring.openDataKey(asked)));
  const { message, vault } = open(dataKey?.bytes ?? NO_KEY);
  ledger.unlock(message.keys.ledgerKey);
  const intents = ledger.intents();
  const footer = intents.get(row.layout.partCount)?.footer;
  const hashes = new Map<number, Uint8Array>();
  for (const { number, sealedHash } of intents.values()) if (sealedHash) hashes.set(number, sealedHash);
  const unlocked = { message, vault, footer, hashes };
  if (row.signingKey === undefined || footer) return unlocked;
  return { ...unlocked, signingKey: openSigningKey(row.signingKey, { vault, header: row.header }) };
}

/** Our object, where it is there already: Complete or PutObject had its effect and the answer was lost. */
async function arrived(
  run: PutRun,
  attempt: Attempt,
  receipts: Map<number, Receipt>,
): Promise<WriteAnswer | undefined> {
  const { ledger, progress, request } = run;
  const { row, message } = attempt;
  const sizes = row.single
    ? [...ledger.intents().values()].map((intent) => ({ ...intent, etag: '' }))
    : [...receipts.values()];
  const expected = expectedObject(
    attempt,
    sizes.toSorted((a, b) => a.number - b.number),
  );
  let answer: WriteAnswer | undefined;
  try {
    answer = await findOurs(run, expected, { signal: request.signal });
  } catch (error) {
    // Who may not look seals a small file again: the condition of its writing keeps what may be there.
    if (!row.single || !isDenied(error)) throw error;
  }
  if (!answer) return undefined;
  // Its file may have been put back while nobody knew that the object would arrive.
  await writeInstructions(run, row);
  for (let number = 1; number <= message.layout.partCount; number++) {
    progress.kept(partOf(message, number).plainSize);
  }
  return answer;
}

/** What the store has of the upload; undefined where the upload is gone. */
async function storedParts({ place, request }: PutRun, uploadId: string): Promise<Map<number, StoredPart> | undefined> {
  const stored = new Map<number, StoredPart>();
  try {
    for await (const part of place.store.listParts(place.key, uploadId, { signal: request.signal })) {
      stored.set(part.number, part);
    }
  } catch (error) {
    if (SealiftError.from(error).code === 'upload-lost') return undefined;
    throw error;
  }
  return stored;
}

function lost({ place }: PutRun): SealiftError {
  return new SealiftError('upload-lost', `The upload of ${place.url} is gone`, { hint: 'Run the same command again.' });
}

function refuseStaleLedger({ ledger }: PutRun, stored: Map<number, StoredPart>, receipts: Map<number, Receipt>): void {
  const intents = ledger.intents();
  for (const part of stored.values()) {
    const intent = intents.get(part.number);
    const receipt = receipts.get(part.number);
    if (intent && agrees(intent, part) && (!receipt || receipt.etag === part.etag)) continue;
    throw new StartOver(
      'The ledger is older than the upload (a restored copy?): the upload is dropped',
      new SealiftError('ledger-corrupt', `The store holds a part ${part.number} that the ledger does not know`, {
        hint: 'Run the same command with --fresh.',
      }),
    );
  }
}

/** A part has one intent for ever, and its receipt has the same size and checksum. */
function agrees(intent: Intent, part: StoredPart): boolean {
  return intent.sealedSize === part.size && (part.crc32 === undefined || part.crc32 === intent.crc32);
}

/** Decides for each part, and says why. */
function keptParts(
  run: PutRun,
  row: AttemptRow,
  stored: Map<number, StoredPart>,
  receipts: Map<number, Receipt>,
): Set<number> {
  const { ledger, progress } = run;
  const intents = ledger.intents();
  const kept = new Set<number>();
  for (let number = 1; number <= row.layout.partCount; number++) {
    const keep = receipts.has(number) && stored.has(number);
    if (keep) kept.add(number);
    let reason = 'not sent before';
    if (keep) reason = 'acknowledged, and the store has it';
    else if (receipts.has(number)) reason = 'acknowledged, but the store no longer has it';
    else if (intents.has(number)) reason = 'started, but not acknowledged';
    progress.emit({ type: 'part', number, size: partOf(row, number).plainSize, kept: keep, reason });
  }
  return kept;
}
