/**
 * The benchmarks: `npm run bench`, in three layers. `micro` is functions in memory; `pipeline` is a file read, sealed and
 * checksummed by the threads that do it in earnest, sent nowhere; all others are whole processes against a sandbox in
 * another process over HTTPS. Other programs run beside ours, on the same file and against the same server, where they
 * are there: `bench/peers` brings them.
 *
 *   npm run bench                                    all that is not left out below, some ten minutes
 *   npm run bench -- --only 'put/|get/' --rounds 9   of the names that match
 *   npm run bench -- --only growth/                  what is left out unless it is named: growth, memory, old
 *   npm run bench -- --size 4GiB --objects 10000     how much goes through each
 *   npm run bench -- --json now.json --compare old.json     what got worse beyond the noise; then the status is 1
 *
 * How to read it: CPU seconds first, which a busy machine disturbs least; medians of rounds in which all cases of a group
 * took turns; the quartiles beside them; below each group the share of the machine that others had. bench/bounds.ts holds
 * what is promised, bench/RESULTS.md what was measured.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MiB, parseSize } from '../src/units.ts';
import { judge } from './bounds.ts';
import { GROUPS } from './groups.ts';
import type { Group, Setting } from './harness/case.ts';
import { changesBetween } from './harness/compare.ts';
import { listen, thisCommit, thisMachine } from './harness/machine.ts';
import { changesText, headOf, tableOf, verdictsText } from './harness/print.ts';
import { differencesBetween, type Record, readRecord, writeRecord } from './harness/record.ts';
import { runRounds } from './harness/rounds.ts';

const root = join(import.meta.dirname, '..');
const cache = join(root, 'node_modules/.cache');

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    size: { type: 'string', default: '1GiB' },
    objects: { type: 'string', default: '10000' },
    json: { type: 'string' },
    compare: { type: 'string' },
    peers: { type: 'string', default: join(cache, 'peers') },
  },
});

/** So that two threads have whole parts of 8 MiB, and the same number of them. */
const SIZE_STEP = 16 * MiB;

/** Throws RangeError unless the value is a whole number of steps, and at least one. */
function wholeOf(name: string, value: number, step = 1): number {
  if (value >= step && value % step === 0) return value;
  throw new RangeError(`${name}: expected a multiple of ${step}, got ${value}`);
}

const only = options.only === undefined ? undefined : new RegExp(options.only);

function isWanted({ isSeldom = false }: Group, name: string): boolean {
  return only ? only.test(name) : !isSeldom;
}

async function measureGroup(group: Group, record: Record): Promise<void> {
  const noise = listen();
  const onRun = (what: string) => process.stderr.write(`${what}\n`);
  const measured = await runRounds(group, (name) => isWanted(group, name), { count: record.rounds, onRun });
  if (measured.length === 0) return;
  record.noise[group.name] = noise();
  record.cases.push(...measured);
  console.log(`\n${tableOf(group, measured, record.noise[group.name]!)}`);
}

function compare(before: Record, now: Record): void {
  console.log(`\nSince ${before.commit}, ${before.date}:`);
  for (const difference of differencesBetween(before, now)) console.log(`Compare with care: ${difference}`);
  const changes = changesBetween(before.cases, now.cases);
  console.log(changesText(changes));
  if (changes.some(({ isWorse }) => isWorse)) process.exitCode = 1;
}

const record: Record = {
  machine: thisMachine(),
  commit: thisCommit(),
  date: new Date().toISOString(),
  size: wholeOf('--size', parseSize(options.size, '--size'), SIZE_STEP),
  objectCount: wholeOf('--objects', Number(options.objects)),
  rounds: wholeOf('--rounds', Number(options.rounds)),
  noise: {},
  cases: [],
};
const before = options.compare === undefined ? undefined : readRecord(options.compare);
const json = resolve(options.json ?? join(cache, 'bench', `${record.date.replaceAll(':', '-')}.json`));
const folder = mkdtempSync(join(tmpdir(), 'sealift-bench-'));
const setting: Setting = { ...record, folder, peers: resolve(options.peers) };

console.log(headOf(record));
try {
  for (const groupOf of GROUPS) {
    const group = groupOf(setting);
    try {
      await measureGroup(group, record);
    } finally {
      await group.close?.();
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
if (record.cases.length === 0) throw new Error(`No name matches ${options.only}`);
console.log(`\n${verdictsText(judge(record.cases))}`);
writeRecord(json, record);
console.log(`\nEvery sample is in ${json}`);
if (before) compare(before, record);
