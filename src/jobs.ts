/** Jobs from outside: list them, look at one, give one up. */
import { SealiftError } from './errors.ts';
import { removeTemporary } from './get/target.ts';
import type { Tools } from './job.ts';
import { Ledger } from './ledger/ledger.ts';

/** What cancelling came to: `forgotten` where the ledger was damaged, so that an upload it had may still be there. */
export type Cancelled = 'cancelled' | 'over' | 'forgotten';

/**
 * Gives a job up: aborts its upload or removes its half-written file, and ends its ledger. A job that is over is left
 * alone. A ledger that came from elsewhere can be cancelled too. Throws `no-such-job`, `job-busy`, `ledger-too-new`.
 */
export async function cancelJob(tools: Tools, id: string): Promise<Cancelled> {
  try {
    return await abandon(tools, id);
  } catch (error) {
    if (SealiftError.from(error).code !== 'ledger-corrupt') throw error;
    Ledger.remove(tools.stateDir, id);
    return 'forgotten';
  }
}

async function abandon(tools: Tools, id: string): Promise<Cancelled> {
  using ledger = Ledger.open(tools.stateDir, id, { evenIfMoved: true });
  const { command, state } = ledger.job;
  if (state !== 'running') return 'over';
  const attempt = command === 'put' ? ledger.attempt() : undefined;
  if (attempt?.uploadId !== undefined && attempt.state !== 'aborted') {
    const place = await tools.place(ledger.job.target);
    await place.store.abortUpload(place.key, attempt.uploadId);
    ledger.setState('aborted');
  }
  const download = command === 'get' ? ledger.download() : undefined;
  if (download) await removeTemporary(download);
  ledger.finish('cancelled');
  return 'cancelled';
}

/** For `--fresh`: whatever there is of the job is given up; nothing being there is fine. */
export async function forgetJob(tools: Tools, id: string): Promise<void> {
  try {
    await cancelJob(tools, id);
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code === 'no-such-job') return;
    if (code !== 'ledger-too-new') throw error;
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
