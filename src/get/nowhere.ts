/**
 * A get whose bytes nobody wants: a verify. Pieces are opened in whatever order they come, in buffers that never leave
 * their thread, so it is the fastest way through an object there is.
 */
import { SealiftError } from '../errors.ts';
import type { GetRun } from '../get.ts';
import { runLanes } from '../parts/lanes.ts';
import { openerFor } from './open.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** Resolves to '' (a verify is no job) once all pieces are verified. */
export async function toNowhere(run: GetRun): Promise<string> {
  const { request, progress, place } = run;
  const { totalBytes } = progress;
  progress.emit({ type: 'start', job: '', command: request.command, object: place.url, resumed: false, totalBytes });
  const complete = await openAll(run, (piece) => progress.acked(piece.plainSize));
  if (!complete) throw stopped(progress.ackedBytes, totalBytes);
  return '';
}

/** Opens all pieces, and proves them. Resolves to false where it was stopped. */
export async function openAll(run: GetRun, onOpened: (piece: Piece) => void): Promise<boolean> {
  const { request, proof } = run;
  const pieces = piecesOf(run);
  const opener = await openerFor(run, pieces.count);
  const complete = await runLanes({
    items: pieces,
    lanes: opener.lanes,
    stop: request.signal,
    // Nothing of it can be gone on with: pieces in flight are of no use to anybody.
    graceMs: 0,
    work: async (piece, cut) => {
      using _ticket = await opener.ticket();
      const { hash } = await opener.open(piece, { nowhere: true }, cut);
      proof?.add(piece, hash!);
      onOpened(piece);
    },
  });
  if (complete) await proof?.check(request.signal);
  return complete;
}

function stopped(verified: number, totalBytes: number): SealiftError {
  return new SealiftError('interrupted', `Interrupted: ${verified} of ${totalBytes} bytes were verified`, {
    hint: 'A verify cannot be resumed. Run it again.',
  });
}
