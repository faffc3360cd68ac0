/**
 * What happens between the sealing of a part and its sending: the ledger hears of it, and then, where the message ends
 * with something made from all of its parts, so does that. A part is taken only when its intent is on disk, so when the
 * last one's turn comes all the others are promised, and no resume can seal them otherwise than they were signed. The
 * last one's intent waits for the footer and holds it: where the ledger has that intent, the message is ended for good.
 */
import type { Intent } from '../ledger/types.ts';
import { withFooter } from '../parts/seal-once.ts';
import type { Announced } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import type { Attempt } from './attempt.ts';
import { type Ending, sealHash } from './ending.ts';
import { takeSourceChecksum } from './source-checksum.ts';

/** Resolves to the intent as it is on disk. `ending` is undefined where nothing is left to be made. */
export async function announcePart(
  { ledger }: Pick<PutRun, 'ledger'>,
  attempt: Pick<Attempt, 'message' | 'footer' | 'vault' | 'plainCrcs'>,
  { intent: bare, hash, sealed, plainCrc32 }: Announced,
  ending: Pick<Ending, 'take' | 'footer'> | undefined,
): Promise<Intent> {
  const { message, footer } = attempt;
  const { number } = bare;
  takeSourceChecksum(attempt, number, { plainCrc32 });
  const sealedHash = hash && sealHash(attempt, { jobId: ledger.job.id, number }, hash);
  const intent = sealedHash ? { ...bare, sealedHash } : bare;
  if (!sealed || number < message.layout.partCount) {
    await ledger.recordIntent(intent);
    await ending?.take(number, { sealed, hash });
    return intent;
  }
  await ending?.take(number, { sealed, hash });
  const whole = withFooter({ intent, sealed }, ending ? await ending.footer(message) : footer!);
  await ledger.recordIntent(whole.intent);
  return whole.intent;
}
