/**
 * How a job that failed is left: to be gone on with, over, or gone without a trace where nothing was begun. The error
 * decides, whatever the user did meanwhile: a damaged object stays one when somebody presses Ctrl-C over it.
 */
import { type ErrorCode, SealiftError } from './errors.ts';
import type { Ledger } from './ledger/ledger.ts';

export interface Leaving {
  ledger: Ledger;
  /** Whether there is anything to go on with. */
  isBegun: boolean;
  /** Codes after which it can never be gone on with. */
  finalCodes: ReadonlySet<ErrorCode>;
  /** Removes what was begun. */
  drop: () => Promise<void>;
  /** What an interruption means to the user. */
  interrupted: SealiftError;
}

/** Resolves to the error that the job is to end with. */
export async function leaveJob(thrown: unknown, leaving: Leaving): Promise<SealiftError> {
  const { ledger, isBegun, finalCodes, drop, interrupted } = leaving;
  const error = SealiftError.from(thrown);
  if (!isBegun) {
    ledger.discard();
    return error;
  }
  if (finalCodes.has(error.code)) {
    await drop();
    ledger.finish('failed');
  }
  return error.code === 'interrupted' ? interrupted : error;
}
