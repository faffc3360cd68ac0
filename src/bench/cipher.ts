/** How fast this machine's processor seals and sums up, and what further threads add to that: no disk, no network. */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Chore, ChoreCall } from './cipher-thread.ts';

/** Bytes a second of so many threads that do nothing else for `ms`, each on parts of 8 MiB. */
export async function timeChore(chore: Chore, { threads, ms }: { threads: number; ms: number }): Promise<number> {
  const workerData: ChoreCall = { chore, ms };
  const workers = Array.from({ length: threads }, () => new Worker(threadUrl(), { workerData }));
  try {
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const rates = workers.map(async (worker): Promise<number> => (await once(worker, 'message'))[0]);
    for (const worker of workers) worker.postMessage('go');
    return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** TypeScript in a checkout, JavaScript in the package. */
function threadUrl(): URL {
  return new URL(`./cipher-thread${extname(import.meta.filename)}`, import.meta.url);
}
