/**
 * What happens between the sealing of a part and its sending: the ledger hears of it, and of a signed message the part
 * is hashed. A part is hashed only when its intent is on disk, so when the last one's turn comes all the others are
 * promised, and no resume can seal them otherwise than they were signed. The last one's intent waits for the footer and
 * holds it: where the ledger has that intent, the message is signed for good.
 */
import type { Intent } from '../ledger/types.ts';
import { withFooter } from '../parts/seal-once.ts';
import type { Signing } from '../parts/signing.ts';
import type { Announced } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import type { Attempt } from './attempt.ts';

/** Resolves to the intent as it is on disk. `signing` is undefined where nothing is left to be hashed. */
export async function announcePart(
  { ledger }: Pick<PutRun, 'ledger'>,
  { message, footer }: Pick<Attempt, 'message' | 'footer'>,
  { intent, sealed }: Announced,
  signing: Pick<Signing, 'hash' | 'footer'> | undefined,
): Promise<Intent> {
  if (!sealed || intent.number < message.layout.partCount) {
    await ledger.recordIntent(intent);
    if (sealed) await signing!.hash(intent.number, sealed);
    return intent;
  }
  await signing?.hash(intent.number, sealed);
  const signed = withFooter({ intent, sealed }, signing ? await signing.footer() : footer!);
  await ledger.recordIntent(signed.intent);
  return signed.intent;
}
