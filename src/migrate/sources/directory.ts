/**
 * The files of a tree. Each folder is a section, read as a stream in whatever order the disk has it. Names are read as
 * bytes: what is no UTF-8 cannot be a key, and text would hide it. Links are not followed, for what they lead to may lie
 * outside the tree, or be in it already; they, and whatever else is no file, are refused by name.
 */
import { isUtf8 } from 'node:buffer';
import type { Dirent, OpenDirOptions } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { SealiftError } from '../../errors.ts';
import type { Filter } from '../filter.ts';
import type { ListingMeans, MigrateSource, SourceObject, SourcePage } from '../source.ts';
import { lookAtFile, refused, showBytes } from './look.ts';
import { groupsOf, PAGE_COUNT, wanted } from './pages.ts';

/** With its name as the disk has it. */
type Entry = Dirent<Buffer>;

export class DirectorySource implements MigrateSource {
  readonly url: string;
  readonly reads: { directory: string };
  /** A section is a folder's name with a slash behind it, and the tree's own is empty. */
  readonly firstSection = '';

  /** `directory` is an absolute path. */
  constructor(directory: string) {
    this.url = directory;
    this.reads = { directory };
  }

  /** Throws `source-unreadable`. A folder that is gone by now has nothing in it. */
  async *pages(
    section: string,
    _after: string | undefined,
    { filter, signal }: ListingMeans,
  ): AsyncGenerator<SourcePage, void> {
    for await (const entries of groupsOf(this.#entries(section), PAGE_COUNT)) {
      if (signal?.aborted) throw SealiftError.interrupted(signal, `List ${this.url}`);
      const sections: string[] = [];
      const looks: Promise<SourceObject | undefined>[] = [];
      for (const entry of entries) {
        const name = `${section}${entry.name}`;
        if (!isUtf8(entry.name)) looks.push(Promise.resolve(this.#misnamed(section, entry.name, filter)));
        else if (!entry.isDirectory()) looks.push(this.#look(name, filter));
        else if (filter.enters(`${name}/`)) sections.push(`${name}/`);
      }
      yield { objects: wanted(await Promise.all(looks), filter), sections };
    }
  }

  async *#entries(section: string): AsyncGenerator<Entry, void> {
    const path = join(this.reads.directory, section);
    try {
      yield* await openFolder(path);
    } catch (thrown) {
      const error = thrown as NodeJS.ErrnoException;
      if (error.code === 'ENOENT' && section !== this.firstSection) return;
      throw new SealiftError('source-unreadable', `The folder ${path} cannot be read: ${error.message}`, {
        hint: 'Check its permissions (`ls -ld`) and who you are (`id`), or leave it out with --exclude.',
        cause: error,
      });
    }
  }

  async #look(name: string, filter: Filter): Promise<SourceObject | undefined> {
    return filter.takesName(name) ? await lookAtFile(this.reads.directory, name) : undefined;
  }

  /** By a name that no file has: none lies in a folder called `.`, so that a real name of these letters stays another. */
  #misnamed(section: string, bytes: Buffer, filter: Filter): SourceObject | undefined {
    const shown = showBytes(bytes);
    if (!filter.takesName(`${section}${shown}`)) return undefined;
    const message = `The name ${shown} in ${join(this.reads.directory, section)} is not UTF-8`;
    return refused(`${section}./${shown}`, new SealiftError('bad-name', message));
  }
}

/** Node reads names as bytes where it is asked to. Its types do not say so. */
async function openFolder(path: string): Promise<AsyncIterable<Entry>> {
  const options = { encoding: 'buffer', bufferSize: PAGE_COUNT } as unknown as OpenDirOptions;
  return (await opendir(path, options)) as unknown as AsyncIterable<Entry>;
}
