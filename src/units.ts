/**
 * How sizes, rates and times are written and read. Sizes are bytes, always integers; a bare number is bytes, K/M/G/T
 * and KiB/MiB/GiB/TiB are powers of 1024, KB/MB/GB/TB are powers of 1000.
 */
import { SealiftError } from './errors.ts';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

const FACTORS: Record<string, number> = { '': 1, b: 1 };
for (const [power, letter] of ['k', 'm', 'g', 't'].entries()) {
  FACTORS[letter] = FACTORS[`${letter}ib`] = 1024 ** (power + 1);
  FACTORS[`${letter}b`] = 1000 ** (power + 1);
}

/** Reads a size such as `8MiB`, `1.5G` or `1048576`. Throws `bad-size` naming `name`. */
export function parseSize(text: string, name = 'size'): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match && FACTORS[match[2]!.toLowerCase()];
  const bytes = match && factor ? Number(match[1]) * factor : Number.NaN;
  if (!Number.isSafeInteger(bytes)) {
    throw new SealiftError('bad-size', `${name} is not a size in whole bytes: ${JSON.stringify(text)}`, {
      hint: 'Write it as bytes or with a unit, for example 8388608, 8MiB, 1.5GiB or 500MB.',
    });
  }
  return bytes;
}

/** `8 MiB`, `1.5 GiB`, `17 B`: at most one decimal, for people. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${unit === 'B' || Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`;
}

/** Reads a rate such as `10MiB/s` or `10M` into bytes a second. Throws `bad-size` naming `name`. */
export function parseRate(text: string, name = 'rate'): number {
  return parseSize(text.replace(/\/s\s*$/i, ''), name);
}

/** `212 MiB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatSize(Math.round(bytesPerSecond))}/s`;
}

/** `4 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 60)} h`;
}

/** Reads a duration such as `500ms`, `30s`, `10m`, `1h` into milliseconds. Throws `bad-option` naming `name`. */
export function parseDuration(text: string, name = 'duration'): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)$/i.exec(text.trim());
  if (!match) {
    throw new SealiftError('bad-option', `${name} is not a duration: ${JSON.stringify(text)}`, {
      hint: 'Write it with a unit, for example 500ms, 30s, 10m or 1h.',
    });
  }
  const factors: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
  return Math.round(Number(match[1]) * factors[match[2]!.toLowerCase()]!);
}
