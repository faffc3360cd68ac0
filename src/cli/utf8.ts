/**
 * Node gives us words as text. What of them is not UTF-8 has become U+FFFD by then, which would name another file: one
 * that is read in the place of the right one, or written beside it. Linux keeps the words as they were given, and there
 * such names exist; macOS and Windows have none.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { SealiftError } from '../errors.ts';

const REPLACEMENT = '\ufffd';

/** Throws `usage` where an argument, or a variable that stands for a flag, is not what was given. */
export function refuseGarbled(args: readonly string[], env: NodeJS.ProcessEnv): void {
  const garbled = args.find((word) => word.includes(REPLACEMENT));
  if (garbled !== undefined && !isExact('cmdline')) throw notUtf8(`The argument ${JSON.stringify(garbled)}`);
  const flags = Object.entries(env).filter(([name]) => name.startsWith('SEALIFT_'));
  const [name] = flags.find(([, value]) => value?.includes(REPLACEMENT)) ?? [];
  if (name !== undefined && !isExact('environ')) throw notUtf8(`The value of ${name}`);
}

/** Whether the words of this process are UTF-8, so that a U+FFFD among them is one that was meant. */
function isExact(words: 'cmdline' | 'environ'): boolean {
  try {
    return isUtf8(readFileSync(`/proc/self/${words}`));
  } catch {
    return true;
  }
}

function notUtf8(what: string): SealiftError {
  return new SealiftError('usage', `${what} is not UTF-8`, {
    hint: 'Names are taken as UTF-8 only. Rename the file, or give it as a pipe: sealift put - DEST < FILE, sealift get OBJECT - > FILE.',
  });
}
