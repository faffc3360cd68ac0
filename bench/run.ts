/**
 * The benchmarks: `npm run bench`, in three layers. `micro` is functions in memory; `pipeline` is a file read, sealed and
 * checksummed by the threads that do it in earnest, sent nowhere; all others are whole processes against a sandbox in
 * another process over HTTPS. Other programs run beside ours, on the same file and against the same server, where they
 * are there: `bench/peers` brings them.
 *
 *   npm run bench -- --help      tells its options; without any it measures nearly all, in some twenty minutes
 *
 * How to read it: CPU seconds first, which a busy machine disturbs least; medians of rounds in which all cases of a group
 * took turns; the quartiles beside them; with each group the share of the machine that others had. bench/bounds.ts holds
 * what is promised, of sizes from 1 GiB on; bench/RESULTS.md what was measured.
 */
import { join } from 'node:path';
import { EXIT, SealiftError } from '../src/errors.ts';
import { judge } from './bounds.ts';
import { GROUPS, isNamed } from './groups.ts';
import { changesBetween } from './harness/compare.ts';
import { thisCommit, thisMachine } from './harness/machine.ts';
import { measureGroups } from './harness/measure-groups.ts';
import { CACHE, HELP, type Options, readOptions } from './harness/options.ts';
import { changesText, groupText, headText, verdictsText } from './harness/print.ts';
import { casesOf, differencesBetween, type Record, writeRecord } from './harness/record.ts';

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else await run(options);
} catch (error) {
  if (!(error instanceof SealiftError) || error.exit !== EXIT.usage) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = EXIT.usage;
}

async function run(options: Options): Promise<void> {
  const { compare: before, show } = options;
  const now = show ? shown(show) : await measured(options);
  const verdicts = judge(casesOf(now));
  if (verdicts.length > 0) console.log(`\n${verdictsText(verdicts, now)}`);
  if (!before) return;
  const changes = changesBetween(casesOf(before), casesOf(now));
  console.log(`\n${changesText(before, differencesBetween(before, now), changes)}`);
  if (changes.some(({ isWorse }) => isWorse)) process.exitCode = 1;
}

/** Throws `bad-option`, before anything, where no case has a name that is wanted. */
async function measured({ only, json, peers, size, objectCount, rounds }: Options): Promise<Record> {
  if (only && !isNamed(only)) throw new SealiftError('bad-option', `--only: no name matches ${only.source}`);
  const date = new Date().toISOString();
  const record: Record = {
    machine: thisMachine(),
    commit: thisCommit(),
    date,
    size,
    objectCount,
    rounds,
    groups: [],
  };
  const file = json ?? join(CACHE, 'bench', `${date.replaceAll(':', '-')}.json`);
  console.log(headText(record));
  for await (const group of measureGroups(GROUPS, { size, objectCount, rounds, only, peers })) {
    record.groups.push(group);
    console.log(`\n${groupText(group)}`);
    // Each time: whatever becomes of the rest.
    writeRecord(file, record);
  }
  process.stderr.write(`Every sample is in ${file}\n`);
  return record;
}

function shown(record: Record): Record {
  console.log(headText(record));
  for (const group of record.groups) console.log(`\n${groupText(group)}`);
  return record;
}
