/**
 * A get into a file, as a job. Pieces are written in place once verified; the ledger hears of them only after the file
 * has been synced, several pieces to a sync. A resume keeps what the ledger knows if the object is still the same
 * version and the temporary file still the one we made, and otherwise starts again: nothing is lost by that but time.
 */
import { SealiftError } from '../errors.ts';
import { headerBytes } from '../formats/esdk/header.ts';
import type { GetRun } from '../get.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { type DownloadRow, jobIdOf, Ledger } from '../ledger/ledger.ts';
import { runLanes } from '../parts/lanes.ts';
import { type Opener, openerFor } from './open.ts';
import { type Piece, piecesOf } from './pieces.ts';
import { createTemporary, publish, removeTemporary, stillThere, syncFile } from './target.ts';

/** Resolves to the job's id once the file has its name. */
export async function toFile(run: GetRun, target: string): Promise<string> {
  const { request, progress, place } = run;
  const pieces = piecesOf(run);
  const opener = await openerFor(run, pieces.length);
  using ledger = await openJob(run, target);
  try {
    const { download, resumed } = await takeUp(run, ledger, target, pieces.length);
    const job = ledger.job.id;
    progress.emit({ type: 'start', job, command: 'get', object: place.url, resumed, totalBytes: progress.totalBytes });
    if (!(await fetchPieces(run, ledger, download, { pieces, opener }))) throw interrupted(target);
    await publish(download.tempPath, target, { overwrite: request.overwrite ?? false });
    ledger.finish('done');
    return job;
  } catch (error) {
    throw await leave(run, ledger, target, error);
  }
}

async function openJob({ request, place, tools, range }: GetRun, target: string): Promise<Ledger> {
  const names = { command: 'get', source: place.url, target } as const;
  const id = jobIdOf(names);
  if (request.fresh) await forgetJob(tools, id);
  else if (isUnfinished(tools, id)) return Ledger.open(tools.stateDir, id);
  return Ledger.create(tools.stateDir, { ...names, options: { fixed: { range }, memo: request.memo ?? {} } });
}

/** The ledger's download where it can be gone on with, else a new one with a new temporary file. */
async function takeUp(
  run: GetRun,
  ledger: Ledger,
  target: string,
  pieceCount: number,
): Promise<{ download: DownloadRow; resumed: boolean }> {
  const { object, message, range, progress, place } = run;
  const { info, header } = object;
  const before = ledger.download();
  if (before) {
    const sameObject =
      before.etag === info.etag && before.versionId === info.versionId && before.objectSize === info.size;
    const sameHeader = Buffer.compare(before.header, headerBytes(header)) === 0;
    const sameRange = before.range?.first === range.first && before.range.last === range.last;
    const file = { path: before.tempPath, inode: before.tempInode };
    if (sameObject && sameHeader && sameRange && (await stillThere(file, progress.totalBytes))) {
      ledger.unlock(message.keys.ledgerKey);
      return { download: before, resumed: true };
    }
    await removeTemporary(before);
    progress.restart(
      sameObject && sameHeader ? 'The half-written file is gone or was changed' : 'The object has changed',
    );
  }
  const temporary = await createTemporary(target, progress.totalBytes);
  const download = ledger.startDownload(
    {
      objectUrl: place.url,
      etag: info.etag,
      versionId: info.versionId,
      objectSize: info.size,
      tempPath: temporary.path,
      tempInode: temporary.inode,
      header: headerBytes(header),
      partFrameCount: message.layout.partFrameCount,
      range,
      plainSize: progress.totalBytes,
      pieceCount,
    },
    message.keys.ledgerKey,
  );
  return { download, resumed: false };
}

/** Resolves to false when the run was stopped before all pieces were written. */
async function fetchPieces(
  run: GetRun,
  ledger: Ledger,
  download: DownloadRow,
  { pieces, opener }: { pieces: Piece[]; opener: Opener },
): Promise<boolean> {
  const { request, progress } = run;
  const done = ledger.pieces();
  const record = batched((numbers: number[]) => recordSynced(ledger, download, numbers));

  // Whether or not all pieces came, those that did are recorded before the ledger is closed.
  return await runLanes({
    items: notDone(run, pieces, done),
    count: opener.laneCount,
    stop: request.signal,
    work: async (piece) => {
      await opener.open(piece, { path: download.tempPath });
      progress.acked(piece.plainSize);
      record.add(piece.number);
    },
  }).finally(() => record.settled());
}

function* notDone({ progress }: GetRun, pieces: Piece[], done: ReadonlySet<number>): Generator<Piece> {
  for (const piece of pieces) {
    const { number, plainSize } = piece;
    const kept = done.has(number);
    const reason = kept ? 'verified and written' : 'not written before';
    if (done.size > 0) progress.emit({ type: 'part', number, size: plainSize, kept, reason });
    if (kept) progress.kept(plainSize);
    else yield piece;
  }
}

async function recordSynced(ledger: Ledger, { tempPath }: DownloadRow, numbers: number[]): Promise<void> {
  await syncFile(tempPath);
  await ledger.recordPieces(numbers);
}

/** Runs `work` over what was added, one run at a time, each taking all that has come in meanwhile. */
function batched(work: (items: number[]) => Promise<void>) {
  let waiting: number[] = [];
  let running: Promise<void> | undefined;
  let failure: { error: unknown } | undefined;

  async function drain(): Promise<void> {
    while (waiting.length > 0 && !failure) {
      const items = waiting;
      waiting = [];
      await work(items).catch((error: unknown) => {
        failure = { error };
      });
    }
    running = undefined;
  }

  return {
    add(item: number): void {
      if (failure) throw failure.error;
      waiting.push(item);
      running ??= drain();
    },
    async settled(): Promise<void> {
      await running;
      if (failure) throw failure.error;
    },
  };
}

/** Codes after which the half-written file is of no use to anyone. */
const FINAL_CODES = new Set(['bad-frame', 'truncated', 'trailing-bytes', 'target-exists', 'object-changed']);

/** Decides what an error leaves behind: a job to go on with, or nothing. */
async function leave({ request }: GetRun, ledger: Ledger, target: string, thrown: unknown): Promise<unknown> {
  const error = request.signal?.aborted ? interrupted(target) : SealiftError.from(thrown);
  const download = ledger.download();
  if (!download) ledger.discard();
  else if (FINAL_CODES.has(error.code)) {
    await removeTemporary(download);
    ledger.finish('failed');
  }
  return error;
}

function interrupted(target: string): SealiftError {
  return new SealiftError('interrupted', `Interrupted: ${target} is not there yet, but what was opened is kept`, {
    hint: 'Run the same command again, or `sealift resume`, to go on; `sealift cancel JOB` removes what is kept.',
  });
}
