/**
 * What has to be read whole before any part of it may be trusted: a signed message, an object of the S3 Encryption Client.
 * So it is read twice. Pass one, here, opens it from front to back, and keeps of it only a digest for each part that the
 * new object will have. When its tag or its signature is good, so are they, and pass two seals by range, in any order, what
 * has the same digests (parts/open-source.ts). The digests are of plain bytes: they stay in memory.
 *
 * Nothing proves an object under AES-CBC. Its digests say that pass two read what pass one did, and no more.
 */
import { SealiftError } from '../errors.ts';
import type { Cut } from '../formats/message.ts';
import { heldSize, type InOrderOpener } from '../get/in-order.ts';
import type { SealedObject } from '../get/object.ts';
import { streamOfObject } from '../get/stream.ts';
import type { Place, RunOptions, Tools } from '../job.ts';
import { laneSizeOf } from '../parts/memory.ts';
import type { Progress } from '../progress.ts';
import type { PartDigests } from '../put/source.ts';
import { DigestMaker } from './digests.ts';

export interface Proving extends Pick<Tools, 'budget'>, Pick<RunOptions, 'signal'> {
  /** New: nothing was pushed yet. */
  opener: InOrderOpener;
  progress: Progress;
}

/**
 * Opens all of the object. Resolves to the digests of the parts of `cut` once it is proven. Throws what opening does, and
 * `truncated` where it holds another number of bytes than `cut`.
 */
export async function proveParts(
  place: Place,
  object: SealedObject,
  cut: Cut,
  { opener, progress, budget, signal }: Proving,
): Promise<PartDigests> {
  const stream = streamOfObject(place, object, signal);
  using _ticket = await budget.take(laneSizeOf(heldSize(stream)));
  const digests = new DigestMaker(cut);
  for await (const chunk of stream.body) {
    if (signal?.aborted) throw SealiftError.interrupted(signal, 'reseal');
    for (const plain of opener.push(chunk)) {
      digests.push(plain);
      progress.opened(plain.length);
    }
  }
  digests.push(opener.finish());
  return digests.finish();
}
