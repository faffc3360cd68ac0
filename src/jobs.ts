/** Jobs from outside: list them, look at one, give one up. */
import { SealiftError } from './errors.ts';
import { removeTemporary } from './get/target.ts';
import type { Tools } from './job.ts';
import { Ledger } from './ledger/ledger.ts';

/**
 * Gives a job up: aborts its upload or removes its half-written file, and ends its ledger. Throws `no-such-job`,
 * `job-busy`. A ledger that came from elsewhere can be cancelled too; a damaged one can only be forgotten, and the
 * upload it may have had is then found by the store's own means.
 */
export async function cancelJob(tools: Tools, id: string): Promise<void> {
  using ledger = Ledger.open(tools.stateDir, id, { evenIfMoved: true });
  const { command } = ledger.job;
  const attempt = command === 'put' ? ledger.attempt() : undefined;
  if (attempt?.uploadId !== undefined && attempt.state !== 'aborted') {
    const place = await tools.place(ledger.job.target);
    await place.store.abortUpload(place.key, attempt.uploadId);
    ledger.setState('aborted');
  }
  const download = command === 'get' ? ledger.download() : undefined;
  if (download) await removeTemporary(download);
  ledger.finish('cancelled');
}

/** For `--fresh`: whatever there is of the job is given up; nothing being there is fine. */
export async function forgetJob(tools: Tools, id: string): Promise<void> {
  try {
    if (isUnfinished(tools, id)) await cancelJob(tools, id);
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code !== 'ledger-corrupt' && code !== 'ledger-too-new') throw error;
    Ledger.remove(tools.stateDir, id);
  }
}

/** Whether the job is there and not over. Throws `ledger-corrupt`, `ledger-too-new` where that cannot be known. */
export function isUnfinished({ stateDir }: Tools, id: string): boolean {
  try {
    return Ledger.summary(stateDir, id).state === 'running';
  } catch (error) {
    if (SealiftError.from(error).code === 'no-such-job') return false;
    throw error;
  }
}
