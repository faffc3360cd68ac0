/**
 * A get into a pipe: pieces are opened out of order by several lanes and handed on in order. A lane that is ahead
 * holds its piece, so the look-ahead is the number of lanes and memory stays within the budget.
 */
import { SealiftError } from '../errors.ts';
import type { GetRun, PlainSink } from '../get.ts';
import { runLanes } from '../parts/lanes.ts';
import { openerFor } from './open.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** Resolves to '' (a pipe's get is no job) once the sink has taken everything. */
export async function toPipe(run: GetRun, sink: PlainSink): Promise<string> {
  const { request, progress, place } = run;
  const pieces = piecesOf(run);
  const { totalBytes } = progress;
  progress.emit({ type: 'start', job: '', command: 'get', object: place.url, resumed: false, totalBytes });
  const opener = await openerFor(run, pieces.length);
  const turns = new Turns();
  const spare: ArrayBuffer[] = [];

  async function work([index, piece]: [number, Piece]): Promise<void> {
    const { plainSize, plain } = await opener.open(piece, { buffer: spare.pop() });
    await turns.wait(index);
    await sink(new Uint8Array(plain!, 0, plainSize));
    spare.push(plain!);
    progress.acked(plainSize);
    turns.next();
  }

  const failing = async (item: [number, Piece]) => {
    try {
      await work(item);
    } catch (error) {
      turns.fail(error);
      throw error;
    }
  };
  const complete = await runLanes({
    items: pieces.entries(),
    count: opener.laneCount,
    stop: request.signal,
    work: failing,
  });
  for (const buffer of spare) buffer.transfer(0);
  if (!complete) throw stopped(progress.ackedBytes);
  return '';
}

/** Lets index 0 go first, then 1, and so on; a failure wakes everyone who waits. */
class Turns {
  #current = 0;
  #failure: { error: unknown } | undefined;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();

  async wait(index: number): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    if (index === this.#current) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(index, { resolve, reject });
    await promise;
  }

  next(): void {
    this.#current++;
    this.#waiting.get(this.#current)?.resolve();
    this.#waiting.delete(this.#current);
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function stopped(released: number): SealiftError {
  return new SealiftError('interrupted', `Interrupted after ${released} verified bytes were written out`, {
    hint: 'A get to a pipe cannot be resumed. Run it again, or with --range for the rest.',
  });
}
