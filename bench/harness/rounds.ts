/**
 * Cases run in turn, round after round, so that whatever else the machine does meets all of them alike, and every second
 * round backwards, so that none always runs behind the same other one. One run alone proves nothing.
 */
import type { Case, Group, Measured, Sample } from './case.ts';

export interface RoundsOptions {
  count: number;
  /** Is told what runs now. */
  onRun?: (what: string) => void;
}

/** Runs the cases of a group that `isWanted`. Rejects where one fails. */
export async function runRounds(
  { name: group, cases, warmUp }: Group,
  isWanted: (name: string) => boolean,
  { count, onRun = () => {} }: RoundsOptions,
): Promise<Measured[]> {
  const nameOf = ({ name }: Case) => `${group}/${name}`;
  const wanted = cases.filter((one) => isWanted(nameOf(one)));
  const samples = new Map<Case, Sample[]>(wanted.map((one) => [one, []]));
  const there = wanted.filter(({ isThere }) => isThere?.() ?? true);
  for (const one of there) {
    onRun(`${nameOf(one)}, to begin with`);
    await one.prepare?.();
    if (warmUp) await one.run(0);
  }
  for (let round = 1; round <= count; round++) {
    for (const one of round % 2 === 1 ? there : there.toReversed()) {
      onRun(`${nameOf(one)}, round ${round} of ${count}`);
      samples.get(one)!.push(await one.run(round));
    }
  }
  return wanted.map((one) => ({ name: nameOf(one), samples: samples.get(one)! }));
}
