/**
 * A put from a pipe: of one that is sealed, or goes into a directory; one that is not goes into S3 its own way
 * (put/upload-pipe.ts). Nobody knows its size, so its parts grow (formats/esdk/ladder.ts). It is read once, on this thread,
 * into buffers whose lanes took a ticket before. And it is never resumed: whatever goes wrong aborts the upload. Its
 * layout is that of the longest message there is room for, until its end is known: parts before the last are the same
 * in both.
 */
import { EXIT, SealiftError } from '../errors.ts';
import { type Cut, endedAt, partOf } from '../formats/message.ts';
import type { Crew, LaneNeeds, Tools } from '../job.ts';
import { runLanes } from '../parts/lanes.ts';
import { mostPipePartOf, pipeLaneSizeOf } from '../parts/memory.ts';
import { type PartRead, PipeReader } from '../parts/pipe-reader.ts';
import type { Progress } from '../progress.ts';
import type { PutOptions, PutRun } from '../put.ts';
import type { WriteAnswer } from '../stores/store.ts';
import { type Attempt, intend, startAttempt } from './attempt.ts';
import { beginEnding } from './ending.ts';
import { finishUpload } from './finish.ts';
import { formatFor, type PutFormat } from './format.ts';
import { giveUpAttempt } from './give-up.ts';
import { createUpload, sendPart } from './parts.ts';
import { AGAIN, checkNotStopped, interrupted, tooLong } from './pipe-ends.ts';
import { sendHeld } from './single.ts';
import { StartOver } from './start-over.ts';
import { uploadPipe } from './upload-pipe.ts';

/** A part in memory. Disposing of it gives its ticket back. */
interface Piece extends PartRead, Disposable {
  number: number;
  /** Plain bytes up to its end. */
  end: number;
}

/** Seals all of `source`. Where it rejects nothing of the upload is left, and the job is over. */
export async function putPipe(run: PutRun, source: AsyncIterable<Uint8Array>): Promise<WriteAnswer> {
  using reader = new PipeReader(source);
  reader.stopOn(run.request.signal, () => interrupted(run));
  try {
    return await writePipe(run, reader);
  } catch (error) {
    reader.stop(error);
    throw await abandon(run, error);
  }
}

async function writePipe(run: PutRun, reader: PipeReader): Promise<WriteAnswer> {
  const { ledger, place, progress } = run;
  const format = formatFor(run.request);
  const { longest, laneCount } = planLongest(run, format);
  const intended = await intend(run, format);
  const about = { job: ledger.job.id, object: place.url, reachBytes: longest.layout.plainSize };
  progress.emit({ type: 'start', command: 'put', resumed: false, totalBytes: 0, ...about });
  const begin = (cut: Cut) => startAttempt(run, intended, { format, cut });
  if (longest.format === 'plain' && place.store.copies) {
    return await uploadPipe(run, reader, { longest, laneCount, begin });
  }
  return await sealPipe(run, reader, { longest, begin });
}

async function sealPipe(
  run: PutRun,
  reader: PipeReader,
  { longest, begin }: { longest: Cut; begin: (cut: Cut) => Promise<Attempt> },
): Promise<WriteAnswer> {
  const { ledger, progress, tools } = run;
  const pieces = piecesOf(run, reader, longest);
  using first = (await pieces.next()).value!;
  await checkNotStopped(run);
  if (first.isLast) return await sendHeld(run, await begin(endedAt(longest, first.end)), first);

  const crew = await tools.crew(needsOf(longest, run.request), progress.tellLanes);
  const attempt = await begin(longest);
  const uploadId = await createUpload(run, attempt);
  const ended = await sendPieces(run, attempt, { first, pieces, reader, uploadId, crew });
  ledger.setLayout(ended.message.layout);
  return await finishUpload(run, ended, uploadId);
}

/** Throws usage errors, `memory-too-small` among them, before anything is read. */
function planLongest({ request, tools }: PutRun, format: PutFormat): { longest: Cut; laneCount: number } {
  const { expectedSize, sign: signed } = request;
  const { firstPartSize } = format;
  const { plan } = tools.plan({ partSize: firstPartSize, plainSize: firstPartSize, signed });
  const longest = format.cutPipe({ mostPartSize: mostPipePartOf(plan), expectedSize });
  const { lanes } = tools.plan(needsOf(longest, request)).plan;
  return { longest, laneCount: lanes.start };
}

/** Lanes are counted by the first parts; while larger ones are under way, fewer of them get a ticket. */
function needsOf(longest: Cut, { sign: signed }: PutOptions): LaneNeeds {
  const { sealedSize, plainSize } = partOf(longest, 1);
  return { partSize: sealedSize, plainSize, signed };
}

/** Reads the pipe part by part. Throws `pipe-too-long` where more follows the last part that may be. */
export async function* piecesOf(
  { tools, progress }: { tools: Pick<Tools, 'budget'>; progress: Pick<Progress, 'watch'> },
  reader: PipeReader,
  longest: Cut,
): AsyncGenerator<Piece, undefined> {
  for (let number = 1; ; number++) {
    const { plainOffset, plainSize } = partOf(longest, number);
    using held = new DisposableStack();
    held.use(await tools.budget.take(pipeLaneSizeOf(plainSize)));
    const read = await progress.watch.time('disk', () => reader.read(plainSize));
    if (number === longest.layout.partCount && !read.isLast) throw tooLong(longest);
    const ticket = held.move();
    const end = plainOffset + read.plain.length;
    yield { ...read, number, end, [Symbol.dispose]: () => ticket.dispose() };
    if (read.isLast) return;
  }
}

/** Sends what is read, several parts at a time. Resolves to the attempt as it is now that its end is known. */
async function sendPieces(
  run: PutRun,
  attempt: Attempt,
  from: { first: Piece; pieces: AsyncIterable<Piece>; reader: PipeReader; uploadId: string; crew: Crew },
): Promise<Attempt> {
  const { first, pieces, reader, uploadId, crew } = from;
  const { message } = attempt;
  using ending = beginEnding(run, attempt, crew);
  let ended: Attempt | undefined;

  async function* all(): AsyncGenerator<Piece> {
    yield first;
    yield* pieces;
  }

  async function send(piece: Piece, cut: AbortSignal): Promise<void> {
    using _ticket = piece;
    const { number, plain, isLast, end } = piece;
    const { length } = plain;
    if (isLast) ended = { ...attempt, message: endedAt(message, end) };
    const part = { number, source: { plain }, uploadId, held: true, compareOnly: false };
    try {
      await sendPart(run, isLast ? ended! : attempt, part, { crew, ending, cut });
      run.progress.acked(length);
    } catch (error) {
      // A lane may be waiting for a source that is silent, or for this part to be taken.
      reader.stop(error);
      ending?.stop(error);
      throw error;
    }
  }

  // Nothing of it can be gone on with: parts in flight are of no use to anybody.
  const complete = await runLanes({
    items: all(),
    lanes: crew.lanes,
    work: send,
    stop: run.request.signal,
    graceMs: 0,
  });
  if (!complete) throw interrupted(run);
  return ended!;
}

/** Ends the job: its upload is aborted, whatever the error. Resolves to the error with nothing promised in it. */
async function abandon({ ledger, place, progress }: PutRun, thrown: unknown): Promise<SealiftError> {
  const attempt = ledger.attempt();
  if (attempt) {
    await giveUpAttempt({ ledger, place: async () => place, warn: progress.warn });
    ledger.finish('failed');
  } else {
    ledger.discard();
  }
  const error = SealiftError.from(thrown instanceof StartOver ? thrown.cause : thrown);
  if (error.exit !== EXIT.unavailable && error.code !== 'interrupted') return error;
  const mayBeThere = attempt?.single || attempt?.state === 'completing';
  const hint = `${mayBeThere ? `Whether ${place.url} is there \`sealift inspect\` tells. ` : ''}${AGAIN}`;
  const code = error.code === 'interrupted' ? 'pipe-interrupted' : error.code;
  return new SealiftError(code, error.message, { hint, cause: error, requestId: error.requestId });
}
