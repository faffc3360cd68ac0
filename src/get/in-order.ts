/**
 * A get from front to back, on this thread: of a signed message, whose signature covers every byte in order, of a pipe,
 * which cannot be read otherwise, and of an object under AES-CBC. What is released is verified frame by frame, and the
 * last frame only when the message is known to be whole; but for AES-CBC, where nothing can be verified and the user has
 * said so. It is no job: what was interrupted starts again.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { MessageOpener } from '../formats/esdk/open-message.ts';
import { ObjectOpener } from '../formats/s3ec/open-object.ts';
import type { PlainRequest, PlainSink } from '../get.ts';
import type { JobResult, Tools } from '../job.ts';
import { laneSizeOf } from '../parts/memory.ts';
import { targetError } from '../parts/open-part.ts';
import type { Stopwatch } from '../parts/stopwatch.ts';
import type { Progress } from '../progress.ts';
import { MiB } from '../units.ts';
import { type ByteRange, checkRange } from './pieces.ts';
import { cannotGoOn, releasedText } from './pipe.ts';
import type { MessageStream } from './stream.ts';
import { createTemporary, publish, removeTemporary, type SourceTime, temporaryPathFor } from './target.ts';
import { unlock } from './unlock.ts';
import { unlockObject } from './unlock-s3ec.ts';

export interface InOrderRun {
  request: PlainRequest;
  tools: Tools;
  progress: Progress;
  message: MessageStream;
}

/** Of a message whose beginning a pipe may still have to give. Its errors never promise that it goes on. */
export async function getInOrder(
  run: Omit<InOrderRun, 'message'>,
  from: MessageStream | Promise<MessageStream>,
): Promise<JobResult> {
  const { request, progress } = run;
  const toFile = typeof request.target === 'string';
  try {
    const message = await from;
    using _pipe = message.pipe;
    return await getMessage({ ...run, message });
  } catch (error) {
    if (SealiftError.from(error).code === 'interrupted') throw stopped(request, progress);
    throw toFile ? cannotGoOn(error, 'nothing') : error;
  }
}

async function getMessage(run: InOrderRun): Promise<JobResult> {
  const { request, tools, progress, message } = run;
  const { command, target, range } = request;
  const signed = message.format === 'esdk' && message.header.suite.signature ? (true as const) : undefined;
  if (range && signed) throw noRanges();
  const opener = await progress.watch.time('kms', () => unlocked(run));
  const object = message.at.url;
  progress.totalBytes = message.plainSize ?? 0;
  progress.emit({ type: 'start', job: '', command, object, resumed: false, totalBytes: progress.totalBytes });

  using _ticket = await tools.budget.take(laneSizeOf(heldSize(message)));
  let sealedBytes = 0;
  const into = async (sink: PlainSink) => {
    const watch = progress.watch.ofPart();
    sealedBytes = await openInto(sink, run, { opener, watch });
    progress.moved(watch.stop());
  };
  const { warn } = progress;
  const { overwrite = false } = request;
  const mode = request.keepMode ? message.mode : undefined;
  if (typeof target === 'string') await intoFile(target, { overwrite, time: message.mtime, mode, warn, write: into });
  else await into(target ?? nowhere);
  const { ackedBytes: plainBytes } = progress;
  return progress.result({ command, job: '', object, plainBytes, sealedBytes, parts: 1, signed });
}

/** Takes sealed bytes in order, in pieces of any size, and gives plain ones. */
export interface InOrderOpener {
  push(sealed: Uint8Array): Iterable<Buffer>;
  finish(): Buffer;
}

async function unlocked({ request, tools, progress, message }: InOrderRun): Promise<InOrderOpener> {
  const rules = { ...request, onCall: progress.countKmsCall };
  if (message.format === 's3ec') {
    progress.isProven = false;
    return new ObjectOpener(message.header, await unlockObject(message.header, message.at, tools, rules));
  }
  const { header, at, bodySize: sealedSize } = message;
  const reserve = (size: number) => tools.budget.check(laneSizeOf(size));
  return new MessageOpener({ header, ...(await unlock(header, at, tools, rules)), reserve, sealedSize });
}

/**
 * Plain bytes held at once: a piece of frames, the last frame, and of a signed message the one before it. How large a
 * pipe's frames really are shows later.
 */
export function heldSize(message: MessageStream): number {
  if (message.format === 's3ec') return MiB;
  const { frameSize, suite } = message.header;
  const { bodySize = MiB } = message;
  const frame = frameSize === 0 ? bodySize : Math.min(frameSize, bodySize);
  return Math.max(frame, MiB) + (suite.signature && frameSize > 0 ? 2 : 1) * frame;
}

/** Resolves to the message's size once the sink has taken all that is wanted. */
async function openInto(
  sink: PlainSink,
  { request, progress, message }: InOrderRun,
  { opener, watch }: { opener: InOrderOpener; watch: Stopwatch },
): Promise<number> {
  const { signal, range = { first: 0, last: Number.POSITIVE_INFINITY } } = request;
  let position = 0;
  let sealedBytes = message.headerSize;

  async function pass(plain: Buffer): Promise<void> {
    const wanted = within(range, plain, position);
    position += plain.length;
    if (wanted.length === 0) return;
    watch.enter('disk');
    await sink(wanted);
    watch.enter('cipher');
    progress.acked(wanted.length);
  }

  watch.enter('network');
  for await (const chunk of message.body) {
    if (signal?.aborted) throw SealiftError.interrupted(signal, 'get');
    sealedBytes += chunk.length;
    watch.enter('cipher');
    for (const plain of opener.push(chunk)) await pass(plain);
    if (position > range.last) return sealedBytes;
    watch.enter('network');
  }
  watch.enter('cipher');
  await pass(opener.finish());
  if (request.range) checkRange(range, position);
  return sealedBytes;
}

/** The sink of a verify. */
const nowhere: PlainSink = async () => {};

/** The wanted ones among plain bytes that begin at `position`. */
function within({ first, last }: ByteRange, plain: Buffer, position: number): Buffer {
  return plain.subarray(Math.max(0, first - position), Math.max(0, last + 1 - position));
}

/** Writes a file under a random name, and gives it its own once `write` has resolved. */
async function intoFile(
  target: string,
  {
    write,
    ...options
  }: { overwrite: boolean; mode: number | undefined; write: (sink: PlainSink) => Promise<void> } & SourceTime,
): Promise<void> {
  const tempPath = temporaryPathFor(target);
  await createTemporary(tempPath, { target, size: 0 });
  try {
    const file = await open(tempPath, 'r+');
    try {
      await write((bytes) => append(file, bytes, target));
    } finally {
      await file.close();
    }
    await publish(tempPath, target, options);
  } catch (error) {
    await removeTemporary({ tempPath });
    throw error;
  }
}

async function append(file: FileHandle, bytes: Uint8Array, target: string): Promise<void> {
  try {
    await file.appendFile(bytes);
  } catch (error) {
    throw targetError(target, error as NodeJS.ErrnoException);
  }
}

function noRanges(): SealiftError {
  return new SealiftError('bad-range', 'A signed message proves itself only as a whole: it has no ranges', {
    hint: 'Leave --range away, and cut what you need out of the whole.',
  });
}

function stopped({ command, target }: PlainRequest, progress: Progress): SealiftError {
  const what = typeof target === 'function' ? releasedText(progress) : 'nothing is kept';
  return new SealiftError('interrupted', `Interrupted: ${what}`, {
    hint: `A ${command} of a signed message, of an object under AES-CBC or from a pipe cannot be resumed. Run it again.`,
  });
}
