/**
 * A list of names with a NUL behind each, as `find -print0` writes it, of files in a directory or objects behind a
 * prefix. It may come through a pipe, which cannot be read a second time: whoever goes on with a job gives the same list
 * again, and what of it is known already is passed over.
 */
import { isUtf8 } from 'node:buffer';
import { SealiftError } from '../../errors.ts';
import type { Store } from '../../stores/store.ts';
import { KiB } from '../../units.ts';
import type { ListingMeans, MigrateSource, SourceObject, SourcePage } from '../source.ts';
import { lookAtFile, lookAtObject, refused, showBytes } from './look.ts';
import { type Listed, pagesOf } from './pages.ts';

/** Longer than any path or key: a list without NULs is none. */
const MAX_NAME_SIZE = 64 * KiB;

/** Where the names are: in a directory, or behind a prefix, which is empty or ends in a slash. */
export type NamedPlace = { directory: string } | { store: Store; prefix: string };

/** The bytes of a list, from its start at every call. */
export type NameList = () => AsyncIterable<Uint8Array>;

export class NamesSource implements MigrateSource {
  readonly url: string;
  readonly reads: MigrateSource['reads'];
  readonly firstSection = '';
  readonly #place: NamedPlace;
  readonly #list: NameList;

  constructor(place: NamedPlace, list: NameList) {
    this.#place = place;
    this.#list = list;
    this.url = 'directory' in place ? place.directory : place.store.url(place.prefix);
    this.reads = 'directory' in place ? place : { prefix: this.url };
  }

  pages(_section: string, after: string | undefined, { filter, signal }: ListingMeans): AsyncIterable<SourcePage> {
    return pagesOf(this.#rows(Number(after ?? 0)), ({ bytes }) => this.#look(bytes, { filter, signal }), {
      url: this.url,
      filter,
      signal,
    });
  }

  /** Throws `bad-manifest`. */
  async *#rows(knownCount: number): AsyncGenerator<Listed<{ bytes: Buffer }>, void> {
    let count = 0;
    for await (const bytes of namesIn(this.#list())) {
      count += 1;
      if (count > knownCount) yield { bytes, cursor: String(count) };
    }
  }

  async #look(bytes: Buffer, { filter, signal }: ListingMeans): Promise<SourceObject | undefined> {
    if (!isUtf8(bytes)) return misnamed(bytes, 'it is not UTF-8');
    if ('store' in this.#place) {
      const { store, prefix } = this.#place;
      const name = bytes.toString();
      if (name === '') return misnamed(bytes, 'it is empty');
      return filter.takesName(name) ? await lookAtObject(store, { name, key: prefix + name }, signal) : undefined;
    }
    const { directory } = this.#place;
    // `find .` writes `./` before each.
    const name = bytes.toString().replace(/^(\.\/)+/, '');
    if (name.split('/').some((part) => ['', '.', '..'].includes(part))) {
      return misnamed(bytes, 'it is no path of a file in SOURCE');
    }
    if (!filter.takesName(name)) return undefined;
    const missing = new SealiftError('source-not-found', `There is no file ${name} in ${directory}`);
    return (await lookAtFile(directory, name)) ?? refused(name, missing);
  }
}

/** By a name that nothing else has, as in a directory. */
function misnamed(bytes: Buffer, why: string): SourceObject {
  const shown = showBytes(bytes);
  return refused(`./${shown}`, new SealiftError('bad-name', `The list has the name ${shown}, and ${why}`));
}

/** The last name may lack its NUL. */
async function* namesIn(list: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of list) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      yield rest.subarray(0, end);
      rest = rest.subarray(end + 1);
    }
    if (rest.length > MAX_NAME_SIZE) {
      throw new SealiftError('bad-manifest', `The list has ${rest.length} bytes without a NUL`, {
        hint: 'Names end with a NUL each, as `find -print0` writes them.',
      });
    }
  }
  if (rest.length > 0) yield rest;
}
