/** Jobs from outside: list them, look at one, give one up. */
import { existsSync } from 'node:fs';
import { SealiftError } from './errors.ts';
import { removeTemporary } from './get/target.ts';
import type { Tools } from './job.ts';
import { jobFiles } from './ledger/files.ts';
import { Ledger } from './ledger/ledger.ts';
import { freeLostUploads, giveUpAttempt } from './put/give-up.ts';

/**
 * What cancelling came to: `left` where the job is over but its upload could not be aborted, `forgotten` where the
 * ledger was damaged, so that an upload it had may still be there.
 */
export type Cancelled = 'cancelled' | 'over' | 'left' | 'forgotten';

type Warn = (message: string) => void;

const MAY_BE_LEFT = 'an upload it had may still be there: look with aws s3api list-multipart-uploads';

/**
 * Gives a job up: aborts its upload or removes its half-written file, and ends its ledger. A job that is over is left
 * alone, unless an upload could not be aborted then: that is tried again, and the job stays what it came to. A ledger
 * that came from elsewhere can be cancelled too. Throws `no-such-job`, `job-busy`, `ledger-too-new`.
 */
export async function cancelJob(tools: Tools, id: string, warn: Warn = () => {}): Promise<Cancelled> {
  try {
    return await abandon(tools, id, warn);
  } catch (error) {
    if (SealiftError.from(error).code !== 'ledger-corrupt') throw error;
    Ledger.remove(tools.stateDir, id);
    return 'forgotten';
  }
}

async function abandon(tools: Tools, id: string, warn: Warn): Promise<Cancelled> {
  using ledger = Ledger.open(tools.stateDir, id, { evenIfMoved: true });
  const { command, state, target } = ledger.job;
  if (command === 'migrate') return await abandonAll(tools, ledger, warn);
  const giving = { ledger, place: () => tools.place(target), warn };
  if (state !== 'running') {
    if (ledger.lostAttempts().length === 0) return 'over';
    return (await freeLostUploads(giving)) ? 'cancelled' : 'left';
  }
  const isFreed = command === 'get' || (await giveUpAttempt(giving));
  const download = command === 'get' ? ledger.download() : undefined;
  if (download) await removeTemporary(download);
  ledger.finish('cancelled');
  return isFreed ? 'cancelled' : 'left';
}

/** Gives a migration up: its large objects that are on their way, which are jobs of their own, and then itself. */
async function abandonAll(tools: Tools, ledger: Ledger, warn: Warn): Promise<Cancelled> {
  const { id, state } = ledger.job;
  const { objects: stateDir } = jobFiles(tools.stateDir, id);
  const within = existsSync(stateDir) ? Ledger.list(stateDir) : [];
  let isFreed = true;
  for (const job of within) {
    const outcome = await cancelJob({ ...tools, stateDir }, job.id, warn);
    if (outcome === 'left') isFreed = false;
    else if (outcome !== 'forgotten') Ledger.remove(stateDir, job.id);
  }
  if (state !== 'running' && within.length === 0) return 'over';
  if (state === 'running') ledger.finish('cancelled');
  return isFreed ? 'cancelled' : 'left';
}

/**
 * For `--fresh`: whatever there is of the job is given up; nothing being there is fine. A ledger that cannot be read is
 * removed, and `warn` told so: an upload it had cannot be found by it any more. Throws `target-changed` where the ledger
 * alone has the instruction file that an older object opens with: no other job may take its place before that is put back.
 */
export async function forgetJob(tools: Tools, id: string, warn: Warn = () => {}): Promise<void> {
  try {
    const outcome = await cancelJob(tools, id, warn);
    if (outcome === 'forgotten') warn(`The old ledger was damaged; ${MAY_BE_LEFT}`);
    if (outcome === 'left') refuseKeptFile(tools, id);
  } catch (error) {
    const { code } = SealiftError.from(error);
    if (code === 'no-such-job') return;
    if (code !== 'ledger-too-new') throw error;
    Ledger.remove(tools.stateDir, id);
    warn(`The old ledger was of a newer Sealift; ${MAY_BE_LEFT}`);
  }
}

function refuseKeptFile({ stateDir }: Tools, id: string): void {
  using ledger = Ledger.open(stateDir, id, { evenIfMoved: true });
  if (!ledger.lostAttempts().some(({ oldInstructions }) => oldInstructions)) return;
  const { target } = ledger.job;
  throw new SealiftError('target-changed', `Job ${id} keeps the older instruction file of ${target}`, {
    hint: `It could not be put back, and another job would have it forgotten. When the store lets us, \`sealift cancel ${id}\` puts it back; then run the same command again.`,
  });
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
