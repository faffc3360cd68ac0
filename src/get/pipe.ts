/**
 * A get into a pipe: pieces are opened out of order by several lanes and handed on in order. A lane that is ahead
 * holds its piece, so the look-ahead is the number of lanes and memory stays within the budget.
 */
import { EXIT, SealiftError } from '../errors.ts';
import type { GetRun, PlainSink } from '../get.ts';
import { runLanes } from '../parts/lanes.ts';
import { Turns } from '../parts/turns.ts';
import { type Opener, openerFor } from './open.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** Resolves to '' (a pipe's get is no job) once the sink has taken everything. */
export async function toPipe(run: GetRun, sink: PlainSink): Promise<string> {
  const { request, progress, place } = run;
  const pieces = piecesOf(run);
  const { totalBytes } = progress;
  progress.emit({ type: 'start', job: '', command: 'get', object: place.url, resumed: false, totalBytes });
  const opener = await openerFor(run, pieces.length);
  const turns = new Turns();
  using holds = new Holds(opener);

  async function work([index, piece]: [number, Piece], cut: AbortSignal): Promise<void> {
    const hold = await holds.take();
    try {
      const { plainSize, plain } = await opener.open(piece, { buffer: hold.takeBuffer() }, cut);
      hold.buffer = plain!;
      await turns.take(index + 1);
      await sink(new Uint8Array(plain!, 0, plainSize));
      progress.acked(plainSize);
      turns.pass();
    } catch (error) {
      turns.stop(error);
      throw error;
    } finally {
      holds.give(hold);
    }
  }

  const complete = await runLanes({
    items: pieces.entries(),
    lanes: opener.lanes,
    stop: request.signal,
    // Nothing of it can be gone on with: pieces in flight are of no use to anybody.
    graceMs: 0,
    work,
  });
  if (!complete) throw stopped(progress.ackedBytes);
  return '';
}

/** Memory for one piece: a ticket, and a buffer once there is one. */
class Hold implements Disposable {
  readonly #ticket: Disposable;
  buffer: ArrayBuffer | undefined;

  constructor(ticket: Disposable) {
    this.#ticket = ticket;
  }

  /** The buffer, if any, which is then somebody else's. */
  takeBuffer(): ArrayBuffer | undefined {
    const { buffer } = this;
    this.buffer = undefined;
    return buffer;
  }

  [Symbol.dispose](): void {
    this.buffer?.transfer(0);
    this.#ticket[Symbol.dispose]();
  }
}

/**
 * Hands a buffer on from piece to piece, its ticket with it, because a fresh one costs thousands of page faults. While
 * a lane waits for a ticket nothing is kept idle: two jobs that did so could wait for each other for ever. And because
 * tickets are given in the order they were asked for, the piece whose turn it is never lacks one.
 */
class Holds implements Disposable {
  readonly #opener: Opener;
  readonly #idle: Hold[] = [];
  #waitingCount = 0;

  constructor(opener: Opener) {
    this.#opener = opener;
  }

  async take(): Promise<Hold> {
    const idle = this.#idle.pop();
    if (idle) return idle;
    this.#waitingCount++;
    try {
      return new Hold(await this.#opener.ticket());
    } finally {
      this.#waitingCount--;
    }
  }

  give(hold: Hold): void {
    if (this.#waitingCount === 0) this.#idle.push(hold);
    else hold[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const hold of this.#idle.splice(0)) hold[Symbol.dispose]();
  }
}

export function stopped(released: number): SealiftError {
  return new SealiftError('interrupted', `Interrupted after ${released} verified bytes were written out`, {
    hint: 'A get to a pipe cannot be resumed. Run it again, or with --range for the rest.',
  });
}

/**
 * An error of a get that begins anew, in place of one whose hint promises that a job goes on where it stopped. What a
 * sink was given is said, for nobody can take it back; into a file nothing is `released`.
 */
export function cannotGoOn(thrown: unknown, { released }: { released: number | 'nothing' }): SealiftError {
  const error = SealiftError.from(thrown);
  const { code, message } = error;
  if (code === 'interrupted') return error;
  const isOut = released !== 'nothing' && released > 0;
  const told = isOut ? `${message}, after ${released} verified bytes were written out` : message;
  return new SealiftError(code, told, { hint: hintOf(error, released), cause: error.cause ?? error });
}

/** What a sink's own error comes to. */
export function sinkFailed(thrown: unknown): SealiftError {
  if (thrown instanceof SealiftError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SealiftError('target-failed', `The target failed: ${message}`, {
    hint: 'What it was given is verified, but is not all of the object. Get the object again.',
    cause: thrown,
  });
}

function hintOf({ code, exit, hint }: SealiftError, released: number | 'nothing'): string {
  // A sink's disk is the sink's, and so is its hint.
  if (code === 'disk-full' && released === 'nothing')
    return 'Free some space and run the same command again: it begins anew.';
  if (exit !== EXIT.unavailable) return hint;
  return 'Sealift tried several times. Run the same command again later: it begins anew.';
}
