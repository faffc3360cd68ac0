/** An instruction file written anew, in the place of the one that was read and of no other, with all that is kept with it. */
import { crc32 } from 'node:zlib';
import type { Place } from '../job.ts';
import { checkEncrypted } from '../stores/encryption.ts';
import type { CallOptions, ObjectHeaders, ObjectInfo, WriteAnswer } from '../stores/store.ts';

export async function writeInstructions(
  { store }: Place,
  { key, info }: { key: string; info: ObjectInfo },
  body: Buffer,
  { sse, ...options }: CallOptions & Pick<ObjectHeaders, 'sse'>,
): Promise<WriteAnswer> {
  const kept = await store.headers(key, { ...options, versionId: info.versionId });
  const condition = { ifMatch: info.etag };
  const headers = { ...kept, sse: sse ?? kept.sse };
  const answer = await store.putObject(key, body, { ...headers, ...options, crc32: crc32(body), condition });
  checkEncrypted(store.url(key), { asked: headers.sse, told: answer.sse });
  return answer;
}
