/** Uploads in progress: whose they are, how old, and how many bytes they keep. */
import { isRefused, SealiftError } from '../errors.ts';
import { listUploads } from '../ledger/jobs.ts';
import type { OpenUpload, S3Bucket } from '../stores/s3-bucket.ts';
import { shellWord } from '../stores/s3-errors.ts';
import type { Store } from '../stores/store.ts';

/** An upload that is neither complete nor aborted. */
export interface UploadFinding {
  object: string;
  uploadId: string;
  /**
   * `ours`: a job here has it in its ledger. `perhaps-ours`: none has, but it asked for a CRC32 of the whole object, as
   * Sealift does and few others: begun on another machine, or its ledger is lost. Else it is somebody else's.
   */
  owner: 'ours' | 'perhaps-ours' | 'other';
  /** Of `ours`. */
  job?: string | undefined;
  initiated: string;
  ageSeconds: number;
  /** Bytes of its parts, which are billed; null where we may not look. */
  storedBytes: number | null;
  remedy: string;
}

/** Uploads looked into at once: each takes a request for every thousand parts. */
const LOOK_COUNT = 16;

/** The bucket's first uploads by key, oldest first, and whether there are more. */
export async function findUploads(
  { bucket, store, bucketName }: { bucket: S3Bucket; store: Store; bucketName: string },
  { stateDir, maxCount, signal }: { stateDir: string; maxCount: number; signal?: AbortSignal | undefined },
): Promise<{ uploads: UploadFinding[]; hasMore: boolean }> {
  const jobs = new Map(listUploads(stateDir).map(({ uploadId, job }) => [uploadId, job]));
  const open: OpenUpload[] = [];
  let hasMore = false;
  for await (const upload of bucket.uploads({ signal })) {
    hasMore = open.length === maxCount;
    if (hasMore) break;
    open.push(upload);
  }
  const findings: UploadFinding[] = [];
  for (let at = 0; at < open.length; at += LOOK_COUNT) {
    const looks = open.slice(at, at + LOOK_COUNT).map(async (upload): Promise<UploadFinding[]> => {
      const storedBytes = await sizeOf(store, upload, signal);
      return storedBytes === undefined
        ? []
        : [
            told(upload, {
              storedBytes,
              job: jobs.get(upload.uploadId),
              bucket: bucketName,
              url: store.url(upload.key),
            }),
          ];
    });
    findings.push(...(await Promise.all(looks)).flat());
  }
  return { uploads: findings.sort((a, b) => b.ageSeconds - a.ageSeconds), hasMore };
}

function told(
  { key, uploadId, initiated, hasFullCrc32 }: OpenUpload,
  {
    storedBytes,
    job,
    bucket,
    url,
  }: { storedBytes: number | null; job: string | undefined; bucket: string; url: string },
): UploadFinding {
  const abort = `aws s3api abort-multipart-upload --bucket ${bucket} --key ${shellWord(key)} --upload-id ${shellWord(uploadId)}`;
  return {
    object: url,
    uploadId,
    owner: job !== undefined ? 'ours' : hasFullCrc32 ? 'perhaps-ours' : 'other',
    job,
    initiated: initiated.toISOString(),
    ageSeconds: Math.max(0, Math.round((Date.now() - initiated.getTime()) / 1000)),
    storedBytes,
    remedy:
      job !== undefined ? `sealift resume ${job}, or sealift cancel ${job}` : `If nobody goes on with it: ${abort}`,
  };
}

/** Null where we may not look, undefined where it is gone by now. */
async function sizeOf(
  store: Store,
  { key, uploadId }: OpenUpload,
  signal: AbortSignal | undefined,
): Promise<number | null | undefined> {
  try {
    let size = 0;
    for await (const part of store.listParts(key, uploadId, { signal })) size += part.size;
    return size;
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code === 'upload-lost') return undefined;
    // An upload with SSE-C tells its parts to who has the key.
    if (isRefused(error)) return null;
    throw error;
  }
}
