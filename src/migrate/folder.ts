/** Where a restore puts its files: a folder of this machine, and nothing outside it. */
import { mkdir, opendir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { filePartsOf } from '../parts/file-names.ts';
import { Folders } from '../parts/folders.ts';
import { targetError } from '../parts/open-part.ts';
import type { MigrateTarget } from './target.ts';

export class RestoreFolder implements MigrateTarget {
  /** An absolute path. */
  readonly url: string;

  constructor(path: string) {
    this.url = resolve(path);
  }

  /** Makes the folder where it is missing. Resolves to whether nothing is in it. */
  async isEmpty(): Promise<boolean> {
    try {
      await mkdir(this.url, { recursive: true });
      await using folder = await opendir(this.url);
      return (await folder.read()) === null;
    } catch (error) {
      throw targetError(this.url, error as NodeJS.ErrnoException);
    }
  }

  /** The path of an object's file, whose folder is there, and is reached through no link. Throws `bad-name`. */
  async pathOf(name: string): Promise<string> {
    const path = join(this.url, ...filePartsOf(name));
    const folders = new Folders(this.url);
    try {
      await folders.folderOf(filePartsOf(name).slice(0, -1));
      await folders.sync();
    } finally {
      await folders.close();
    }
    return path;
  }
}
