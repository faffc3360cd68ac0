/** The end of a put: nothing is completed that was not checked. */
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import { partOf } from '../formats/message.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Receipt } from '../ledger/types.ts';
import { compareSource, openSource, sourceChanged } from '../parts/source.ts';
import type { PutRun } from '../put.ts';
import type { WriteAnswer } from '../stores/store.ts';
import type { Attempt } from './attempt.ts';
import { confirmWrite, type Expected, lookBeforeComplete } from './confirm.ts';
import { withInstructions } from './instructions.ts';
import { checkSourceChecksum } from './source-checksum.ts';

/** Completes the upload, confirmed. */
export async function finishUpload(run: PutRun, attempt: Attempt, uploadId: string): Promise<WriteAnswer> {
  const { ledger, place } = run;
  const parts = checkedParts(attempt, ledger);
  const expected = expectedObject(attempt, parts);
  await checkSource(attempt);
  checkSourceChecksum(attempt);
  await lookBeforeComplete(run, expected);

  ledger.setState('completing');
  const { size, crc32, condition } = expected;
  return withInstructions(run, attempt.row, () =>
    confirmWrite(run, expected, (options) =>
      place.store.completeUpload(place.key, { uploadId, parts, size, crc32, condition }, options),
    ),
  );
}

/** Bytes behind the last part's own: of a signed message its signature, of one GCM message its tag. */
export function footerSizeOf(ledger: Ledger): number {
  const { layout } = ledger.attempt()!;
  return ledger.intents().get(layout.partCount)?.footer?.length ?? 0;
}

/** Parts 1 to N without a gap, each as large as planned. */
function checkedParts({ message }: Attempt, ledger: Ledger): Receipt[] {
  const { layout } = message;
  const receipts = ledger.receipts();
  const footerSize = footerSizeOf(ledger);
  const parts: Receipt[] = [];
  for (let number = 1; number <= layout.partCount; number++) {
    const receipt = receipts.get(number);
    const { sealedSize, isLast } = partOf(message, number);
    if (receipt?.sealedSize !== sealedSize + (isLast ? footerSize : 0)) {
      throw new SealiftError('internal', `Part ${number} of ${layout.partCount} has no receipt of the planned size`, {
        hint: 'Nothing was completed. Run the same command with --fresh, and please report this.',
      });
    }
    parts.push(receipt);
  }
  return parts;
}

/** The object as it must be once complete, from the ledger's receipts alone. */
export function expectedObject({ row }: Attempt, parts: Iterable<Receipt>): Expected {
  let crc32 = 0;
  let size = 0;
  for (const part of parts) {
    crc32 = combineCrc32(crc32, part.crc32, part.sealedSize);
    size += part.sealedSize;
  }
  return { sealiftId: row.sealiftId, size, crc32, condition: row.condition, sse: row.headers.sse };
}

/** The source once more, after the last part: a file that grew meanwhile is not the one that was sealed. */
async function checkSource({ row: { source } }: Attempt): Promise<void> {
  // A pipe has been read to its end, and of an object each read named the one version.
  if (!source || 'etag' in source) return;
  const { file, identity } = await openSource(source.path);
  await file.close();
  if (compareSource(source, identity) === 'changed') throw sourceChanged(source, identity);
}
