/** What the text behind a flag means: each reads one kind, and says what it expected where it got another. */
import { resolve } from 'node:path';
import { SealiftError } from '../errors.ts';
import { isLoopback } from '../network.ts';
import { parseRate, parseSize } from '../units.ts';

export function path(text: string): string {
  return resolve(text);
}

/** An object's URL as it stands, else a file's path. */
export function fileOrObject(text: string): string {
  return text.startsWith('s3://') ? text : path(text);
}

/** `-` as it stands, else a file's path. */
export function pathOrDash(text: string): string {
  return text === '-' ? text : path(text);
}

/** As `list`, of files. */
export function paths(text: string, name: string, before: string[] = []): string[] {
  return [...before, ...list(text, name).map(path)];
}

export function size(text: string, name: string): number {
  return parseSize(text, name);
}

export function byteRate(text: string, name: string): number {
  return parseRate(text, name);
}

export function count(text: string, name: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw badOption(text, name, 'a whole number above 0');
}

export function share(text: string, name: string): number | 'auto' {
  if (text === 'auto') return text;
  const value = Number(text);
  if (value > 0 && value <= 1) return value;
  throw badOption(text, name, 'a part of the quota, above 0 and at most 1 (half of it is 0.5), or auto');
}

export function rate(text: string, name: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw badOption(text, name, 'a number above 0');
}

/** Flags that may be repeated take several values from the environment too: one a line. */
export function list(text: string, _name: string, before: string[] = []): string[] {
  return [...before, ...text.split('\n').filter((line) => line !== '')];
}

export function pairs(text: string, name: string, before: Record<string, string> = {}): Record<string, string> {
  let all = before;
  for (const pair of list(text, name)) {
    const at = pair.indexOf('=');
    const key = pair.slice(0, at);
    if (at < 1) throw badOption(pair, name, 'NAME=VALUE');
    if (Object.hasOwn(all, key)) throw badOption(pair, name, `new: ${key} has a value already`);
    all = { ...all, [key]: pair.slice(at + 1) };
  }
  return all;
}

/** `s3`, `kms`, `kms:KEY`, `dsse`, `dsse:KEY`: how S3 is to encrypt. A key may have colons of its own. */
export function sse(text: string, name: string): { algorithm: string; keyId?: string } {
  const [, mode = '', keyId] = /^(s3$|kms|dsse)(?::(.+))?$/.exec(text) ?? [];
  const algorithm = { s3: 'AES256', kms: 'aws:kms', dsse: 'aws:kms:dsse' }[mode];
  if (algorithm === undefined) throw badOption(text, name, 's3, kms, kms:KEY, dsse or dsse:KEY');
  return keyId === undefined ? { algorithm } : { algorithm, keyId };
}

/** `FIRST-LAST`, both inclusive, or `FIRST-` for the rest. */
export function range(text: string, name: string): { first: number; last: number } {
  const [, first, last] = /^(\d+)-(\d*)$/.exec(text) ?? [];
  const parsed = { first: Number(first), last: last === '' ? Number.MAX_SAFE_INTEGER : Number(last) };
  if (Number.isSafeInteger(parsed.first) && Number.isSafeInteger(parsed.last) && parsed.first <= parsed.last) {
    return parsed;
  }
  throw new SealiftError('bad-range', `${name}: not a range of bytes: ${JSON.stringify(text)}`, {
    hint: 'Write it as FIRST-LAST. Both count from 0 and belong to the range: 0-99 is the first hundred bytes.',
  });
}

export interface Address {
  host: string;
  port: number;
}

/** `127.0.0.1:9400`, `[::1]:9400`: an address of this machine that no other can reach. Port 0 is any that is free. */
export function loopback(text: string, name: string): Address {
  const [, host = '', digits] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (isLoopback(host) && port <= 65535) return { host: host.replace(/^\[|\]$/g, ''), port };
  throw badOption(text, name, 'a loopback address and a port, as 127.0.0.1:9400 or [::1]:9400');
}

/** `all`, `1%` or a number. */
export function sample(text: string, name: string): 'all' | { count: number } | { share: number } {
  if (text === 'all') return text;
  const [, number = '', percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  const value = Number(number);
  if (percent && value > 0 && value <= 100) return { share: value / 100 };
  if (number !== '' && !percent && Number.isSafeInteger(value) && value > 0) return { count: value };
  throw badOption(text, name, 'all, a share as 1%, or a number of objects above 0');
}

function badOption(text: string, name: string, wanted: string): SealiftError {
  return new SealiftError('bad-option', `${name}: ${JSON.stringify(text)} is not ${wanted}`, {
    hint: 'The same command with --help shows its flags.',
  });
}
