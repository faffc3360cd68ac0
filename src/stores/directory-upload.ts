/**
 * An upload: a hidden folder beside the object to be, ours alone (0700), with three files in it.
 *
 *   object          the parts, each written at its place in the object: completing copies nothing
 *   parts           which of them are on the disk (directory-parts.ts)
 *   headers.json    what the upload was created with
 *
 * Several threads write into it at once, each another part. It is gone once its object has its name.
 *
 * Where a disk is not mounted, its mount point is an empty directory, and an upload that is on the disk seems to be gone.
 * So half of an id is random and half is a digest of the directory's device and inode: an upload that is not found is gone
 * only where its directory is the same. One that is found is there, whatever number its device has today.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import { createFile, openToWrite, syncFolder, unlessMissing, writeBody } from './directory-files.ts';
import { hiddenPath, idInName, isId, type ObjectPlace } from './directory-names.ts';
import { encodeHeaders, publish, readHeadersFile } from './directory-object.ts';
import { forgetPart, MAX_PART_NUMBER, notePart, type PlacedPart, readParts } from './directory-parts.ts';
import { OpenedFile } from './directory-read.ts';
import type { CompletedUpload, ObjectHeaders, PartToSend, StoredPart, WriteAnswer } from './store.ts';

/** Resolves to the upload's id once all of it is on the disk. */
export async function createUpload(place: ObjectPlace, headers: ObjectHeaders): Promise<string> {
  const id = `${randomBytes(4).toString('hex')}${await markOf(place.directory)}`;
  const path = hiddenPath(place, id);
  await mkdir(path, { mode: 0o700 });
  try {
    // Size and checksum are known when it completes.
    await createFile(join(path, 'headers.json'), encodeHeaders({ ...headers, size: 0, crc32: 0 }));
    await createFile(join(path, 'object'), '');
    await createFile(join(path, 'parts'), '');
    await syncFolder(path);
    await syncFolder(place.directory);
    return id;
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    throw error;
  }
}

/** Writes a part at its place. Throws `checksum-mismatch`, and then the part is not there; `upload-lost`. */
export async function sendPart(place: ObjectPlace, part: PartToSend): Promise<{ etag: string }> {
  const { uploadId, number, offset, body } = part;
  if (number > MAX_PART_NUMBER) {
    throw storeError(place, `a part's number is at most ${MAX_PART_NUMBER}, and this one's is ${number}`);
  }
  const folder = await findUpload(place, uploadId);
  await using object = await openIn(folder, 'object', place);
  await using slots = await openIn(folder, 'parts', place);
  // After a crash an object may have its name and still be in here. It is not written to any more.
  if ((await object.stat()).nlink !== 1) throw uploadLost(place, uploadId);
  await forgetPart(slots, number);
  const written = { number, offset, ...(await writeBody(object, body, offset)) };
  if (written.crc32 !== part.crc32) {
    throw new SealiftError('checksum-mismatch', `Part ${number} of ${place.url} does not have its checksum`, {
      hint: 'This machine may be faulty. Run the same command again.',
    });
  }
  await object.datasync();
  await notePart(slots, written);
  return { etag: etagOf(written) };
}

/** The parts that are on the disk, by number. Throws `upload-lost`. */
export async function listParts(place: ObjectPlace, uploadId: string): Promise<StoredPart[]> {
  const parts = await placedParts(place, uploadId);
  return [...parts.values()].map((part) => ({
    number: part.number,
    size: part.size,
    etag: etagOf(part),
    crc32: part.crc32,
  }));
}

async function placedParts(place: ObjectPlace, uploadId: string): Promise<Map<number, PlacedPart>> {
  const folder = await findUpload(place, uploadId);
  await using _object = await openIn(folder, 'object', place);
  using slots = OpenedFile.open(join(folder, 'parts'));
  if (!slots) throw uploadLost(place, folder);
  return readParts(slots);
}

/**
 * Checks the parts against what is on the disk, and the whole against size and checksum, then publishes the object and
 * removes the upload. Throws `store-error`, `checksum-mismatch`, `upload-lost`, and as `publish` does.
 */
export async function completeUpload(place: ObjectPlace, upload: CompletedUpload): Promise<WriteAnswer> {
  const { uploadId, size, crc32, condition } = upload;
  checkParts(place, upload, await placedParts(place, uploadId));
  const folder = await findUpload(place, uploadId);
  const headers = readHeadersFile(join(folder, 'headers.json'));
  if (!headers) throw uploadLost(place, uploadId);
  await checkOnDisk(folder, place, size);
  const answer = await publish(place, join(folder, 'object'), { headers: { ...headers, size, crc32 }, condition });
  await removeUpload(place, uploadId);
  return answer;
}

/** The parts follow each other without a gap, each as it is on the disk, and make the whole that is asked for. */
function checkParts(
  place: ObjectPlace,
  { parts, size, crc32 }: CompletedUpload,
  onDisk: Map<number, PlacedPart>,
): void {
  let end = 0;
  let checksum = 0;
  for (const { number, etag, crc32: partCrc32 } of parts) {
    const part = onDisk.get(number);
    if (!part || part.offset !== end || etagOf(part) !== etag || part.crc32 !== partCrc32) {
      throw storeError(place, `part ${number} is not on the disk as it was sent, behind the one before it`);
    }
    end += part.size;
    checksum = combineCrc32(checksum, part.crc32, part.size);
  }
  if (end !== size) throw storeError(place, `the parts have ${end} bytes, not ${size}`);
  if (checksum !== crc32) {
    throw new SealiftError('checksum-mismatch', `The parts of ${place.url} do not make an object of its checksum`, {
      hint: 'Run the same command with --fresh, and please report this.',
    });
  }
}

async function checkOnDisk(folder: string, place: ObjectPlace, size: number): Promise<void> {
  await using object = await openIn(folder, 'object', place);
  const onDisk = (await object.stat()).size;
  if (onDisk !== size) throw storeError(place, `the file has ${onDisk} bytes, not ${size}`);
  await object.sync();
}

/** Removes an upload. One that is gone already is fine; throws `bucket-not-found` where that cannot be known. */
export async function removeUpload(place: ObjectPlace, uploadId: string): Promise<void> {
  if (!isId(uploadId)) return;
  const folder = hiddenPath(place, uploadId);
  if (!(await unlessMissing(lstat(folder)))) return await checkDirectory(place, uploadId);
  await rm(folder, { recursive: true, force: true });
  await syncFolder(place.directory);
}

/** Uploads of exactly this object. */
export async function listUploads(place: ObjectPlace): Promise<{ uploadId: string; initiated: Date }[]> {
  const uploads: { uploadId: string; initiated: Date }[] = [];
  for (const name of await readdir(place.directory)) {
    const uploadId = idInName(place, name);
    if (uploadId === undefined) continue;
    const stats = await unlessMissing(lstat(hiddenPath(place, uploadId)));
    // Files are made in the folder when it is, and never later.
    if (stats?.isDirectory()) uploads.push({ uploadId, initiated: stats.mtime });
  }
  return uploads;
}

/**
 * Resolves to the upload's folder. Throws `upload-lost`, also where something else has taken its name, and
 * `bucket-not-found` where the directory is missing or another one.
 */
async function findUpload(place: ObjectPlace, uploadId: string): Promise<string> {
  if (!isId(uploadId)) throw uploadLost(place, uploadId);
  const folder = hiddenPath(place, uploadId);
  const stats = await unlessMissing(lstat(folder));
  if (!stats) await checkDirectory(place, uploadId);
  if (!stats?.isDirectory()) throw uploadLost(place, uploadId);
  return folder;
}

/** Throws `bucket-not-found` where this is not the directory that the upload was begun in. */
async function checkDirectory({ directory }: ObjectPlace, uploadId: string): Promise<void> {
  if (uploadId.endsWith(await markOf(directory))) return;
  throw new SealiftError(
    'bucket-not-found',
    `Upload ${uploadId} was begun in another directory than ${directory} is now`,
    {
      hint: 'Is the disk mounted? Once it is, run the same command again. --fresh gives the upload up.',
    },
  );
}

/** Which directory this is: the second half of its uploads' ids. */
async function markOf(directory: string): Promise<string> {
  const { dev, ino } = await stat(directory, { bigint: true });
  return createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 8);
}

async function openIn(folder: string, name: 'object' | 'parts', place: ObjectPlace): Promise<FileHandle> {
  const file = await unlessMissing(openToWrite(join(folder, name)));
  if (!file) throw uploadLost(place, folder);
  return file;
}

/** The same bytes have the same: what is sent again under an upload is the same, or it is no longer the same upload. */
function etagOf({ size, crc32 }: PlacedPart): string {
  return `"${size.toString(16)}-${crc32.toString(16).padStart(8, '0')}"`;
}

function uploadLost({ url }: ObjectPlace, upload: string): SealiftError {
  return new SealiftError('upload-lost', `The upload ${upload} of ${url} is gone`, {
    hint: 'Run the same command again: it starts the object over, under a new key.',
  });
}

function storeError({ url }: ObjectPlace, what: string): SealiftError {
  return new SealiftError('store-error', `The upload of ${url} cannot be completed: ${what}`, {
    hint: 'The parts are not those that were sent. Run the same command with --fresh.',
  });
}
