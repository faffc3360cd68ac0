/**
 * The life of one part on its way down: fetch, open, and write where there is a file, or show to whoever wants to see.
 * Bytes are written and shown only after every frame they come from has been verified; what proves itself only as a whole
 * is not proven here, and comes with its hash for whoever proves it. A fetch that breaks is tried
 * again from the start of the part; nothing else is.
 */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { SealiftError } from '../errors.ts';
import { plainSpanOf, sealedRangeOf, sliceSizeOf, unitOpener } from '../formats/units.ts';
import { writeAt } from '../stores/directory-files.ts';
import { slicesOf } from '../stores/object-stream.ts';
import type { PartStore } from '../stores/store.ts';
import type { BufferPool } from './buffers.ts';
import type { OpenLink, OpenReceipt, PartToOpen } from './task.ts';

/** Tries a part gets. The store has already retried what fails before the first byte; these are for broken bodies. */
const ATTEMPT_COUNT = 5;
const FIRST_PAUSE_MS = 200;

/** Fetches and opens one part, until it is cut, and writes or shows it. */
export async function openPart(
  task: PartToOpen,
  store: PartStore,
  buffers: BufferPool,
  link: OpenLink,
): Promise<OpenReceipt> {
  const { target, range } = task;
  const { watch } = link;
  const { plainOffset, plainSize: size } = plainSpanOf(task.message, task);
  // What is moved to another thread costs its collector more than the cipher costs here; what is shared costs nothing.
  const plain = buffers.take(size, { isShared: 'shown' in target && link.isElsewhere });
  try {
    const hash = await fetchAndOpen(task, store, plain, link);
    const first = Math.max(range.first - plainOffset, 0);
    const wanted = plain.subarray(first, Math.max(first, Math.min(range.last + 1 - plainOffset, size)));
    const receipt = { plainSize: wanted.length, hash };
    if ('path' in target) {
      watch.enter('disk');
      await writeInto(target.path, wanted, plainOffset + first - range.first);
      watch.enter('checksum');
      return { ...receipt, crc32: crc32(wanted) };
    }
    watch.enter('disk');
    if ('shown' in target) await link.show(wanted, hash);
    return receipt;
  } finally {
    buffers.give(plain);
  }
}

/** Resolves to the units' hash, where they prove themselves by that. */
async function fetchAndOpen(
  task: PartToOpen,
  store: PartStore,
  plain: Buffer,
  { cut, watch }: Pick<OpenLink, 'cut' | 'watch'>,
): Promise<Uint8Array | undefined> {
  const { first, last } = sealedRangeOf(task.message, task);
  for (let attempt = 1; ; attempt++) {
    const opener = unitOpener(task.message, task, plain);
    // Of an empty object only the tag is there.
    if (last < first) return opener.finish();
    try {
      watch.enter('network');
      const body = await store.read(
        task.objectKey,
        { first, last },
        { ifMatch: task.etag, versionId: task.versionId, signal: cut },
      );
      for await (const slice of slicesOf(body, sliceSizeOf(task.message))) {
        watch.enter('cipher');
        opener.push(slice);
        watch.enter('network');
      }
      watch.enter('cipher');
      return opener.finish();
    } catch (error) {
      const passing = error instanceof SealiftError && error.code === 'store-unavailable';
      if (!passing || attempt === ATTEMPT_COUNT || cut?.aborted) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}

async function writeInto(path: string, bytes: Buffer, position: number): Promise<void> {
  try {
    await using file = await open(path, 'r+');
    await writeAt(file, bytes, position);
  } catch (error) {
    throw targetError(path, error as NodeJS.ErrnoException);
  }
}

/** What a failed write to the local disk means. */
export function targetError(path: string, error: NodeJS.ErrnoException): SealiftError {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new SealiftError('disk-full', `No space left in ${dirname(path)}`, {
      hint: 'Free some space and run the same command again: it goes on where it stopped.',
      cause: error,
    });
  }
  const isTooLong = error.code === 'ENAMETOOLONG';
  return new SealiftError('target-unwritable', `${path} cannot be written: ${error.message}`, {
    hint: isTooLong
      ? 'Choose a shorter path. A hidden name of 25 bytes beside it has to fit too, until all is verified.'
      : 'Check that its folder exists and that you may write there.',
    cause: error,
  });
}
