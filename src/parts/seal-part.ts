/**
 * The life of one part on its way up: read, seal, intent, go, send, receipt. No byte of a part leaves before its
 * intent is on disk, and a part sealed again is sent only if the ledger finds the fingerprint it already has.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fingerprint } from '../formats/esdk/fingerprint.ts';
import { type Part, partOf } from '../formats/esdk/layout.ts';
import { PartSealer } from '../formats/esdk/seal-frames.ts';
import type { Intent, Receipt, SourceIdentity } from '../ledger/types.ts';
import type { Store } from '../stores/store.ts';
import { MiB } from '../units.ts';
import type { BufferPool } from './buffers.ts';
import { checkStillPlanned, openPlannedSource, sourceChanged } from './source.ts';
import type { Link, Message, SealTask } from './task.ts';

/** Bytes a read asks for. Big enough to make the hop through the I/O pool cheap, small enough to stay in cache. */
const READ_SIZE = MiB;

/** Seals one part and sends it. The buffer comes from `buffers` and goes back whatever happens. */
export async function sealPart(task: SealTask, store: Store, link: Link, buffers: BufferPool): Promise<Receipt> {
  const part = partOf(task.message.layout, task.number);
  const buffer = buffers.take(part.sealedSize);
  try {
    const { sealed, intent } = await sealInto(buffer, { ...task, part });
    await link.announce(intent);
    const { number, sealedSize } = intent;
    if (task.compareOnly) return { number, sealedSize, crc32: intent.crc32, etag: '' };
    const { etag } = await store.sendPart(task.objectKey, {
      uploadId: task.uploadId,
      number,
      body: sealed,
      crc32: intent.crc32,
    });
    return { number, sealedSize, crc32: intent.crc32, etag };
  } finally {
    buffers.give(buffer);
  }
}

/** Reads and seals one part into `buffer`. Throws `source-changed` where the source is not the planned file. */
export async function sealInto(
  buffer: Buffer,
  { message, source, header, part }: { message: Message; source: SourceIdentity; header: Uint8Array; part: Part },
): Promise<{ sealed: Buffer; intent: Intent }> {
  let offset = 0;
  if (part.isFirst) {
    buffer.set(header, 0);
    offset = header.length;
  }
  const sealer = new PartSealer({ ...message, part, sealed: buffer, offset });
  const file = await openPlannedSource(source);
  try {
    await readInto(sealer, file, part, source);
    await checkStillPlanned(source, file);
  } finally {
    await file.close();
  }
  const { size, tags } = sealer.finish();
  const sealed = buffer.subarray(0, offset + size);
  const headerTag = part.isFirst ? header.subarray(header.length - 16) : undefined;
  return {
    sealed,
    intent: {
      number: part.number,
      fingerprint: fingerprint({ ledgerKey: message.keys.ledgerKey, format: 'esdk', part, headerTag, tags }),
      sealedSize: sealed.length,
      crc32: crc32(sealed),
    },
  };
}

async function readInto(sealer: PartSealer, file: FileHandle, part: Part, source: SourceIdentity): Promise<void> {
  const slice = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, part.plainSize));
  for (let done = 0; done < part.plainSize; ) {
    const want = Math.min(slice.length, part.plainSize - done);
    const { bytesRead } = await file.read(slice, 0, want, part.plainOffset + done);
    if (bytesRead === 0) throw sourceChanged(source, { ...source, size: part.plainOffset + done });
    sealer.push(slice.subarray(0, bytesRead));
    done += bytesRead;
  }
}
