/**
 * The instruction file of an S3 Encryption Client's object: the wrapped data key, in an object of its own beside it. Two
 * objects cannot be written in one step, and an object whose instruction file is overwritten opens no more. So:
 *
 *   1. an older file is read, and is in the ledger with the attempt           nothing was written yet
 *   2. all parts are there: the file is written, if the older one is still what was read
 *   3. at once the object is completed, or written whole                      a crash from 2 on: the ledger has both files
 *   4. where that fails the older file is put back; where there was none, ours is deleted
 *
 * File and object carry the same `sealift-id`, so whoever comes later (a resume, a cancel) sees how far it came.
 */
import { crc32 } from 'node:zlib';
import { SealiftError } from '../errors.ts';
import { INSTRUCTION_FILE_MARK, INSTRUCTION_FILE_SUFFIX } from '../formats/s3ec/encode-header.ts';
import { readRange } from '../get/object.ts';
import type { Place } from '../job.ts';
import type { AttemptRow, KeptFile } from '../ledger/types.ts';
import { ID_METADATA, isOurs, targetChanged, targetExists } from '../parts/written.ts';
import type { PutRun } from '../put.ts';
import type { ObjectInfo, WriteAnswer, WriteCondition } from '../stores/store.ts';
import { KiB } from '../units.ts';
import { confirmWrite } from './confirm.ts';

/** An instruction file is some 500 bytes; what is larger is something else, and is not replaced. */
const MOST_INSTRUCTIONS = 64 * KiB;

type InstructionRow = Pick<AttemptRow, 'sealiftId' | 'headers' | 'instructions' | 'oldInstructions'>;

/**
 * The file that would be replaced, for the ledger; undefined where there is none. Throws `bad-option`, `target-exists`
 * and `unversioned` where none may be written.
 */
export async function keepOldInstructions({ place, request, ledger }: PutRun): Promise<KeptFile | undefined> {
  const { store } = place;
  if (!store.copies) {
    throw new SealiftError('bad-option', `--instruction-file is for objects in S3, which ${place.url} is not`, {
      hint: 'Leave it out: what opens the object then stands in its metadata.',
    });
  }
  if (place.customerKey) {
    throw new SealiftError('bad-option', '--instruction-file does not go with --sse-c', {
      hint: 'Whoever gives the job up has to read that file, and has no key. Leave one of them out.',
    });
  }
  const { signal } = request;
  const file = fileBeside(place);
  const there = await store.head(file.key, { signal });
  if (!there) return undefined;
  if (!request.overwrite) throw targetExists(file.url);
  if (there.size > MOST_INSTRUCTIONS) {
    throw new SealiftError('target-exists', `${file.url} is no instruction file: it has ${there.size} bytes`, {
      hint: 'It is not replaced, not even with --overwrite. Choose another name for the object.',
    });
  }
  if (ledger.lostAttempts().some(({ sealiftId }) => there.metadata[ID_METADATA] === sealiftId)) {
    throw new SealiftError('target-changed', `${file.url} is ours, and the older one could not be put back`, {
      hint: `When the store lets us, \`sealift cancel ${ledger.job.id}\` puts it back.`,
    });
  }
  if (!request.yes && keepsNoVersion(there)) throw unversioned(file.url);
  const body = await readAll(file, there, signal);
  return { body: body.toString('base64'), headers: await store.headers(file.key, { signal }) };
}

/**
 * Makes the write of the object, with its instruction file written right before, where it has one. What fails leaves the
 * file as it was, unless the object is there after all.
 */
export async function withInstructions(
  run: PutRun,
  row: InstructionRow,
  write: () => Promise<WriteAnswer>,
): Promise<WriteAnswer> {
  if (row.instructions === undefined) return await write();
  try {
    await writeInstructions(run, row);
    return await write();
  } catch (error) {
    // What was cut off may yet take effect: a resume will see.
    if (SealiftError.from(error).code !== 'interrupted') {
      await putBackInstructions(run.place, row, run.progress.warn);
    }
    throw error;
  }
}

/** Writes the file, confirmed, if it is not there yet. Throws `target-exists`, `target-changed`. */
export async function writeInstructions(run: PutRun, row: InstructionRow): Promise<void> {
  const { sealiftId, instructions, headers } = row;
  if (instructions === undefined) return;
  const { signal } = run.request;
  const file = fileBeside(run.place);
  const body = Buffer.from(instructions);
  const { sse } = headers;
  const written = { sealiftId, size: body.length, crc32: crc32(body), sse };
  const there = await file.store.head(file.key, { signal });
  if (there && isOurs(there, written)) return;
  const condition = await conditionFor(file, there, row, signal);
  const metadata = { [INSTRUCTION_FILE_MARK]: '', [ID_METADATA]: sealiftId };
  await confirmWrite({ ...run, place: file }, { ...written, condition }, (options) =>
    file.store.putObject(file.key, body, { metadata, sse, ...options, crc32: written.crc32, condition }),
  );
}

/**
 * Puts the older file back, or deletes ours where there was none: only where the file is ours, and the object is not.
 * Resolves to whether that is done; where it could not be, `warn` is told.
 */
export async function putBackInstructions(
  place: Place,
  { sealiftId, instructions, oldInstructions: old }: InstructionRow,
  warn: (message: string) => void,
): Promise<boolean> {
  if (instructions === undefined) return true;
  const file = fileBeside(place);
  const { store } = file;
  try {
    const there = await store.head(file.key);
    if (there?.metadata[ID_METADATA] !== sealiftId) return true;
    const object = await store.head(place.key);
    if (object?.metadata[ID_METADATA] === sealiftId) return true;
    if (old) {
      const body = Buffer.from(old.body, 'base64');
      const condition = { ifMatch: there.etag };
      await store.putObject(file.key, body, { ...old.headers, crc32: crc32(body), condition });
    } else {
      await store.copies!.deleteVersion(file.key, there);
    }
    return true;
  } catch (error) {
    const what = old
      ? 'is not the older one yet, without which the older object cannot be opened'
      : 'is left without an object';
    warn(`${file.url} ${what}: ${SealiftError.from(error).message}. The job keeps it: run it again, or cancel it`);
    return false;
  }
}

/** The older file by its bytes: put back after a failure, it may have another ETag than it had. */
async function conditionFor(
  file: Place,
  there: ObjectInfo | undefined,
  { oldInstructions: old }: InstructionRow,
  signal: AbortSignal | undefined,
): Promise<WriteCondition> {
  if (!there && !old) return { ifNoneMatch: '*' };
  if (!old) throw targetExists(file.url);
  const body = Buffer.from(old.body, 'base64');
  const isOld = there?.size === body.length && (await readAll(file, there, signal)).equals(body);
  if (!isOld) throw targetChanged(file.url);
  return { ifMatch: there.etag };
}

async function readAll(file: Place, info: ObjectInfo, signal: AbortSignal | undefined): Promise<Buffer> {
  if (info.size === 0) return Buffer.alloc(0);
  return await readRange(file, info, { first: 0, last: info.size - 1 }, signal);
}

function fileBeside(place: Place): Place {
  const key = `${place.key}${INSTRUCTION_FILE_SUFFIX}`;
  return { ...place, key, url: place.store.url(key) };
}

/** In a bucket whose versions are suspended, what was written since has this version, and is overwritten. */
function keepsNoVersion({ versionId }: ObjectInfo): boolean {
  return versionId === undefined || versionId === 'null';
}

function unversioned(url: string): SealiftError {
  return new SealiftError('unversioned', `${url} would be overwritten, and its bucket keeps no older version of it`, {
    hint: 'Without it the object of before cannot be opened. Give --yes to replace both, or choose another name.',
  });
}
