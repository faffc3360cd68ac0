/** An instruction file written anew, in the place of the one that was read and of no other, with all that is kept with it. */
import { crc32 } from 'node:zlib';
import type { Place } from '../job.ts';
import type { CallOptions, ObjectInfo, WriteAnswer } from '../stores/store.ts';

export async function writeInstructions(
  { store }: Place,
  { key, info }: { key: string; info: ObjectInfo },
  body: Buffer,
  options: CallOptions,
): Promise<WriteAnswer> {
  const kept = await store.headers(key, { ...options, versionId: info.versionId });
  const condition = { ifMatch: info.etag };
  return await store.putObject(key, body, { ...kept, ...options, crc32: crc32(body), condition });
}
