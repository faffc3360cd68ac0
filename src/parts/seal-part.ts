/**
 * The life of one part on its way up: read, seal, intent, go, send, receipt. No byte of a part leaves before its
 * intent is on disk, and a part sealed again is sent only if the ledger finds the fingerprint it already has.
 */
import { MAX_FOOTER_SIZE } from '../formats/esdk/signature.ts';
import { partOf, roomFor } from '../formats/message.ts';
import type { Intent, Receipt } from '../ledger/types.ts';
import type { PartStore, PartToSend } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import { readTwice } from './read-twice.ts';
import { sealInto } from './seal-once.ts';
import { sealTwice } from './seal-twice.ts';
import type { Link, SealTask } from './task.ts';

/**
 * Seals one part and sends it to `store`; an object that it comes from is in the store `from`. A part that is held has its
 * buffer from `buffers`, where it goes back whatever happens.
 */
export async function sealPart(
  task: SealTask,
  { store, from }: { store: PartStore; from: PartStore },
  link: Link,
  buffers: BufferPool,
): Promise<Receipt> {
  const { source, message } = task;
  const { cut, watch } = link;
  const { sealedOffset: offset } = partOf(message, task.number);
  if (!task.held && 'path' in source && message.format !== 's3ec') {
    const { intent, body } =
      message.format === 'plain'
        ? await readTwice({ ...task, source, message }, watch)
        : await sealTwice({ ...task, source, message }, watch);
    watch.enter('ledger');
    await link.announce({ intent });
    return await send(task, store, link, { intent, body, offset });
  }
  const buffer = buffers.take(roomFor(message, task.number) + MAX_FOOTER_SIZE, { isShared: task.show });
  try {
    const { sealed, ...bare } = await sealInto(buffer, task, { store: from, buffers, cut }, watch);
    watch.enter('ledger');
    const promised = await link.announce(task.show ? { ...bare, sealed } : bare);
    // With the footer, where it got one meanwhile.
    const body = Buffer.from(sealed.buffer, sealed.byteOffset, promised.sealedSize);
    return await send(task, store, link, { intent: promised, body, offset });
  } finally {
    buffers.give(buffer);
  }
}

async function send(
  { objectKey, uploadId, compareOnly }: SealTask,
  store: PartStore,
  link: Link,
  { intent, body, offset }: { intent: Intent } & Pick<PartToSend, 'body' | 'offset'>,
): Promise<Receipt> {
  const { number, sealedSize, crc32 } = intent;
  if (compareOnly) return { number, sealedSize, crc32, etag: '' };
  link.watch.enter('network');
  const { etag } = await store.sendPart(objectKey, { uploadId, number, offset, body, crc32 }, { signal: link.cut });
  return { number, sealedSize, crc32, etag };
}
