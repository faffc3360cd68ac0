/**
 * No more than one part, of a file or a pipe: sealed on this thread, one PutObject. It is never resumed under its key;
 * after a crash HEAD tells whether it arrived, and if not a file is sealed again under a new one.
 */
import { MAX_FOOTER_SIZE } from '../formats/esdk/signature.ts';
import { partOf } from '../formats/message.ts';
import { release } from '../formats/release.ts';
import { BufferPool } from '../parts/buffers.ts';
import { ended } from '../parts/footer.ts';
import { sealInto } from '../parts/seal-once.ts';
import type { PartSource } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import type { WriteAnswer } from '../stores/store.ts';
import { type Attempt, wholeSizeOf } from './attempt.ts';
import { confirmWrite } from './confirm.ts';
import { expectedObject } from './finish.ts';
import { withInstructions } from './instructions.ts';
import { sourceOfPart } from './source.ts';
import { checkSourceChecksum, takeSourceChecksum } from './source-checksum.ts';

export async function sendWhole(run: PutRun, attempt: Attempt): Promise<WriteAnswer> {
  using _ticket = await run.tools.budget.take(wholeSizeOf(attempt.message, attempt.source));
  return await sendHeld(run, attempt, await sourceOfPart(attempt, 1));
}

/** As `sendWhole`, for which the caller has memory. */
export async function sendHeld(run: PutRun, attempt: Attempt, source: PartSource): Promise<WriteAnswer> {
  const { place, progress, ledger } = run;
  const { message, row } = attempt;
  const part = partOf(message, 1);
  const buffer = Buffer.allocUnsafeSlow(part.sealedSize + MAX_FOOTER_SIZE);
  const from = attempt.source && 'object' in attempt.source ? attempt.source.place : place;
  const at = { store: from.store, buffers: new BufferPool(), cut: run.request.signal };
  const watch = progress.watch.ofPart();
  const bare = await sealInto(buffer, { message, source, header: row.header, number: 1 }, at, watch);
  takeSourceChecksum(attempt, 1, bare);
  checkSourceChecksum(attempt);
  const { sealed, intent } = ended(bare, attempt);
  watch.enter('ledger');
  await ledger.recordIntent(intent);
  const { crc32 } = intent;
  const { headers, condition } = row;
  const receipt = { number: 1, sealedSize: sealed.length, crc32, etag: '' };
  watch.enter('network');
  const answer = await withInstructions(run, row, () =>
    confirmWrite(run, expectedObject(attempt, [receipt]), (options) =>
      place.store.putObject(place.key, sealed, { ...headers, ...options, crc32, condition }),
    ),
  );
  // All of it is with the kernel. After a failure the collector decides: a socket may still point into it.
  release(buffer);
  watch.enter('ledger');
  await ledger.recordReceipt({ ...receipt, etag: answer.etag });
  progress.moved(watch.stop());
  progress.acked(part.plainSize);
  return answer;
}
