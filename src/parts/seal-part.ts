/**
 * The life of one part on its way up: read, seal, intent, go, send, receipt. No byte of a part leaves before its
 * intent is on disk, and a part sealed again is sent only if the ledger finds the fingerprint it already has.
 */
import { partOf } from '../formats/esdk/layout.ts';
import { MAX_FOOTER_SIZE } from '../formats/esdk/signature.ts';
import type { Intent, Receipt } from '../ledger/types.ts';
import type { PartToSend, Store } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { roomFor, sealInto } from './seal-once.ts';
import { sealTwice } from './seal-twice.ts';
import type { Link, SealTask } from './task.ts';

/** Seals one part and sends it. A part that is held has its buffer from `buffers`, where it goes back whatever happens. */
export async function sealPart(task: SealTask, store: Store, link: Link, buffers: BufferPool): Promise<Receipt> {
  const { source } = task;
  const { layout } = task.message;
  const part = partOf(layout, task.number);
  const { sealedOffset: offset } = part;
  if (!task.held && !('plain' in source)) {
    const { intent, body } = await sealTwice({ ...task, source, part });
    await link.announce({ intent });
    return await send(task, store, link, { intent, body, offset });
  }
  const buffer = buffers.take(roomFor(part, layout) + MAX_FOOTER_SIZE, { isShared: task.show });
  try {
    const { intent, sealed } = await sealInto(buffer, { ...task, part });
    const promised = await link.announce(task.show ? { intent, sealed } : { intent });
    // With the footer, where it got one meanwhile.
    const body = Buffer.from(sealed.buffer, sealed.byteOffset, promised.sealedSize);
    return await send(task, store, link, { intent: promised, body, offset });
  } finally {
    buffers.give(buffer);
  }
}

async function send(
  { objectKey, uploadId, compareOnly }: SealTask,
  store: Store,
  link: Link,
  { intent, body, offset }: { intent: Intent } & Pick<PartToSend, 'body' | 'offset'>,
): Promise<Receipt> {
  const { number, sealedSize, crc32 } = intent;
  if (compareOnly) return { number, sealedSize, crc32, etag: '' };
  const { etag } = await store.sendPart(objectKey, { uploadId, number, offset, body, crc32 }, { signal: link.cut });
  return { number, sealedSize, crc32, etag };
}
