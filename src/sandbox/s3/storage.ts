/**
 * Where the bytes of parts and objects are: in a folder, a file each, or nowhere. A file of bytes is a *blob*; once
 * written it never changes. What a blob belongs to is the catalog's business.
 */
import { createReadStream, createWriteStream, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { KiB, MiB } from '../../units.ts';
import { S3Error } from './errors.ts';

/** Bytes `first` to `last` (inclusive) of a blob. */
export interface BlobRange {
  readonly blob: string;
  readonly first: number;
  readonly last: number;
}

export interface Storage {
  /** False where bytes are dropped: then nothing can be read back, and MD5 is not worth its price. */
  readonly keepsBytes: boolean;
  /** Takes the bytes of a new blob, named by the caller. Destroying the stream leaves nothing behind. */
  writer(blob: string): Writable;
  /** The ranges end to end. Blobs removed while they are read are read to their end. */
  reader(ranges: readonly BlobRange[]): Readable;
  remove(blobs: Iterable<string>): void;
}

/** Writes are gathered up to this size: network chunks are 16 to 64 KiB, and a system call each would cost more. */
const WRITE_BUFFER = MiB;
const READ_BUFFER = 512 * KiB;

export class FolderStorage implements Storage {
  readonly keepsBytes = true;
  readonly #incoming: string;
  readonly #kept: string;
  /** How many readers a blob has now. */
  readonly #readers = new Map<string, number>();
  /** Removed blobs that still have readers. */
  readonly #doomed = new Set<string>();

  constructor(folder: string) {
    this.#incoming = join(folder, 'incoming');
    this.#kept = join(folder, 'blobs');
    // What an earlier process did not finish writing belongs to nothing.
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true });
    mkdirSync(this.#kept, { recursive: true });
  }

  writer(blob: string): Writable {
    const path = join(this.#incoming, blob);
    const file = createWriteStream(path, { highWaterMark: WRITE_BUFFER });
    let finished = false;
    file.once('finish', () => {
      renameSync(path, join(this.#kept, blob));
      finished = true;
    });
    file.once('close', () => {
      if (!finished) rmSync(path, { force: true });
    });
    return file;
  }

  reader(ranges: readonly BlobRange[]): Readable {
    for (const { blob } of ranges) this.#readers.set(blob, (this.#readers.get(blob) ?? 0) + 1);
    const readable = Readable.from(this.#readAll(ranges), { objectMode: false, highWaterMark: READ_BUFFER });
    readable.once('close', () => this.#release(ranges));
    return readable;
  }

  async *#readAll(ranges: readonly BlobRange[]): AsyncGenerator<Buffer> {
    for (const { blob, first, last } of ranges) {
      if (last < first) continue;
      yield* createReadStream(join(this.#kept, blob), { start: first, end: last, highWaterMark: READ_BUFFER });
    }
  }

  #release(ranges: readonly BlobRange[]): void {
    for (const { blob } of ranges) {
      const readers = this.#readers.get(blob)! - 1;
      if (readers > 0) this.#readers.set(blob, readers);
      else this.#readers.delete(blob);
      if (readers === 0 && this.#doomed.delete(blob)) this.#unlink(blob);
    }
  }

  remove(blobs: Iterable<string>): void {
    for (const blob of blobs) {
      if (this.#readers.has(blob)) this.#doomed.add(blob);
      else this.#unlink(blob);
    }
  }

  #unlink(blob: string): void {
    rmSync(join(this.#kept, blob), { force: true });
  }

  /** Names of all blobs kept, to find those that belong to nothing any more. */
  blobs(): string[] {
    return readdirSync(this.#kept);
  }
}

/** Sizes, checksums and headers are kept, bytes are not: for objects larger than the disk. */
export class DiscardStorage implements Storage {
  readonly keepsBytes = false;

  writer(): Writable {
    return new Writable({ write: (_chunk, _encoding, done) => done() });
  }

  reader(ranges: readonly BlobRange[]): Readable {
    if (ranges.every(({ first, last }) => last < first)) return Readable.from([]);
    throw new S3Error(
      'InternalError',
      'This sandbox discards the bytes of objects (--discard), so it cannot read them.',
    );
  }

  remove(): void {}
}
