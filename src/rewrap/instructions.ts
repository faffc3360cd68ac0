/** An instruction file written anew, in the place of the one that was read and of no other, with all that is kept with it. */
import { crc32 } from 'node:zlib';
import type { Place } from '../job.ts';
import { checkEncrypted, encryptionKept } from '../stores/encryption.ts';
import type { CallOptions, ObjectInfo, WriteAnswer } from '../stores/store.ts';

export async function writeInstructions(
  { place: { store }, source }: { place: Place; source: Place },
  { key, info }: { key: string; info: ObjectInfo },
  body: Buffer,
  { asked, ...options }: CallOptions & { asked: Parameters<typeof encryptionKept>[0] },
): Promise<WriteAnswer> {
  const kept = await source.store.headers(key, { ...options, versionId: info.versionId });
  const headers = { ...kept, sse: encryptionKept(asked, kept.sse) };
  const condition = { ifMatch: info.etag };
  const answer = await store.putObject(key, body, { ...headers, ...options, crc32: crc32(body), condition });
  checkEncrypted(store.url(key), { asked: headers.sse, told: answer.sse });
  return answer;
}
