/**
 * Streams that need neither a seal nor a resume, by @aws-sdk/lib-storage: its `Upload` cuts them, keeps several parts on
 * their way and has the upload completed, or, where the stream or a part fails, not. It knows nothing of a ledger, of the
 * whole object's checksum and size, or of who else looks at the target. So what it asks of S3 does not go there by itself:
 * each of its steps is taken by whoever asked for the upload.
 */
import { ReadableStream } from 'node:stream/web';
import type { S3Client } from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';
import { release } from '../formats/release.ts';
import { MiB } from '../units.ts';

/** What an upload asks for, in this order, but for parts: several of those at a time. */
export interface UploadSteps {
  /** Resolves to the upload's id. */
  create(): Promise<string>;
  /** `body` stays as it is until this resolves, to the part's ETag. */
  sendPart(part: { number: number; body: Buffer }): Promise<string>;
  complete(): Promise<void>;
}

export interface StreamUpload {
  /** Of more than `partSize` bytes: what is less needs no upload. In pieces of at most so many, which are released here. */
  body: AsyncIterable<Uint8Array>;
  /** Of every part but the last. */
  partSize: number;
  /** Parts on their way at most. */
  queueSize: number;
  steps: UploadSteps;
}

/** Parts held beside those on their way: one that is being gathered, what it is copied into, and the one before. */
const PARTS_BESIDE = 3;
/** A part on its way, and one that was and waits for the collector. */
const PARTS_EACH = 2;
/** What else waits for it. Measured: up to 46 MiB beyond the parts, in queues of 2 to 8. */
const GARBAGE_SIZE = 48 * MiB;

/** Bytes that are held at once. */
export function memoryOfUpload({ partSize, queueSize }: Pick<StreamUpload, 'partSize' | 'queueSize'>): number {
  return (PARTS_EACH * queueSize + PARTS_BESIDE) * partSize + GARBAGE_SIZE;
}

/** Rejects with what the stream or a step failed with first, once no step runs any more. What was uploaded stays. */
export async function uploadStream({ body, partSize, queueSize, steps }: StreamUpload): Promise<void> {
  const { Upload } = await import('@aws-sdk/lib-storage');
  const upload = new Upload({
    client: await clientOf(steps),
    // The steps know where to.
    params: { Bucket: 'bucket', Key: 'key', Body: ReadableStream.from(gathered(body, partSize)) },
    partSize,
    queueSize,
    // Whoever created it aborts it: that is told, and tried again, where it fails.
    leavePartsOnError: true,
  });
  await upload.done();
}

/**
 * Pieces on their way into an `Upload`, which keeps them until there is more than a part, and then copies them into one. The
 * collector would let them lie for a while; when more is asked for, they are of no use any more.
 */
async function* gathered(pieces: AsyncIterable<Uint8Array>, partSize: number): AsyncGenerator<Uint8Array> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    kept.push(piece);
    size += piece.length;
    yield piece;
    if (size <= partSize) continue;
    size -= partSize;
    for (const copied of kept.splice(0)) release(copied);
  }
}

/** All that an `Upload` of several parts knows of a client. */
async function clientOf(steps: UploadSteps): Promise<S3Client> {
  const { CreateMultipartUploadCommand, UploadPartCommand, CompleteMultipartUploadCommand } = await import(
    '@aws-sdk/client-s3'
  );
  const client = {
    config: { requestChecksumCalculation: async () => 'WHEN_REQUIRED' },
    async send(command: unknown) {
      if (command instanceof CreateMultipartUploadCommand) return { UploadId: await steps.create() };
      if (command instanceof UploadPartCommand) {
        const { PartNumber: number, Body: body } = command.input;
        return { ETag: await steps.sendPart({ number: number!, body: body as Buffer }) };
      }
      if (command instanceof CompleteMultipartUploadCommand) return await steps.complete();
      throw new SealiftError('internal', `The Upload of lib-storage asked for ${(command as object).constructor.name}`);
    },
  };
  return client as unknown as S3Client;
}
