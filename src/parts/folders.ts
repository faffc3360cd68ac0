/**
 * The folders under a root that files are restored into. They are made where they are missing, and a symbolic link in the
 * place of one is refused, for it could lead anywhere. Whoever swaps a folder for a link while we work gains nothing either,
 * on Linux: each folder is opened in the one above it without following links, and what is done in it is done through that
 * handle. Elsewhere a path is all there is, and is looked at right before.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { badName } from './file-names.ts';
import { targetError } from './open-part.ts';

const { O_DIRECTORY = 0, O_NOFOLLOW = 0, O_RDONLY } = constants;

export interface Folder {
  /** The path of a name in it, for calls of this process alone. */
  pathOf(name: string): string;
}

interface OpenFolder extends Folder {
  handle: FileHandle;
}

export class Folders {
  readonly #root: string;
  readonly #open = new Map<string, Promise<OpenFolder>>();

  /** The root is the user's own: a link to a folder is one. */
  constructor(root: string) {
    this.#root = root;
  }

  /** The folder that these lead to. Throws `bad-name` where one of them is a file or a link, and as a write does. */
  folderOf(parts: readonly string[]): Promise<Folder> {
    return this.#folder(parts);
  }

  /** Puts on the disk which names there are, in all the folders that were asked for and on the way to them. */
  async sync(): Promise<void> {
    for (const folder of await this.#opened()) await folder.handle.sync();
  }

  /** Lets all folders go. */
  async close(): Promise<void> {
    for (const folder of await this.#opened()) await folder.handle.close();
  }

  async #opened(): Promise<OpenFolder[]> {
    const settled = await Promise.allSettled(this.#open.values());
    return settled.flatMap((folder) => (folder.status === 'fulfilled' ? [folder.value] : []));
  }

  #folder(parts: readonly string[]): Promise<OpenFolder> {
    const id = parts.join('/');
    let folder = this.#open.get(id);
    if (!folder) {
      folder = this.#enter(parts);
      this.#open.set(id, folder);
    }
    return folder;
  }

  async #enter(parts: readonly string[]): Promise<OpenFolder> {
    const name = parts.at(-1);
    if (name === undefined) return opened(this.#root, await openRoot(this.#root));
    const above = await this.#folder(parts.slice(0, -1));
    const path = above.pathOf(name);
    const shown = join(this.#root, ...parts);
    try {
      return opened(shown, await openFolder(path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTDIR' || code === 'ELOOP') throw badName(parts.join('/'), `${shown} is a file or a link`, error);
      throw targetError(shown, error as NodeJS.ErrnoException);
    }
  }
}

function opened(path: string, handle: FileHandle): OpenFolder {
  const base = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path;
  return { handle, pathOf: (name) => join(base, name) };
}

async function openRoot(path: string): Promise<FileHandle> {
  try {
    return await open(path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw targetError(path, error as NodeJS.ErrnoException);
  }
}

async function openFolder(path: string): Promise<FileHandle> {
  await makeIfMissing(path);
  // Not every system knows the flags below.
  if (!(await lstat(path)).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
  return await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

async function makeIfMissing(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
