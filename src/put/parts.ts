/** The upload of an attempt: created once, and its parts sent that are not there yet, several at a time. */
import { type ErrorCode, SealiftError } from '../errors.ts';
import { type Cut, type Part, partOf, roomFor } from '../formats/message.ts';
import { accessTo, type Crew, type LaneNeeds } from '../job.ts';
import { runLanes } from '../parts/lanes.ts';
import { TWICE_READ_SIZE } from '../parts/read-twice.ts';
import { pieceMemoryOf } from '../parts/seal-twice.ts';
import type { SealTask } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import { announcePart } from './announce.ts';
import type { Attempt, SealOptions } from './attempt.ts';
import { beginEnding, type Ending } from './ending.ts';
import { tellSecondUpload } from './give-up.ts';
import { withGrace } from './grace.ts';
import { heldSizeOf, type RangedSource, sourceOfPart } from './source.ts';
import { StartOver } from './start-over.ts';

/**
 * What a lane needs for parts of this size: to hold one, or to seal its frames twice where they are not to be hashed. Of a
 * sealed object it holds what is opened too.
 */
export function needsOf(cut: Cut, { sign }: Pick<SealOptions, 'sign'>, source?: RangedSource): LaneNeeds {
  // The first has the header; where parts are equal, the second has two frames that it shares.
  const rooms = [1, Math.min(2, cut.layout.partCount)].map((number) => roomFor(cut, number));
  const partSize = Math.max(...rooms);
  const plainSize = heldSizeOf(source, partSize);
  // A file can be sealed twice. An object would have to be fetched twice.
  if (source && 'object' in source) return { partSize, plainSize, signed: sign };
  const streamedSize = sign ? undefined : streamedSizeOf(cut);
  return { partSize, streamedSize, signed: sign };
}

/** What a lane holds of a part that it does not hold whole. Undefined where it must. */
function streamedSizeOf({ format, layout }: Cut): number | undefined {
  switch (format) {
    case 'esdk':
      return pieceMemoryOf(layout);
    case 's3ec':
      return undefined;
    case 'plain':
      return TWICE_READ_SIZE;
  }
}

/** Resolves once the ledger has the upload's id. */
export async function createUpload({ place, ledger, request, progress }: PutRun, { row }: Attempt): Promise<string> {
  let askedAgain = false;
  const onAskedAgain = () => {
    askedAgain = true;
  };
  const uploadId = await withGrace(request.signal, (signal) =>
    place.store.createUpload(place.key, { ...row.headers, signal, onAskedAgain }),
  );
  ledger.setUploadId(uploadId);
  if (askedAgain) await tellSecondUpload(place, { sinceMs: ledger.job.createdMs, ours: uploadId, warn: progress.warn });
  return uploadId;
}

/** Has one part sealed and sent, until `cut`; its intent and then its receipt are in the ledger. */
export async function sendPart(
  run: PutRun,
  attempt: Attempt,
  part: Pick<SealTask, 'number' | 'source' | 'uploadId' | 'held' | 'compareOnly'>,
  { crew, ending, cut }: { crew: Crew; ending: Ending | undefined; cut: AbortSignal },
): Promise<void> {
  const { ledger, place, progress } = run;
  const profiled = progress.watch.seconds !== undefined;
  const { row, message } = attempt;
  const isLast = part.number === message.layout.partCount;
  const hasFooter = ending !== undefined || attempt.footer !== undefined;
  const show = (isLast && hasFooter) || ending?.needsAllBytes === true;
  const store = await accessTo(place);
  const fixed = { kind: 'seal' as const, store, message, header: row.header, objectKey: place.key };
  const task: SealTask = { ...fixed, show, profiled, ...part };
  const seal = () => crew.threads.seal(task, (sealed) => announcePart(run, attempt, sealed, ending), cut);
  const { sealedSize } = partOf(message, part.number);
  const moved = () => (part.compareOnly ? seal() : crew.lanes.measure(sealedSize, seal));
  const receipt = await (ending ? ending.enter(part.number, moved) : moved());
  progress.moved(receipt.stages);
  if (!part.compareOnly) await progress.watch.time('ledger', () => ledger.recordReceipt(receipt));
}

/** Resolves to false when the run was stopped before all parts were acknowledged. */
export async function sendParts(
  run: PutRun,
  attempt: Attempt,
  { uploadId, crew }: { uploadId: string; crew: Crew },
): Promise<boolean> {
  const { request, progress } = run;
  using ending = beginEnding(run, attempt, crew);

  async function send({ number, plainSize }: Part, cut: AbortSignal): Promise<void> {
    using _ticket = await crew.budget.take(crew.laneSize);
    const compareOnly = attempt.kept.has(number);
    const part = { number, source: await sourceOfPart(attempt, number), uploadId, held: crew.held, compareOnly };
    await sendPart(run, attempt, part, { crew, ending, cut });
    if (compareOnly) progress.kept(plainSize);
    else progress.acked(plainSize);
  }

  try {
    return await runLanes({
      items: partsToDo(run, attempt),
      lanes: crew.lanes,
      stop: request.signal,
      work: (part, cut) =>
        send(part, cut).catch((error) => {
          // Parts behind this one wait for it to be taken.
          ending?.stop(error);
          throw error;
        }),
    });
  } catch (error) {
    throw afterFailure(attempt, error);
  }
}

/**
 * Parts not kept, in order. Kept ones are sealed again and compared where the source has become doubtful, or where they
 * have to be hashed.
 */
function* partsToDo({ progress }: PutRun, { message, kept, doubtful, signingKey }: Attempt): Generator<Part> {
  for (let number = 1; number <= message.layout.partCount; number++) {
    const part = partOf(message, number);
    if (!kept.has(number) || doubtful || signingKey) yield part;
    else progress.kept(part.plainSize);
  }
}

/** What is said of a source that is another by now: by us of a file, by the store of an object. */
const CHANGED: readonly ErrorCode[] = ['source-changed', 'object-changed'];

/** What cannot be mended under this key, but can under a new one. */
function afterFailure(attempt: Attempt, error: unknown): unknown {
  if (!(error instanceof SealiftError)) return error;
  if (error.code === 'upload-lost') return new StartOver('The upload is gone: it was aborted elsewhere', error);
  if (CHANGED.includes(error.code) && attempt.resumed) {
    return new StartOver('The source changed since the job was interrupted', error);
  }
  return error;
}
