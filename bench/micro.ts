/** Functions in memory, on one thread: what sizes cost, and what stands around the bytes. */
import type { Group, Setting } from './harness/case.ts';
import { frameCases } from './micro/frames.ts';
import { ledgerCases } from './micro/ledger.ts';
import { limiterCases } from './micro/limiter.ts';
import { wholeCases } from './micro/whole.ts';

export function microGroup(setting: Setting): Group {
  return {
    name: 'micro',
    about: 'In memory, one thread; the ledger on the disk of the temporary folder',
    cases: [...frameCases(), ...wholeCases(), ...ledgerCases(setting), ...limiterCases()],
  };
}
