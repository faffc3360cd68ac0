/** What the machine has left to give, whoever uses the rest of it. */
import { cpus } from 'node:os';

/** Makes a meter of the machine's processors: what it returns is the share of their time that nobody used since it was last asked. */
export function idleMeter(): () => number {
  let before = timesNow();
  return () => {
    const now = timesNow();
    const passed = now.all - before.all;
    const share = passed > 0 ? (now.idle - before.idle) / passed : 1;
    before = now;
    return share;
  };
}

/** Milliseconds of all processors together. */
function timesNow(): { all: number; idle: number } {
  const times = cpus().flatMap(({ times }) => Object.entries(times));
  const sum = (entries: typeof times) => entries.reduce((total, [, ms]) => total + ms, 0);
  return { all: sum(times), idle: sum(times.filter(([name]) => name === 'idle')) };
}
