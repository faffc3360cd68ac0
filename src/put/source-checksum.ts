/**
 * The source's own checksum: of an object's plain bytes a store may keep the CRC32 of all, and what was read must have it.
 * It is put together from those of the parts that this run has read. Parts kept of an earlier run are not read again, and
 * then nothing can be said.
 */
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import { partOf } from '../formats/message.ts';
import type { Announced } from '../parts/task.ts';
import type { Attempt } from './attempt.ts';

/** Hears of a part that was read and sealed. */
export function takeSourceChecksum(
  { plainCrcs }: Pick<Attempt, 'plainCrcs'>,
  number: number,
  { plainCrc32 }: Pick<Announced, 'plainCrc32'>,
): void {
  if (plainCrc32 !== undefined) plainCrcs.set(number, plainCrc32);
}

/** Throws `checksum-mismatch`. */
export function checkSourceChecksum({
  source,
  message,
  plainCrcs,
}: Pick<Attempt, 'source' | 'message' | 'plainCrcs'>): void {
  const { partCount } = message.layout;
  if (!source || !('object' in source) || source.crc32 === undefined || plainCrcs.size < partCount) return;
  let crc32 = 0;
  for (let number = 1; number <= partCount; number++) {
    crc32 = combineCrc32(crc32, plainCrcs.get(number)!, partOf(message, number).plainSize);
  }
  if (crc32 === source.crc32) return;
  throw new SealiftError(
    'checksum-mismatch',
    `What was read of ${source.object.url} has another CRC32 than it was stored with`,
    {
      hint: 'Nothing was completed. Run the same command again; if it happens again the store or the line damages data.',
    },
  );
}
