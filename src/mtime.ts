/**
 * A source's modification time, as it is kept with an object: in user metadata, as rclone writes and reads it, in seconds
 * since 1970 with up to nine decimals. Metadata is not authenticated, so it is good for a file's time and nothing else.
 */

/** What stands with an object, in a store of any kind. */
interface Described {
  metadata: Readonly<Record<string, string>>;
}

export const MTIME_METADATA = 'mtime';

/** Plain bytes of the source: with the time they tell a file, or another run's object, from any that was changed. */
export const SOURCE_SIZE_METADATA = 'sealift-source-size';

/** As metadata has it. */
export function mtimeText(mtimeNs: string): string {
  const negative = mtimeNs.startsWith('-');
  const digits = mtimeNs.slice(negative ? 1 : 0).padStart(10, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** Whether a file is the one that the metadata tell of: by size, and by time to the millisecond, which all files can keep. */
export function isFileOf({ size, mtimeNs }: { size: bigint; mtimeNs: bigint }, info: Described): boolean {
  const time = mtimeOf(info);
  if (time === undefined || info.metadata[SOURCE_SIZE_METADATA] !== String(size)) return false;
  const ms = typeof time === 'number' ? time * 1000 : time.getTime();
  return Math.abs(Number(mtimeNs) / 1e6 - ms) < 1;
}

/**
 * What Node's `lutimes` takes, or undefined where the metadata hold no time. Seconds are a double, which tells the time to
 * a fraction of a microsecond. Node takes a negative number for "now", but not a Date before 1970: that has milliseconds.
 */
export function mtimeOf({ metadata }: Described): number | Date | undefined {
  const text = metadata[MTIME_METADATA];
  if (text === undefined || !/^-?\d{1,11}(\.\d{1,9})?$/.test(text)) return undefined;
  const seconds = Number(text);
  return seconds < 0 ? new Date(seconds * 1000) : seconds;
}
