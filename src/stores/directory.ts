/**
 * A directory of sealed objects, as a Store: `file:///backups/db.tar` is the object `db.tar` of the directory
 * `/backups`. It keeps S3's promises: an object is there whole or not at all, conditions hold, an interrupted upload
 * goes on with the parts that are on the disk. It asks nothing of the network, and nobody's credentials.
 *
 * An object's key, to which its message is bound, is the file's name without the directory, as a key is without its
 * bucket: a directory may be moved or copied whole, and two objects that were swapped in it are noticed.
 */
import type { KeyObject } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { createFile, directoryError } from './directory-files.ts';
import { listDirectory } from './directory-list.ts';
import { newHiddenPath, type ObjectPlace, placeOf } from './directory-names.ts';
import { openObject, publish, readHeaders } from './directory-object.ts';
import { FileRange } from './directory-read.ts';
import { completeUpload, createUpload, listParts, listUploads, removeUpload, sendPart } from './directory-upload.ts';
import { formatObjectUrl } from './object-url.ts';
import { checkHeaders } from './s3-fields.ts';
import type {
  CallOptions,
  CompletedUpload,
  KeptHeaders,
  ListedObject,
  ListedPrefix,
  ListingOptions,
  ObjectHeaders,
  ObjectInfo,
  ObjectStream,
  PartBody,
  PartToSend,
  ReadOptions,
  Store,
  StoredPart,
  WriteAnswer,
  WriteCondition,
} from './store.ts';

/** Everything a thread needs to reach one directory. */
export interface DirectorySettings {
  /** An absolute path. */
  directory: string;
}

export class DirectoryStore implements Store {
  readonly #directory: string;

  constructor({ directory }: DirectorySettings) {
    this.#directory = directory;
  }

  withCustomerKey(key: KeyObject | undefined): Store {
    if (key === undefined) return this;
    throw new SealiftError('bad-option', `A key for SSE-C is for a server, and ${this.#directory} has none`, {
      hint: 'Leave --sse-c away: Sealift does not encrypt a disk. What it seals is encrypted already.',
    });
  }

  url(key: string): string {
    return formatObjectUrl({ directory: this.#directory, key });
  }

  head(key: string, options: CallOptions & { versionId?: string | undefined } = {}): Promise<ObjectInfo | undefined> {
    return this.#call('Head', key, options, async (place) => {
      const object = openVersion(place, options.versionId);
      if (!object) return undefined;
      const { file, identity } = object;
      using _closed = file;
      const { size, etag, lastModified } = identity;
      const { metadata = {}, crc32, contentType, storageClass } = readHeaders(place, identity) ?? {};
      return { size, etag, lastModified, metadata, crc32, contentType, storageClass };
    });
  }

  headers(key: string, options: CallOptions & { versionId?: string | undefined } = {}): Promise<KeptHeaders> {
    return this.#call('Headers', key, options, async (place) => {
      const object = openVersion(place, options.versionId);
      if (!object) throw notFound(place);
      const { file, identity } = object;
      using _closed = file;
      const { etag, lastModified } = identity;
      const { metadata = {}, crc32, contentType, storageClass, tags } = readHeaders(place, identity) ?? {};
      return { etag, lastModified, metadata, crc32, contentType, storageClass, tags };
    });
  }

  putObject(
    key: string,
    body: Uint8Array | PartBody,
    options: CallOptions & ObjectHeaders & { crc32: number; condition: WriteCondition },
  ): Promise<WriteAnswer> {
    return this.#call('Put', key, options, async (place) => {
      checkHeaders(options);
      const path = newHiddenPath(place);
      try {
        const written = await createFile(path, body);
        if (written.crc32 !== options.crc32) {
          throw new SealiftError('checksum-mismatch', `${place.url} does not have its checksum`, {
            hint: 'This machine may be faulty. Run the same command again.',
          });
        }
        return await publish(place, path, {
          headers: { ...options, size: written.size },
          condition: options.condition,
        });
      } finally {
        await rm(path, { force: true });
      }
    });
  }

  createUpload(key: string, options: CallOptions & ObjectHeaders): Promise<string> {
    return this.#call('Create', key, options, (place) => {
      checkHeaders(options);
      return createUpload(place, options);
    });
  }

  sendPart(key: string, part: PartToSend, options: CallOptions = {}): Promise<{ etag: string }> {
    return this.#call(`Part ${part.number}`, key, options, (place) => sendPart(place, part));
  }

  async *listParts(key: string, uploadId: string, options: CallOptions = {}): AsyncIterable<StoredPart> {
    yield* await this.#call('ListParts', key, options, (place) => listParts(place, uploadId));
  }

  async *listUploads(key: string, options: CallOptions = {}): AsyncIterable<{ uploadId: string; initiated: Date }> {
    yield* await this.#call('ListUploads', key, options, listUploads);
  }

  completeUpload(key: string, upload: CompletedUpload, options: CallOptions = {}): Promise<WriteAnswer> {
    return this.#call('Complete', key, options, (place) => completeUpload(place, upload));
  }

  abortUpload(key: string, uploadId: string, options: CallOptions = {}): Promise<void> {
    return this.#call('Abort', key, options, (place) => removeUpload(place, uploadId));
  }

  read(key: string, range: { first: number; last: number }, options: ReadOptions = {}): Promise<ObjectStream> {
    return this.#call('Read', key, options, async (place) => {
      const object = openVersion(place, options.versionId);
      if (!object) throw notFound(place);
      const { file, identity } = object;
      const problem = problemOfRead(place, identity, { first: range.first, ifMatch: options.ifMatch });
      if (problem) {
        file[Symbol.dispose]();
        throw problem;
      }
      const { size, etag } = identity;
      const bytes = new FileRange(file, { first: range.first, last: Math.min(range.last, size - 1) });
      return {
        size: bytes.size,
        objectSize: size,
        etag,
        metadata: () => this.#call('Read', key, {}, async () => readHeaders(place, identity)?.metadata ?? {}),
        readInto: (into) => this.#call('Read', key, options, () => bytes.readInto(into, () => changed(place.url))),
        [Symbol.dispose]: () => bytes[Symbol.dispose](),
      };
    });
  }

  async *list(prefix: string, options: ListingOptions = {}): AsyncIterable<ListedObject | ListedPrefix> {
    // The directory itself is what is asked about, so an error names it and no object.
    const place = { directory: this.#directory, name: '', path: this.#directory, url: this.url(prefix) };
    try {
      for await (const entry of listDirectory(this.#directory, prefix, options.startAfter)) {
        if (options.signal?.aborted) throw SealiftError.interrupted(options.signal, `List ${place.url}`);
        yield entry;
      }
    } catch (thrown) {
      throw directoryError(thrown, 'List', place);
    }
  }

  /** Nothing is kept open between calls. */
  close(): void {}

  /** The one way out: every error leaves here as a SealiftError. */
  async #call<T>(
    call: string,
    key: string,
    { signal }: CallOptions,
    work: (place: ObjectPlace) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted) throw SealiftError.interrupted(signal, `${call} ${this.url(key)}`);
    const place = placeOf(this.#directory, key);
    try {
      return await work(place);
    } catch (thrown) {
      throw directoryError(thrown, call, place);
    }
  }
}

/** A directory keeps no versions, so there is none by any name. */
function openVersion(place: ObjectPlace, versionId: string | undefined): ReturnType<typeof openObject> {
  return versionId === undefined ? openObject(place) : undefined;
}

function problemOfRead(
  { url }: ObjectPlace,
  { size, etag }: { size: number; etag: string },
  { first, ifMatch }: { first: number; ifMatch: string | undefined },
): SealiftError | undefined {
  if (ifMatch !== undefined && ifMatch !== etag) return changed(url);
  if (first < size) return undefined;
  return new SealiftError('bad-range', `${url} has ${size} bytes: there is no byte ${first}`, {
    hint: 'The object is shorter than the first byte asked for.',
  });
}

function notFound({ url }: ObjectPlace): SealiftError {
  return new SealiftError('object-not-found', `There is no object ${url}`, {
    hint: 'Check the path, letter by letter.',
  });
}

function changed(url: string): SealiftError {
  return new SealiftError('object-changed', `${url} is not the object it was`, {
    hint: 'The object was replaced meanwhile. Run the same command again.',
  });
}
