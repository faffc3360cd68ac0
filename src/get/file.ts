/**
 * A get into a file, as a job. Pieces are written in place once verified, or, where only the whole proves itself, before
 * it is, which is then verified before it has its name; the ledger hears of them only after the file
 * has been synced, several pieces to a sync. A resume reads back what the ledger knows, and keeps what is still as it
 * was written, if the object is the same version and the temporary file the one we made. Otherwise it starts again:
 * nothing is lost by that but time.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';
import { headerBytes } from '../formats/esdk/header.ts';
import { encodeHeader } from '../formats/s3ec/encode-header.ts';
import { gridOf, hashOfCrc32 } from '../formats/units.ts';
import type { GetRun } from '../get.ts';
import { leaveJob } from '../leave.ts';
import type { DownloadRow, Ledger, WrittenPiece } from '../ledger/ledger.ts';
import { modeOf } from '../mode.ts';
import { mtimeOf } from '../mtime.ts';
import { runLanes } from '../parts/lanes.ts';
import { laneSizeOf } from '../parts/memory.ts';
import { ID_METADATA } from '../parts/written.ts';
import { openJob } from './job.ts';
import type { FoundObject } from './object.ts';
import { type Opener, openerFor } from './open.ts';
import { type Piece, type Pieces, piecesOf } from './pieces.ts';
import { hashOfWritten, isAsWritten } from './read-back.ts';
import {
  checkTarget,
  createTemporary,
  inodeAt,
  publish,
  removeTemporary,
  settle,
  syncFile,
  temporaryPathFor,
} from './target.ts';

/** Resolves to the job's id once the file has its name. */
export async function toFile(run: GetRun, target: string): Promise<string> {
  const overwrite = run.request.overwrite ?? false;
  const pieces = piecesOf(run);
  const opener = await openerFor(run, pieces.count);
  using ledger = await openJob(run, target);
  try {
    if (!(await wasPublished(run, ledger, target, pieces))) {
      await checkTarget(target, { overwrite });
      const download = await takeUp(run, ledger, target, pieces.count);
      const todo = await piecesToFetch(run, ledger, download, pieces);
      if (!(await fetchPieces(run, ledger, download, { pieces: todo, opener }))) throw interrupted(target);
      await run.proof?.check(run.request.signal);
      // A part of the source has no time of its own.
      const time = run.request.range ? undefined : mtimeOf(run.object.info);
      const mode = run.request.keepMode ? modeOf(run.object.info) : undefined;
      await publish(download.tempPath, target, { overwrite, time, mode, warn: run.progress.warn });
    }
    ledger.finish('done');
    return ledger.job.id;
  } catch (error) {
    throw await leave(ledger, target, error);
  }
}

/**
 * Whether an earlier run has given the whole file its name, and died before the ledger heard of it. The inode alone does
 * not tell, for file systems give numbers out again: the pieces must be there too.
 */
async function wasPublished(run: GetRun, ledger: Ledger, target: string, pieces: Pieces): Promise<boolean> {
  const { progress, message, request } = run;
  const before = ledger.download();
  if (!before || !isSameObject(before, run) || !(await isOurs(target, before))) return false;
  ledger.unlock(message.keys.ledgerKey);
  const written = ledger.pieces();
  for (const piece of pieces) {
    if (request.signal?.aborted) throw interrupted(target);
    const known = written.get(piece.number);
    if (!known || !(await isAsWritten(target, piece, known))) return false;
  }
  tellStart(run, ledger, { resumed: true });
  for (const { plainSize } of pieces) progress.kept(plainSize);
  await settle(before.tempPath, target);
  return true;
}

/** The ledger's download where it can be gone on with, else a new one with a new temporary file. */
async function takeUp(run: GetRun, ledger: Ledger, target: string, pieceCount: number): Promise<DownloadRow> {
  const { object, message, range, progress, place } = run;
  const { info } = object;
  const before = ledger.download();
  if (before) {
    const sameObject = isSameObject(before, run);
    if (sameObject && (await isOurs(before.tempPath, before))) {
      ledger.unlock(message.keys.ledgerKey);
      tellStart(run, ledger, { resumed: true });
      return before;
    }
    await removeTemporary(before);
    progress.restart(sameObject ? 'The half-written file is gone or was changed' : 'The object has changed');
  }
  const download = ledger.startDownload(
    {
      objectUrl: place.url,
      etag: info.etag,
      versionId: info.versionId,
      objectSize: info.size,
      tempPath: temporaryPathFor(target),
      header: headerOf(object),
      partUnitCount: gridOf(message).partUnitCount,
      range,
      plainSize: progress.totalBytes,
      pieceCount,
    },
    message.keys.ledgerKey,
  );
  ledger.setTempInode(await createTemporary(download.tempPath, { target, size: download.plainSize }));
  tellStart(run, ledger, { resumed: false });
  return download;
}

function isSameObject(before: DownloadRow, { object }: GetRun): boolean {
  const { info } = object;
  const sameVersion =
    before.etag === info.etag && before.versionId === info.versionId && before.objectSize === info.size;
  return sameVersion && Buffer.compare(before.header, headerOf(object)) === 0;
}

/** What an object says about itself, as bytes: two that say the same are alike. */
function headerOf(object: FoundObject): Uint8Array {
  if (object.format === 'plain') return Buffer.from(object.info.metadata[ID_METADATA] ?? '');
  const { format, header } = object;
  return format === 'esdk' ? headerBytes(header) : Buffer.from(JSON.stringify(encodeHeader(header)));
}

/** Whether the file that this download made is at `path`. */
async function isOurs(path: string, { tempInode, plainSize }: DownloadRow): Promise<boolean> {
  return tempInode !== undefined && (await inodeAt(path, plainSize)) === tempInode;
}

function tellStart({ progress, place }: GetRun, { job }: Ledger, { resumed }: { resumed: boolean }): void {
  const { totalBytes } = progress;
  progress.emit({ type: 'start', job: job.id, command: 'get', object: place.url, resumed, totalBytes });
}

/** The pieces that were not written before, or are not as they were written any more. */
async function piecesToFetch(
  run: GetRun,
  ledger: Ledger,
  { tempPath }: DownloadRow,
  pieces: Pieces,
): Promise<Iterable<Piece>> {
  const { progress, request } = run;
  const written = ledger.pieces();
  if (written.size === 0) return pieces;
  const todo: Piece[] = [];
  let changedCount = 0;
  for (const piece of pieces) {
    if (request.signal?.aborted) throw SealiftError.interrupted(request.signal, 'get');
    const { number, plainSize } = piece;
    const known = written.get(number);
    const kept = known !== undefined && (await isAsWritten(tempPath, piece, known));
    if (kept) await proveAgain(run, piece, { path: tempPath, written: known });
    let reason = 'verified and written';
    if (!kept) reason = known ? 'changed since it was written' : 'not written before';
    progress.emit({ type: 'part', number, size: plainSize, kept, reason });
    if (kept) progress.kept(plainSize);
    else todo.push(piece);
    if (known && !kept) changedCount++;
  }
  if (changedCount > 0) {
    const message = `${changedCount} of ${written.size} parts written before have changed since and are fetched again: another program writes to ${tempPath}, or its disk is failing`;
    progress.emit({ type: 'warning', message });
  }
  return todo;
}

/** Where only the whole proves itself, a kept piece is hashed again: its hash is secret, and so not in the ledger. */
async function proveAgain(
  { message, proof, tools }: GetRun,
  piece: Piece,
  { path, written }: { path: string; written: WrittenPiece },
): Promise<void> {
  if (!proof || message.format === 'esdk') return;
  if (message.format === 'plain') return proof.add(piece, hashOfCrc32(written.crc32));
  using _ticket = await tools.budget.take(laneSizeOf(piece.plainSize));
  proof.add(piece, await hashOfWritten(path, piece, message));
}

/** Resolves to false when the run was stopped before all pieces were written. */
async function fetchPieces(
  { request, progress, proof }: GetRun,
  ledger: Ledger,
  { tempPath }: DownloadRow,
  { pieces, opener }: { pieces: Iterable<Piece>; opener: Opener },
): Promise<boolean> {
  const record = batched(async (written: WrittenPiece[]) => {
    await progress.watch.time('disk', () => syncFile(tempPath));
    await progress.watch.time('ledger', () => ledger.recordPieces(written));
  });

  // Whether or not all pieces came, those that did are recorded before the ledger is closed.
  return await runLanes({
    items: pieces,
    lanes: opener.lanes,
    stop: request.signal,
    work: async (piece, cut) => {
      using _ticket = await opener.ticket();
      const { crc32, hash } = await opener.open(piece, { path: tempPath }, cut);
      proof?.add(piece, hash!);
      progress.acked(piece.plainSize);
      record.add({ number: piece.number, crc32: crc32! });
    },
  }).finally(() => record.settled());
}

/** Runs `work` over what was added, one run at a time, each taking all that has come in meanwhile. */
function batched<T>(work: (items: T[]) => Promise<void>) {
  let waiting: T[] = [];
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
    add(item: T): void {
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
const FINAL_CODES: ReadonlySet<ErrorCode> = new Set([
  'bad-frame',
  'bad-tag',
  'truncated',
  'trailing-bytes',
  'checksum-mismatch',
  'target-exists',
  'object-changed',
]);

async function leave(ledger: Ledger, target: string, thrown: unknown): Promise<SealiftError> {
  const download = ledger.download();
  const isBegun = download?.tempInode !== undefined;
  // Its path is written down first: there may be a file all the same.
  if (download && !isBegun) await removeTemporary(download);
  return leaveJob(thrown, {
    ledger,
    isBegun,
    finalCodes: FINAL_CODES,
    drop: async () => removeTemporary(download!),
    interrupted: interrupted(target),
  });
}

function interrupted(target: string): SealiftError {
  return new SealiftError('interrupted', `Interrupted: ${target} is not there yet, but what was opened is kept`, {
    hint: 'Run the same command again, or `sealift resume`, to go on; `sealift cancel JOB` removes what is kept.',
  });
}
