/** An instruction file written anew, in the place of the one that was read and of no other, with all that is kept with it. */
import { crc32 } from 'node:zlib';
import { checkEncrypted } from '../stores/encryption.ts';
import type { CallOptions, ObjectInfo, Store, WriteAnswer } from '../stores/store.ts';

export async function writeInstructions(
  store: Store,
  { key, info }: { key: string; info: ObjectInfo },
  body: Buffer,
  options: CallOptions,
): Promise<WriteAnswer> {
  const headers = await store.headers(key, { ...options, versionId: info.versionId });
  const condition = { ifMatch: info.etag };
  const answer = await store.putObject(key, body, { ...headers, ...options, crc32: crc32(body), condition });
  checkEncrypted(store.url(key), { asked: headers.sse, told: answer.sse });
  return answer;
}
