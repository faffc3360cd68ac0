/** One piece of a get: as a task for a thread, or, where there is only one, opened right here. */
import { gridOf, plainSpanOf } from '../formats/units.ts';
import type { GetRun } from '../get.ts';
import { accessTo } from '../job.ts';
import { BufferPool } from '../parts/buffers.ts';
import { laneSizeOf } from '../parts/memory.ts';
import { openPart } from '../parts/open-part.ts';
import type { OpenLink, OpenReceipt, OpenTask } from '../parts/task.ts';
import type { Piece } from './pieces.ts';

export interface Opener {
  lanes: { readonly count: number };
  /** Memory for one piece. Whoever opens one holds a ticket until nothing of the piece is in memory any more. */
  ticket: () => Promise<Disposable>;
  /** Opens a piece, until `cut`. What is shown is as it is until `show` resolves. */
  open: (piece: Piece, target: PieceTarget, cut: AbortSignal) => Promise<OpenReceipt>;
}

export type PieceTarget = Exclude<OpenTask['target'], { shown: true }> | Pick<OpenLink, 'show'>;

/**
 * Threads are worth their start for several pieces; a single one is opened on this thread. Throws `memory-too-small`
 * where memory has no room for one piece: a foreign object's frames, or its single block, may be of any size.
 */
export async function openerFor(run: GetRun, pieceCount: number): Promise<Opener> {
  const { place, tools, message, progress } = run;
  const { partUnitCount } = gridOf(message);
  const { plainSize: pieceSize } = plainSpanOf(message, { firstUnit: 1, lastUnit: partUnitCount });
  if (pieceCount <= 1) {
    const size = laneSizeOf(pieceSize);
    tools.budget.check(size);
    return {
      lanes: { count: 1 },
      ticket: () => tools.budget.take(size),
      open: async (piece, target, cut) => {
        const buffers = new BufferPool();
        try {
          const watch = progress.watch.ofPart();
          const link = { cut, watch, show: showOf(target), isElsewhere: false };
          const receipt = await openPart(await taskFor(run, piece, target), place.store, buffers, link);
          progress.moved(watch.stop());
          return receipt;
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
      const show = showOf(target);
      const shown = Promise.withResolvers<void>();
      const opened = threads.open(
        task,
        (plain, hash) => {
          shown.resolve();
          return show(plain, hash);
        },
        cut,
      );
      // How long somebody looks at it is not the server's doing.
      await lanes.measure(piece.plainSize, () => Promise.race([opened, shown.promise]));
      const receipt = await opened;
      progress.moved(receipt.stages);
      return receipt;
    },
  };
}

function showOf(target: PieceTarget): OpenLink['show'] {
  return 'show' in target ? target.show : () => Promise.resolve();
}

async function taskFor(run: GetRun, { firstUnit, lastUnit }: Piece, target: PieceTarget): Promise<OpenTask> {
  const { place, object, message, range, progress } = run;
  return {
    kind: 'open',
    store: await accessTo(place),
    message,
    objectKey: place.key,
    etag: object.info.etag,
    versionId: object.info.versionId,
    firstUnit,
    lastUnit,
    range,
    profiled: progress.watch.seconds !== undefined,
    target: 'show' in target ? { shown: true } : target,
  };
}
