/**
 * A Node or a Web stream as the target of a get. Both are written through a Web writer, which waits while the stream has
 * enough, and hears of its end also while nothing is written. A stream may keep what it was given for as long as it
 * likes, and our buffers are used again: it gets copies, cut so small that its own measure of "enough" holds.
 */
import { Writable } from 'node:stream';
import type { WritableStream, WritableStreamDefaultWriter } from 'node:stream/web';
import { SealiftError } from '../errors.ts';
import type { PlainSink } from '../get.ts';
import type { JobResult } from '../job.ts';
import type { Progress } from '../progress.ts';
import { KiB } from '../units.ts';
import { cannotGoOn, sinkFailed, stopped } from './pipe.ts';

const SLICE_SIZE = 256 * KiB;

/** A Node or a Web stream that takes bytes. It is ended with the object, or destroyed with the error. */
export type PlainStream = Writable | WritableStream<Uint8Array>;

export interface FillJob {
  signal: AbortSignal | undefined;
  progress: Pick<Progress, 'isProven'>;
  job: (sink: PlainSink, signal: AbortSignal) => Promise<JobResult>;
}

/**
 * Runs `job` with a sink that fills `target`, and a signal that also says that the target is gone. Resolves once the
 * stream has ended well. Where it rejects, the stream is destroyed or aborted with the same error: nobody takes what
 * came for all there is. Throws `bad-option`, before the job begins, where it is no stream that can be written to, and
 * `target-failed` where it fails or is closed on the way.
 */
export async function fillStream(target: PlainStream, { signal, progress, job }: FillJob): Promise<JobResult> {
  const writer = writerOf(target);
  const gone = new AbortController();
  const stop = AbortSignal.any(signal ? [signal, gone.signal] : [gone.signal]);
  const stopping = rejectionBy(stop);
  let ackedBytes = 0;

  writer.closed.catch((error: unknown) => gone.abort(sinkFailed(error)));

  /** Waits for the stream, but not for one that never answers while the job is to stop. */
  async function taken(answer: Promise<void>): Promise<void> {
    try {
      await Promise.race([answer, stopping]);
    } catch (error) {
      if (!stop.aborted) gone.abort(sinkFailed(error));
      throw SealiftError.interrupted(stop, 'get');
    }
  }

  async function write(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += SLICE_SIZE) {
      const copy = Uint8Array.prototype.slice.call(bytes, start, start + SLICE_SIZE);
      await taken(writer.write(copy));
      ackedBytes += copy.length;
    }
  }

  try {
    const result = await job(write, stop);
    await taken(writer.close());
    return result;
  } catch (thrown) {
    const released = { ackedBytes, isProven: progress.isProven };
    let error = cannotGoOn(thrown, released);
    if (error.code === 'interrupted' || thrown === gone.signal.reason) {
      error = signal?.aborted ? stopped(released) : cannotGoOn(gone.signal.reason, released);
    }
    if (target instanceof Writable) target.destroy(error);
    // One that hangs is not waited for.
    else writer.abort(error).catch(() => {});
    throw error;
  }
}

function writerOf(target: PlainStream): WritableStreamDefaultWriter<Uint8Array> {
  try {
    if (target instanceof Writable && !target.writable) throw new Error('it has ended, or was destroyed');
    return (target instanceof Writable ? Writable.toWeb(target) : target).getWriter();
  } catch (error) {
    throw new SealiftError('bad-option', `The target cannot be written to: ${(error as Error).message}`, {
      hint: 'Give a path, a function, or a Node or Web stream that nobody else writes to.',
      cause: error,
    });
  }
}

function rejectionBy(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  // It may be that nobody waits for it.
  promise.catch(() => {});
  return promise;
}
