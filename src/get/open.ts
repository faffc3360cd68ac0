/** One piece of a get: as a task for a thread, or, where there is only one, opened right here. */
import { partOf } from '../formats/esdk/layout.ts';
import type { GetRun } from '../get.ts';
import { BufferPool } from '../parts/buffers.ts';
import { laneSizeOf } from '../parts/memory.ts';
import { openPart } from '../parts/open-part.ts';
import type { OpenReceipt, OpenTask } from '../parts/task.ts';
import type { Piece } from './pieces.ts';

export type OpenPiece = (piece: Piece, target: OpenTask['target']) => Promise<OpenReceipt>;

export interface Opener {
  open: OpenPiece;
  laneCount: number;
}

/**
 * Threads are worth their start for several pieces; a single one is opened on this thread. Throws `memory-too-small`
 * where memory has no room for one piece: a foreign object's frames, or its single block, may be of any size.
 */
export async function openerFor(run: GetRun, pieceCount: number): Promise<Opener> {
  const { place, tools, message } = run;
  const pieceSize = partOf(message.layout, 1).plainSize;
  if (pieceCount <= 1) {
    const size = laneSizeOf(pieceSize);
    tools.budget.check(size);
    return {
      laneCount: 1,
      open: async (piece, target) => {
        using _ticket = await tools.budget.take(size);
        const buffers = new BufferPool();
        try {
          return await openPart(await taskFor(run, piece, target), place.store, buffers);
        } finally {
          buffers.clear();
        }
      },
    };
  }
  const crew = await tools.crew({ partSize: pieceSize });
  return {
    laneCount: crew.plan.laneCount,
    open: async (piece, target) => {
      using _ticket = await crew.budget.take(crew.laneSize);
      return crew.threads.open(await taskFor(run, piece, target));
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
