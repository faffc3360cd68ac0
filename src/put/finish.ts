/**
 * The end of a put: nothing is completed that was not checked, and nothing is called done that the store has not
 * confirmed. Complete's answer is the first witness, HEAD the second; where the answer is lost or is an error, HEAD
 * decides alone, by the random id every object of ours carries.
 */
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import { partOf } from '../formats/esdk/layout.ts';
import type { Receipt } from '../ledger/types.ts';
import { compareSource, openSource, sourceChanged } from '../parts/source.ts';
import type { PutRun } from '../put.ts';
import type { ObjectInfo, WriteAnswer } from '../stores/store.ts';
import { type Attempt, ID_METADATA, targetExists } from './attempt.ts';
import { StartOver } from './start-over.ts';

export interface Expected {
  sealiftId: string;
  size: number;
  crc32: number;
}

/** Completes the upload and hears both witnesses. */
export async function finishUpload(run: PutRun, attempt: Attempt, uploadId: string): Promise<void> {
  const { ledger, place } = run;
  const { row } = attempt;
  const parts = checkedParts(attempt, ledger.receipts());
  const expected = expectedObject(attempt, parts);
  await checkSource(attempt);

  ledger.setState('completing');
  const { size, crc32 } = expected;
  let answer: WriteAnswer | undefined;
  try {
    answer = await place.store.completeUpload(place.key, {
      uploadId,
      parts,
      size,
      crc32,
      condition: row.condition,
    });
  } catch (error) {
    await decideByHead(run, expected, error);
  }
  await hearWitnesses(run, expected, answer);
}

/** Parts 1 to N without a gap, each as large as planned. */
function checkedParts({ message: { layout } }: Attempt, receipts: Map<number, Receipt>): Receipt[] {
  const parts: Receipt[] = [];
  for (let number = 1; number <= layout.partCount; number++) {
    const receipt = receipts.get(number);
    if (receipt?.sealedSize !== partOf(layout, number).sealedSize) {
      throw new SealiftError('internal', `Part ${number} of ${layout.partCount} has no receipt of the planned size`, {
        hint: 'Nothing was completed. Run the same command with --fresh, and please report this.',
      });
    }
    parts.push(receipt);
  }
  return parts;
}

/** The object as it must be once complete, from the ledger's receipts alone. */
export function expectedObject({ row, message }: Attempt, parts: Iterable<Receipt>): Expected {
  let crc32 = 0;
  for (const part of parts) crc32 = combineCrc32(crc32, part.crc32, part.sealedSize);
  return { sealiftId: row.sealiftId, size: message.layout.sealedSize, crc32 };
}

/** The source once more, after the last part: a file that grew meanwhile is not the one that was sealed. */
async function checkSource({ row }: Attempt): Promise<void> {
  const { file, identity } = await openSource(row.source.path);
  await file.close();
  if (compareSource(row.source, identity) === 'changed') throw sourceChanged(row.source, identity);
}

/**
 * After a failed or lost Complete or PutObject: resolves where the object is ours after all, else throws what the user
 * should hear, or StartOver.
 */
export async function decideByHead(run: PutRun, expected: Expected, error: unknown): Promise<void> {
  const { place } = run;
  let there: ObjectInfo | undefined;
  try {
    there = await place.store.head(place.key);
  } catch {
    // HEAD cannot tell either: the first error says more. The job stays, and a resume asks again.
    throw error;
  }
  if (there && isOurs(there, expected)) return;
  const { code } = SealiftError.from(error);
  if (code === 'target-exists') throw targetExists(place.url);
  if (code === 'upload-lost') throw new StartOver('The upload is gone and there is no object of ours', error);
  throw error;
}

export function isOurs(there: ObjectInfo, { sealiftId, size, crc32 }: Expected): boolean {
  return (
    there.metadata[ID_METADATA] === sealiftId &&
    there.size === size &&
    (there.crc32 === undefined || there.crc32 === crc32)
  );
}

/** HEAD of the written version must show our id, size and checksum. What it cannot show becomes a warning. */
async function hearWitnesses(run: PutRun, expected: Expected, answer: WriteAnswer | undefined): Promise<void> {
  const { place, progress } = run;
  checkAnswer(place.url, expected, answer);
  let there: ObjectInfo | undefined;
  try {
    there = await place.store.head(place.key, { versionId: answer?.versionId });
  } catch (error) {
    if (SealiftError.from(error).code !== 'access-denied') throw error;
    progress.emit({
      type: 'warning',
      message: `${place.url} is written, but HEAD is denied: it was not looked at again`,
    });
    return;
  }
  if (!there || !isOurs(there, expected)) {
    throw new SealiftError('checksum-mismatch', `${place.url} is not what was just written`, {
      hint: 'Somebody may have replaced it meanwhile. Look at it with `sealift inspect`, and run again with --overwrite.',
    });
  }
  if (there.crc32 === undefined && answer?.crc32 === undefined) {
    progress.emit({ type: 'warning', message: `${place.url} is written, but the server confirmed no checksum` });
  }
}

export function checkAnswer(url: string, { crc32 }: Expected, answer: WriteAnswer | undefined): void {
  if (answer?.crc32 === undefined || answer.crc32 === crc32) return;
  throw new SealiftError('checksum-mismatch', `${url} was stored with another checksum than was sent`, {
    hint: 'Run the same command again with --overwrite; if it happens again the server or the line damages data.',
  });
}
