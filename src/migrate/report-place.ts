/**
 * Where a report goes: a file, or an object in S3, which is not sealed. Either is there as a whole or not at all, in place of
 * an older one: a file by a rename, an object by what completes it. Nothing of it is held but what is on its way.
 */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import { checkTarget, createTemporary, publish, removeTemporary, temporaryPathFor } from '../get/target.ts';
import type { Place, Tools } from '../job.ts';
import { targetError } from '../parts/open-part.ts';
import { memoryOfUpload, uploadStream } from '../stores/stream-upload.ts';
import { MiB } from '../units.ts';

/** 10,000 of them are 80 GiB, a report of some hundred million objects. */
const PART_SIZE = 8 * MiB;
/** The report is made as fast as one part after the other goes up. */
const QUEUE_SIZE = 1;

export interface ReportPlace {
  /** Throws what would keep the report from being written, where that can be known without writing. */
  check(): Promise<void>;
  write(text: Iterable<string>): Promise<void>;
}

export interface PlaceOptions {
  contentType: string;
  signal?: AbortSignal | undefined;
}

/** A path or `s3://bucket/key`. Throws `bad-url`. */
export async function reportPlace(to: string, tools: Tools, options: PlaceOptions): Promise<ReportPlace> {
  return to.startsWith('s3://') ? new ObjectReport(await tools.place(to), tools, options) : new FileReport(to);
}

class FileReport implements ReportPlace {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async check(): Promise<void> {
    await checkTarget(this.#path, { overwrite: true });
    await stat(dirname(this.#path)).catch((error) => {
      throw targetError(this.#path, error);
    });
  }

  async write(text: Iterable<string>): Promise<void> {
    await this.check();
    const tempPath = temporaryPathFor(this.#path);
    await createTemporary(tempPath, { target: this.#path, size: 0 });
    try {
      const file = await open(tempPath, 'a');
      try {
        for (const piece of text) await file.appendFile(piece);
      } finally {
        await file.close();
      }
      await publish(tempPath, this.#path, { overwrite: true });
    } catch (error) {
      await removeTemporary({ tempPath });
      // What the ledger throws on the way has its code; the rest is the disk's.
      throw error instanceof SealiftError ? error : targetError(this.#path, error as NodeJS.ErrnoException);
    }
  }
}

/** Makes a folder for the files of a report, and what leads to it. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error) => {
    throw targetError(path, error);
  });
}

class ObjectReport implements ReportPlace {
  readonly #place: Place;
  readonly #tools: Tools;
  readonly #options: PlaceOptions;

  constructor(place: Place, tools: Tools, options: PlaceOptions) {
    this.#place = place;
    this.#tools = tools;
    this.#options = options;
  }

  /** Who may write may not be allowed to look. */
  async check(): Promise<void> {
    const { store, key } = this.#place;
    await store.head(key, { signal: this.#options.signal }).catch((error) => {
      if (SealiftError.from(error).code !== 'access-denied') throw error;
    });
  }

  async write(text: Iterable<string>): Promise<void> {
    const pieces = bytesOf(text);
    const first: Uint8Array[] = [];
    let size = 0;
    for (let next = pieces.next(); !next.done; next = pieces.next()) {
      first.push(next.value);
      size += next.value.length;
      if (size > PART_SIZE) return await this.#upload(first, pieces);
    }
    const { store, key } = this.#place;
    const body = Buffer.concat(first);
    const { contentType, signal } = this.#options;
    await store.putObject(key, body, { metadata: {}, contentType, crc32: crc32(body), condition: {}, signal });
  }

  async #upload(first: Uint8Array[], rest: Iterable<Uint8Array>): Promise<void> {
    const { store, key } = this.#place;
    const { contentType, signal } = this.#options;
    using _ticket = await this.#tools.budget.take(memoryOfUpload({ partSize: PART_SIZE, queueSize: QUEUE_SIZE }));
    const parts: { number: number; etag: string; crc32: number }[] = [];
    const whole = { size: 0, crc32: 0 };
    let uploadId: string | undefined;
    const steps = {
      async create() {
        uploadId = await store.createUpload(key, { metadata: {}, contentType, signal });
        return uploadId;
      },
      async sendPart({ number, body }: { number: number; body: Buffer }) {
        const part = { uploadId: uploadId!, number, offset: whole.size, body, crc32: crc32(body) };
        const { etag } = await store.sendPart(key, part, { signal });
        whole.crc32 = combineCrc32(whole.crc32, part.crc32, body.length);
        whole.size += body.length;
        parts.push({ number, etag, crc32: part.crc32 });
        return etag;
      },
      async complete() {
        await store.completeUpload(key, { uploadId: uploadId!, parts, ...whole, condition: {} }, { signal });
      },
    };
    try {
      await uploadStream({ body: inTurn(first, rest), partSize: PART_SIZE, queueSize: QUEUE_SIZE, steps });
    } catch (error) {
      // What it failed with is what is to be told; an upload that stays is found by `sealift doctor`.
      if (uploadId !== undefined) await store.abortUpload(key, uploadId).catch(() => {});
      throw error;
    }
  }
}

/** In memory of their own, which whoever takes them may give back. */
function* bytesOf(text: Iterable<string>): Generator<Uint8Array, void> {
  const encoder = new TextEncoder();
  for (const piece of text) yield encoder.encode(piece);
}

async function* inTurn(first: readonly Uint8Array[], rest: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}
