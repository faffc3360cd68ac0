/** Why a HEAD was refused: its answer has no body that says so. A GET is refused for the same reason, and has one. */
import type { IncomingMessage } from 'node:http';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { type ErrorCode, isDenied, SealiftError } from '../errors.ts';
import type { S3Calls } from './s3-calls.ts';
import { wrongCustomerKey } from './s3-errors.ts';
import type { CallOptions } from './store.ts';

type HeadOptions = CallOptions & { versionId?: string | undefined };

/** Resolves to the refusal, or to an error that says more. */
export async function explainRefusal(
  calls: S3Calls,
  key: string,
  { refusal, ...options }: HeadOptions & { refusal: unknown },
): Promise<unknown> {
  if (!isDenied(refusal) && !hasCode(refusal, 'store-error')) return refusal;
  const explained = await refusalOf(calls, key, options);
  if (explained === undefined || hasCode(explained, 'object-not-found')) return refusal;
  // S3 refuses a wrong key as it refuses who has no permission; only who may read is told that a key is wanted.
  if (calls.customerKey === undefined || !hasCode(explained, 'access-denied')) return explained;
  const bare = await refusalOf(calls.withCustomerKey(undefined), key, options);
  return hasCode(bare, 'sse-c-missing-key') ? wrongCustomerKey(calls.url(key)) : explained;
}

/** What S3 says to a GET; undefined where it serves one. */
async function refusalOf(calls: S3Calls, key: string, options: HeadOptions): Promise<unknown> {
  const command = new GetObjectCommand({ ...calls.encrypted(key), VersionId: options.versionId });
  try {
    const { Body } = await calls.send('HeadObject', key, options, command);
    (Body as IncomingMessage | undefined)?.destroy();
    return undefined;
  } catch (refusal) {
    return refusal;
  }
}

export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof SealiftError && error.code === code;
}
