/**
 * `verify`: all of a sealed object is fetched, opened and thrown away. What it resolves to, a `get` would have given back;
 * whatever a `get` refuses, it rejects with.
 */
import { cannotGoOn } from './get/pipe.ts';
import type { OpenRules } from './get/unlock.ts';
import { type Expecting, type GetRequest, openSource } from './get.ts';
import type { JobResult, RunOptions, Tools } from './job.ts';
import { Progress } from './progress.ts';

/** What is to be opened. */
export interface VerifyRequest extends RunOptions, OpenRules {
  /** `s3://bucket/key` or `file:///path`; or a message's bytes in order, as from a pipe. */
  source: GetRequest['source'];
  /** Of an S3 bucket with versions: this one of the object, instead of the newest. */
  versionId?: string | undefined;
  /** As of a get. */
  seal?: GetRequest['seal'];
  /** With which S3 has encrypted the object (SSE-C). */
  customerKey?: GetRequest['customerKey'];
}

/** Writes nothing, and keeps no job: one that was interrupted starts again. */
export async function verify(request: VerifyRequest & Expecting, tools: Tools): Promise<JobResult> {
  try {
    return await openSource({ ...request, command: 'verify' }, { tools, progress: new Progress(request) });
  } catch (error) {
    throw cannotGoOn(error, 'nothing');
  }
}
