/** A pause before objects that have failed are tried again, of a random length: whoever failed them gets a moment of rest. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MigrateRun } from '../migrate.ts';

/** Doubled with every attempt. */
const LONGEST_MS = 250;

/** Resolves at once where nothing is to be tried again. */
export async function restBefore(
  { ledger, pause }: Pick<MigrateRun, 'ledger' | 'pause'>,
  wanted: { isLarge: boolean; attempts: number },
): Promise<void> {
  if (wanted.attempts === 0 || ledger.pending({ ...wanted, limit: 1 }).length === 0) return;
  const ms = Math.random() * LONGEST_MS * 2 ** wanted.attempts;
  // Whoever pauses the job does not wait for it.
  await sleep(ms, undefined, { signal: pause.signal }).catch(() => undefined);
}
