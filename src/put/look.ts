/**
 * A look at what stands under the target's name. Where S3 has encrypted it with another key of the customer's than ours,
 * or with none, it shows us nothing of it but what a listing does: that is enough to know that it is not ours, and to
 * name it where it is to be replaced.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';
import type { Place } from '../job.ts';
import type { CallOptions, ObjectInfo } from '../stores/store.ts';

const UNDER_ANOTHER_KEY: readonly ErrorCode[] = ['sse-c-missing-key', 'sse-c-wrong-key', 'sse-c-not-used'];

/** Undefined where nothing is there. What is under another key comes without its metadata. Throws as `Store.head` does. */
export async function lookAtTarget({ store, key }: Place, options: CallOptions): Promise<ObjectInfo | undefined> {
  try {
    return await store.head(key, options);
  } catch (error) {
    if (!UNDER_ANOTHER_KEY.includes(SealiftError.from(error).code)) throw error;
  }
  for await (const entry of store.list(key, { ...options, recursive: true })) {
    // Keys are listed in order, and no other with this beginning comes before it.
    if ('prefix' in entry || entry.key !== key) return undefined;
    return { size: entry.size, etag: entry.etag ?? '', metadata: {} };
  }
  return undefined;
}
