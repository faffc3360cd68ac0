/**
 * What a migration moves: a source that lists its objects, section by section, and says where they are read. A section
 * is what can be listed by itself: a folder of a tree, a data file of an inventory, all of a bucket's prefix. The ledger
 * keeps which sections there are and how far each is listed, so nothing known is listed again, and nobody holds a list.
 */
import type { ErrorCode } from '../errors.ts';
import type { Filter } from './filter.ts';

export interface MigrateSource {
  /** What the user named: an absolute path or a URL. The job's id follows from it. */
  readonly url: string;
  /** Where the objects are: an object's place is this with its name behind it. */
  readonly reads: { directory: string } | { prefix: string };
  /** The section to begin with. */
  readonly firstSection: string;
  /**
   * Lists a section in pages of some hundred objects, streamed: a section may hold millions. `after` is the cursor of the last
   * page that was kept, undefined at the start. Throws what makes all of the section unreadable.
   */
  pages(section: string, after: string | undefined, means: ListingMeans): AsyncIterable<SourcePage>;
}

export interface ListingMeans {
  /** Only what it takes is listed. */
  filter: Filter;
  signal?: AbortSignal | undefined;
}

export interface SourcePage {
  objects: readonly SourceObject[];
  /** Further sections that were found. */
  sections?: readonly string[] | undefined;
  /**
   * Opaque: listing goes on behind this page when it is given back. Undefined where a section has no order to rely on, as
   * a folder: cut off half way it is listed again, and names that are known are ignored.
   */
  cursor?: string | undefined;
}

export interface SourceObject {
  /** Relative, '/' between: as it stands behind the source's place and the target's prefix. */
  name: string;
  /** Plain bytes of a file, bytes of an object as it is stored. */
  size: number;
  /** Of a file: nanoseconds since 1970. */
  mtimeNs?: string | undefined;
  inode?: string | undefined;
  /** Of an object. */
  etag?: string | undefined;
  versionId?: string | undefined;
  lastModified?: Date | undefined;
  /** It is there, and cannot be moved: it counts as failed with this. */
  refusal?: { code: ErrorCode; message: string } | undefined;
}
