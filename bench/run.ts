/**
 * The benchmarks: `npm run bench`, in three layers. `micro` is functions in memory; `pipeline` is a file read, sealed and
 * checksummed by the threads that do it in earnest, sent nowhere; all others are whole processes against a sandbox in
 * another process over HTTPS. Other programs run beside ours, on the same file and against the same server, where they
 * are there: `bench/peers` brings them.
 *
 *   npm run bench                                    all that is not left out below, some twenty minutes
 *   npm run bench -- --only 'put/|get/' --rounds 9   of the names that match
 *   npm run bench -- --only growth/                  what is left out unless it is named: growth, memory, old
 *   npm run bench -- --size 4GiB --objects 2000      how much goes through each
 *   npm run bench -- --compare old.json              what got worse beyond the noise since that run; then the status is 1
 *   npm run bench -- --show now.json                 prints what --json FILE or the cache has kept, and measures nothing
 *
 * How to read it: CPU seconds first, which a busy machine disturbs least; medians of rounds in which all cases of a group
 * took turns; the quartiles beside them; with each group the share of the machine that others had. bench/bounds.ts holds
 * what is promised, of sizes from 1 GiB on; bench/RESULTS.md what was measured.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MiB, parseSize } from '../src/units.ts';
import { judge } from './bounds.ts';
import { GROUPS } from './groups.ts';
import { changesBetween } from './harness/compare.ts';
import { thisCommit, thisMachine } from './harness/machine.ts';
import { measureGroups } from './harness/measure-groups.ts';
import { changesText, groupText, headText, verdictsText } from './harness/print.ts';
import { casesOf, differencesBetween, type Record, readRecord, writeRecord } from './harness/record.ts';

const cache = join(import.meta.dirname, '../node_modules/.cache');

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    size: { type: 'string', default: '1GiB' },
    objects: { type: 'string', default: '10000' },
    json: { type: 'string' },
    compare: { type: 'string' },
    show: { type: 'string' },
    peers: { type: 'string', default: join(cache, 'peers') },
  },
});

/** So that two threads have whole parts of 8 MiB, and the same number of them. */
const SIZE_STEP = 16 * MiB;

const before = options.compare === undefined ? undefined : readRecord(options.compare);
const now = options.show === undefined ? await measured() : shown(options.show);
const verdicts = judge(casesOf(now));
if (verdicts.length > 0) console.log(`\n${verdictsText(verdicts)}`);
if (before) {
  const changes = changesBetween(casesOf(before), casesOf(now));
  console.log(`\n${changesText(before, differencesBetween(before, now), changes)}`);
  if (changes.some(({ isWorse }) => isWorse)) process.exitCode = 1;
}

async function measured(): Promise<Record> {
  const record: Record = {
    machine: thisMachine(),
    commit: thisCommit(),
    date: new Date().toISOString(),
    size: wholeOf('--size', parseSize(options.size, '--size'), SIZE_STEP),
    objectCount: wholeOf('--objects', Number(options.objects)),
    rounds: wholeOf('--rounds', Number(options.rounds)),
    groups: [],
  };
  const json = resolve(options.json ?? join(cache, 'bench', `${record.date.replaceAll(':', '-')}.json`));
  console.log(headText(record));
  const { only } = options;
  for await (const group of measureGroups(GROUPS, { ...record, only, peers: resolve(options.peers) })) {
    record.groups.push(group);
    console.log(`\n${groupText(group)}`);
    // Each time: whatever becomes of the rest.
    writeRecord(json, record);
  }
  if (record.groups.length === 0) throw new RangeError(`No name matches ${options.only}`);
  process.stderr.write(`Every sample is in ${json}\n`);
  return record;
}

function shown(path: string): Record {
  const record = readRecord(path);
  console.log(headText(record));
  for (const group of record.groups) console.log(`\n${groupText(group)}`);
  return record;
}

/** Throws RangeError unless the value is a whole number of steps, and at least one. */
function wholeOf(name: string, value: number, step = 1): number {
  if (value >= step && value % step === 0) return value;
  throw new RangeError(`${name}: expected a multiple of ${step}, got ${value}`);
}
