/** What is printed: the machine, a table a group, whether what is promised holds, and what changed since another run. */
import { formatSize } from '../../src/units.ts';
import type { Verdict } from '../bounds.ts';
import { FIGURES, type Figure, type Group, type Measured } from './case.ts';
import { type Change, valuesOf } from './compare.ts';
import type { Noise } from './machine.ts';
import type { Record } from './record.ts';
import { type Summary, summaryOf } from './statistics.ts';

export function headOf({ machine, commit, date, size, objectCount, rounds }: Record): string {
  const { cpu, cores, memoryBytes, system, node, openssl } = machine;
  return [
    `${cpu}, ${cores} cores, ${formatSize(memoryBytes)}, ${system}, Node ${node}, OpenSSL ${openssl}`,
    `commit ${commit}, ${date}, n = ${rounds} rounds, ${formatSize(size)}, ${objectCount} small objects`,
    'Medians, and in brackets the quartiles.',
  ].join('\n');
}

/** A group's cases, one a line, and a column for each figure that any of them has. */
export function tableOf({ name, about }: Group, cases: readonly Measured[], noise: Noise): string {
  const figures = (Object.keys(FIGURES) as Figure[]).filter((figure) =>
    cases.some(({ samples }) => valuesOf(samples, figure).length > 0),
  );
  const there = cases.filter(({ samples }) => samples.length > 0);
  const rows = there.map(({ name, samples }) => [name, ...figures.map((figure) => cellOf(valuesOf(samples, figure)))]);
  const absent = cases.filter((one) => !there.includes(one)).map((one) => `${one.name}: not on this machine`);
  const steal = noise.stealShare === null ? 'unknown' : `${(noise.stealShare * 100).toFixed(1)} %`;
  return [
    `${name}: ${about}`,
    ...aligned([['', ...figures.map((figure) => FIGURES[figure].title)], ...rows]),
    ...absent,
    `steal ${steal}, load ${noise.load.toFixed(1)}`,
  ].join('\n');
}

function cellOf(values: readonly number[]): string {
  return values.length === 0 ? '' : summaryText(summaryOf(values));
}

export function summaryText({ count, median, lowerQuartile, upperQuartile }: Summary): string {
  if (count === 1) return numberText(median);
  return `${numberText(median)} [${numberText(lowerQuartile)} ${numberText(upperQuartile)}]`;
}

/** Three digits that count, and no more zeros than are true. */
function numberText(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Number.isInteger(value) ? 0 : Math.min(digits, 4));
}

/** Rows of as many cells each, one below the other. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

export function verdictsText(verdicts: readonly Verdict[]): string {
  return verdicts
    .map(({ says, limit, value, holds }) => `${holds ? 'holds ' : 'BROKEN'}  ${says}: ${summaryText(value)}, ${limit}`)
    .join('\n');
}

export function changesText(changes: readonly Change[]): string {
  if (changes.length === 0) return 'Nothing changed beyond the noise.';
  return changes
    .map(({ name, figure, before, now, isWorse }) => {
      const percent = ((now.median / before.median - 1) * 100).toFixed(0);
      const what = `${name}, ${FIGURES[figure].title}: ${summaryText(before)} before, ${summaryText(now)} now (${percent} %)`;
      return `${isWorse ? 'WORSE ' : 'better'}  ${what}`;
    })
    .join('\n');
}
