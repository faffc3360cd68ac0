/**
 * A get into a pipe: pieces are opened out of order by several lanes and handed on in order. A lane that is ahead
 * holds its piece, so the look-ahead is the number of lanes and memory stays within the budget.
 *
 * An object that proves itself only as a whole is opened twice: what is handed on the second time is what was proven the
 * first time. Where the user wants it unproven it is opened once, and what it comes to is said at the end.
 */
import { EXIT, SealiftError } from '../errors.ts';
import type { GetRun, PlainSink } from '../get.ts';
import { runLanes } from '../parts/lanes.ts';
import { Turns } from '../parts/turns.ts';
import { openAll } from './nowhere.ts';
import { openerFor } from './open.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** Resolves to '' (a pipe's get is no job) once the sink has taken everything. */
export async function toPipe(run: GetRun, sink: PlainSink): Promise<string> {
  const { request, progress, place, proof } = run;
  const { releaseUnverified = false } = request;
  const pieces = piecesOf(run);
  const { totalBytes } = progress;
  const tell = (piece: Piece) => progress.opened(piece.plainSize);
  progress.emit({ type: 'start', job: '', command: 'get', object: place.url, resumed: false, totalBytes });
  progress.isProven = run.message.format === 'esdk' || !releaseUnverified;
  if (proof && !releaseUnverified && !(await openAll(run, tell))) throw stopped(progress);
  const opener = await openerFor(run, pieces.count);
  const turns = new Turns();

  async function work(piece: Piece, cut: AbortSignal): Promise<void> {
    // Given in the order they were asked for, so that the piece whose turn it is never lacks one.
    using _ticket = await opener.ticket();
    try {
      await opener.open(piece, { show }, cut);
    } catch (error) {
      turns.stop(error);
      throw error;
    }

    async function show(plain: Uint8Array, hash: Uint8Array | undefined): Promise<void> {
      proof?.add(piece, hash!);
      await turns.take(piece.number - pieces.firstNumber + 1);
      await sink(plain);
      progress.acked(plain.length);
      turns.pass();
    }
  }

  const complete = await runLanes({
    items: pieces,
    lanes: opener.lanes,
    stop: request.signal,
    // Nothing of it can be gone on with: pieces in flight are of no use to anybody.
    graceMs: 0,
    work,
  });
  if (!complete) throw stopped(progress);
  if (releaseUnverified) await proof?.check(request.signal);
  return '';
}

/** What a sink was given, which nobody can take back. */
export interface Released {
  ackedBytes: number;
  /** It was verified first. */
  isProven: boolean;
}

export function releasedText({ ackedBytes, isProven }: Released): string {
  return `${ackedBytes} ${isProven ? 'verified' : 'unverified'} bytes were written out`;
}

export function stopped(released: Released): SealiftError {
  return new SealiftError('interrupted', `Interrupted after ${releasedText(released)}`, {
    hint: 'A get to a pipe cannot be resumed. Run it again, or with --range for the rest.',
  });
}

/**
 * An error of a get that begins anew, in place of one whose hint promises that a job goes on where it stopped. What a
 * sink was given is said; into a file nothing is released.
 */
export function cannotGoOn(thrown: unknown, released: Released | 'nothing'): SealiftError {
  const error = SealiftError.from(thrown);
  const { code, message, requestId } = error;
  if (code === 'interrupted') return error;
  const isOut = released !== 'nothing' && released.ackedBytes > 0;
  const told = isOut ? `${message}, after ${releasedText(released)}` : message;
  return new SealiftError(code, told, { hint: hintOf(error, released), cause: error.cause ?? error, requestId });
}

/** What a sink's own error comes to. */
export function sinkFailed(thrown: unknown): SealiftError {
  if (thrown instanceof SealiftError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SealiftError('target-failed', `The target failed: ${message}`, {
    hint: 'What it was given is not all of the object. Get the object again.',
    cause: thrown,
  });
}

function hintOf({ code, exit, hint }: SealiftError, released: Released | 'nothing'): string {
  // A sink's disk is the sink's, and so is its hint.
  if (code === 'disk-full' && released === 'nothing')
    return 'Free some space and run the same command again: it begins anew.';
  if (exit !== EXIT.unavailable) return hint;
  return 'Sealift tried several times. Run the same command again later: it begins anew.';
}
