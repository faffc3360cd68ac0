/**
 * A pipe into S3 that is not sealed: lib-storage's `Upload` has the work of cutting it and of sending several parts at a
 * time (stores/stream-upload.ts). Each of its steps is what it is for every put: the ledger has the upload's id before a
 * part is sent, each part's intent before its first byte, its receipt after; and nothing is completed that was not checked.
 */
import { type Cut, endedAt, partOf, sealerOf } from '../formats/message.ts';
import type { PartRead, PipeReader } from '../parts/pipe-reader.ts';
import type { PutRun } from '../put.ts';
import type { WriteAnswer } from '../stores/store.ts';
import { memoryOfUpload, type UploadSteps, uploadStream } from '../stores/stream-upload.ts';
import { MiB } from '../units.ts';
import type { Attempt } from './attempt.ts';
import { finishUpload } from './finish.ts';
import { createUpload } from './parts.ts';
import { checkNotStopped, tooLong } from './pipe-ends.ts';
import { sendHeld } from './single.ts';

/** Bytes the pipe is asked for at once. */
const READ_SIZE = MiB;

export interface PipeToUpload {
  /** As long as it may become. */
  longest: Cut;
  /** Parts on their way at most, where memory has room for so many. */
  laneCount: number;
  /** Begins the attempt: at what the pipe turned out to be, or as long as it may become. */
  begin: (cut: Cut) => Promise<Attempt>;
}

/** Resolves when all of the pipe is an object, confirmed. One of a part or less is one request. */
export async function uploadPipe(run: PutRun, reader: PipeReader, pipe: PipeToUpload): Promise<WriteAnswer> {
  const { longest, laneCount, begin } = pipe;
  const { budget } = run.tools;
  const { plainSize: partSize } = partOf(longest, 1);
  let queueSize = laneCount;
  while (queueSize > 1 && !budget.fits(memoryOfUpload({ partSize, queueSize }))) queueSize--;
  // All of it at once, and before the first byte: two pipes that each wait for what the other holds would wait for ever.
  using _ticket = await budget.take(memoryOfUpload({ partSize, queueSize }));
  const first = await reader.read(partSize);
  await checkNotStopped(run);
  if (first.isLast) return await sendHeld(run, await begin(endedAt(longest, first.plain.length)), first);

  const steps = new Steps(run, reader, { attempt: await begin(longest), partSize });
  await uploadStream({ body: piecesOf(first, reader, longest), partSize, queueSize, steps });
  return steps.answer!;
}

/** The pipe's bytes, each piece for whoever takes it to keep. Throws `pipe-too-long`. */
export async function* piecesOf(first: PartRead, reader: PipeReader, longest: Cut): AsyncGenerator<Uint8Array> {
  yield first.plain;
  let size = first.plain.length;
  for (let read = first; !read.isLast; ) {
    read = await reader.read(READ_SIZE);
    size += read.plain.length;
    if (size > longest.layout.plainSize) throw tooLong(longest);
    yield read.plain;
  }
}

class Steps implements UploadSteps {
  readonly #run: PutRun;
  readonly #reader: PipeReader;
  readonly #attempt: Attempt;
  readonly #partSize: number;
  /** Aborts when nothing of it is of use any more. */
  readonly #cut = new AbortController();
  #uploadId = '';
  #size = 0;
  /** What the store said of the object. */
  answer: WriteAnswer | undefined;

  constructor(run: PutRun, reader: PipeReader, { attempt, partSize }: { attempt: Attempt; partSize: number }) {
    this.#run = run;
    this.#reader = reader;
    this.#attempt = attempt;
    this.#partSize = partSize;
  }

  async create(): Promise<string> {
    this.#uploadId = await createUpload(this.#run, this.#attempt);
    return this.#uploadId;
  }

  async sendPart(part: { number: number; body: Buffer }): Promise<string> {
    try {
      return await this.#send(part);
    } catch (error) {
      // The source may be silent, and other parts on their way.
      this.#reader.stop(error);
      this.#cut.abort(error);
      throw error;
    }
  }

  async #send({ number, body }: { number: number; body: Buffer }): Promise<string> {
    const { place, ledger, progress, request } = this.#run;
    const { message: longest, row } = this.#attempt;
    const offset = (number - 1) * this.#partSize;
    const message = body.length < this.#partSize ? endedAt(longest, offset + body.length) : longest;
    const sealer = sealerOf(message, { number, header: row.header, sealed: body });
    sealer.push(body);
    const { fingerprint, sharedTags, crc32 } = sealer.finish();
    const promised = { number, sealedSize: body.length, crc32: crc32! };
    await ledger.recordIntent({ ...promised, fingerprint, sharedTags });
    const signal = AbortSignal.any([this.#cut.signal, ...(request.signal ? [request.signal] : [])]);
    const sent = { ...promised, uploadId: this.#uploadId, offset, body };
    const { etag } = await place.store.sendPart(place.key, sent, { signal });
    await ledger.recordReceipt({ ...promised, etag });
    this.#size += body.length;
    progress.acked(body.length);
    return etag;
  }

  async complete(): Promise<void> {
    const message = endedAt(this.#attempt.message, this.#size);
    this.#run.ledger.setLayout(message.layout);
    this.answer = await finishUpload(this.#run, { ...this.#attempt, message }, this.#uploadId);
  }
}
