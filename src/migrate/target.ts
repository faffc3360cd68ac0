/** Where a migration puts its objects: names behind a prefix of a bucket, or files under a directory. */
import { mkdir } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import type { Place, Tools } from '../job.ts';
import { underKey } from '../job.ts';
import type { MigrateOptions } from '../migrate.ts';
import { directoryError } from '../stores/directory-files.ts';
import { parsePrefixUrl } from '../stores/object-url.ts';

type Needs = Pick<MigrateOptions, 'target' | 'customerKey' | 'signal'>;

/** Where objects or files are put. */
export interface MigrateTarget {
  /** The job's id follows from it. */
  readonly url: string;
  /** Whether nothing is there. */
  isEmpty(): Promise<boolean>;
}

export class Target implements MigrateTarget {
  /** With a slash at its end, but for a whole bucket's. */
  readonly url: string;
  readonly #request: Needs;
  readonly #tools: Tools;
  /** The directory that a file went into last, which is there. */
  #made: string | undefined;

  private constructor(url: string, request: Needs, tools: Tools) {
    this.url = url;
    this.#request = request;
    this.#tools = tools;
  }

  /** Throws `bad-url`, and what keeps the store from being reached at all. */
  static async open(request: Needs, tools: Tools): Promise<Target> {
    const { target } = request;
    const parsed = parsePrefixUrl(target);
    const isWhole = target.endsWith('/') || ('bucket' in parsed && parsed.key === '');
    const url = isWhole ? target : `${target}/`;
    const { url: whole } = await tools.prefix(url);
    return new Target('bucket' in parsed ? whole : url, request, tools);
  }

  /** Where the object of this name is to be, and may be put: its folder is made. Throws `bad-name` where it can be nowhere. */
  async place(name: string): Promise<Place> {
    const place = await this.find(name);
    const { settings } = place;
    if ('directory' in settings && settings.directory !== this.#made) {
      await this.#make(settings.directory, name);
      this.#made = settings.directory;
    }
    return place;
  }

  async #make(directory: string, name: string): Promise<void> {
    try {
      await mkdir(directory, { recursive: true });
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'EEXIST' || code === 'ENOTDIR') throw badName(name, 'a part of it is a file there', thrown);
      const url = this.url + name;
      throw directoryError(thrown, 'Make the folder of', { directory, name, path: directory, url });
    }
  }

  /** As `place`, and makes nothing. */
  async find(name: string): Promise<Place> {
    const isFile = this.url.startsWith('file:');
    // A file's path would be resolved: it would be another name's, or lie elsewhere.
    if (isFile && name.split('/').some((part) => ['', '.', '..'].includes(part))) {
      throw badName(name, 'there are no parts of a path that are empty, . or ..');
    }
    try {
      return underKey(await this.#tools.place(urlIn(this.url, name)), this.#request.customerKey);
    } catch (thrown) {
      const error = SealiftError.from(thrown);
      if (error.code !== 'bad-url') throw error;
      throw badName(name, error.message, error);
    }
  }

  /** Whether nothing is there. */
  async isEmpty(): Promise<boolean> {
    const { store, key } = await this.#tools.prefix(this.url);
    try {
      for await (const _ of store.list(key, { signal: this.#request.signal })) return false;
    } catch (error) {
      // A directory is made when the first file goes into it. A bucket is not.
      if (SealiftError.from(error).code !== 'bucket-not-found' || !this.url.startsWith('file:')) throw error;
    }
    return true;
  }
}

function badName(name: string, why: string, cause?: unknown): SealiftError {
  return new SealiftError('bad-name', `${JSON.stringify(name)} has no place there: ${why}`, {
    hint: 'Move it by itself: `sealift put` lets you choose the name.',
    cause,
  });
}

/** Of the object of this name under a target's URL. */
export function urlIn(target: string, name: string): string {
  return target + (target.startsWith('file:') ? name.split('/').map(encodeURIComponent).join('/') : name);
}
