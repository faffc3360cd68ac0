/** Files with keys in them, which are for their owner's eyes alone. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';

/** Far above any key file: whatever is larger is something else. */
const MAX_FILE_SIZE = 64 * 1024;

/**
 * Reads a file that nobody but its owner may read; looks at the file that it opened, not at the name again. Throws
 * `bad-key-file`. `hint` says how to make a good one.
 */
export async function readPrivately(path: string, hint: string): Promise<Buffer> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK a pipe of this name would be waited for.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw badKeyFile(path, (cause as Error).message, { hint, cause });
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw badKeyFile(path, 'it is not a file', { hint });
    if ((stats.mode & 0o077) !== 0) {
      throw new SealiftError('bad-key-file', `${path} can be used by others than its owner`, {
        hint: `Take that away with: chmod 600 ${path}. If others may have read it, make a new key.`,
      });
    }
    if (stats.size > MAX_FILE_SIZE) throw badKeyFile(path, 'it is too large for one', { hint });
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

export function badKeyFile(path: string, reason: string, more: { hint: string; cause?: unknown }): SealiftError {
  return new SealiftError('bad-key-file', `${path} is not a key file: ${reason}`, more);
}
