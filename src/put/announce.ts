/**
 * What happens between the sealing of a part and its sending: the ledger hears of it, and of a signed message the part
 * is hashed. A part is hashed only when its intent is on disk, so when the last one's turn comes all the others are
 * promised, and no resume can seal them otherwise than they were signed. The last one's intent waits for the footer and
 * holds it: where the ledger has that intent, the message is signed for good.
 */
import { withFooter } from '../parts/seal-once.ts';
import type { Signing } from '../parts/signing.ts';
import type { Announced } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import type { Attempt } from './attempt.ts';

/** Resolves once the intent is on disk, to what may be sent. `signing` is undefined where nothing is left to be hashed. */
export async function announcePart(
  { ledger }: PutRun,
  { message, footer }: Attempt,
  { intent, sealed }: Announced,
  signing: Signing | undefined,
): Promise<Announced> {
  if (sealed && intent.number === message.layout.partCount) {
    const hashed = signing ? await signing.hash(intent.number, sealed) : sealed;
    const part = withFooter({ intent, sealed: hashed }, signing ? await signing.footer() : footer!);
    await ledger.recordIntent(part.intent);
    return part;
  }
  await ledger.recordIntent(intent);
  return { intent, sealed: sealed && (await signing!.hash(intent.number, sealed)) };
}
