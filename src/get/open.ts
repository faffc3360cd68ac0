/** One piece of a get: as a task for a thread, or, where there is only one, opened right here. */
import { partOf } from '../formats/esdk/layout.ts';
import type { GetRun } from '../get.ts';
import { BufferPool } from '../parts/buffers.ts';
import { laneSizeOf } from '../parts/memory.ts';
import { openPart } from '../parts/open-part.ts';
import type { OpenReceipt, OpenTask } from '../parts/task.ts';
import type { Piece } from './pieces.ts';

export interface Opener {
  lanes: { readonly count: number };
  /** Memory for one piece. Whoever opens one holds a ticket until nothing of the piece is in memory any more. */
  ticket: () => Promise<Disposable>;
  /** Opens a piece, until `cut`. */
  open: (piece: Piece, target: OpenTask['target'], cut?: AbortSignal) => Promise<OpenReceipt>;
}

/**
 * Threads are worth their start for several pieces; a single one is opened on this thread. Throws `memory-too-small`
 * where memory has no room for one piece: a foreign object's frames, or its single block, may be of any size.
 */
export async function openerFor(run: GetRun, pieceCount: number): Promise<Opener> {
  const { place, tools, message, progress } = run;
  const pieceSize = partOf(message.layout, 1).plainSize;
  if (pieceCount <= 1) {
    const size = laneSizeOf(pieceSize);
    tools.budget.check(size);
    return {
      lanes: { count: 1 },
      ticket: () => tools.budget.take(size),
      open: async (piece, target, cut) => {
        const buffers = new BufferPool();
        try {
          return await openPart(await taskFor(run, piece, target), place.store, buffers, cut);
        } finally {
          buffers.clear();
        }
      },
    };
  }
  const { lanes, budget, laneSize, threads } = await tools.crew({ partSize: pieceSize }, progress.tellLanes);
  return {
    lanes,
    ticket: () => budget.take(laneSize),
    async open(piece, target, cut) {
      const task = await taskFor(run, piece, target);
      return lanes.measure(piece.plainSize, () => threads.open(task, cut));
    },
  };
}

async function taskFor(run: GetRun, { firstFrame, lastFrame }: Piece, target: OpenTask['target']): Promise<OpenTask> {
  const { place, object, message, range } = run;
  return {
    kind: 'open',
    store: { settings: place.settings, credentials: await place.credentials() },
    message,
    objectKey: place.key,
    etag: object.info.etag,
    versionId: object.info.versionId,
    firstFrame,
    lastFrame,
    range,
    target,
  };
}
