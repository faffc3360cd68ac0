/**
 * What is printed, in Markdown, so that it can be read where it stands and be kept where it is kept: the machine, a table
 * a group, whether what is promised holds, and what changed since another run.
 */
import { formatSize } from '../../src/units.ts';
import { LEAST_OBJECT_COUNT, LEAST_SIZE, type Verdict } from '../bounds.ts';
import { FIGURES, type Figure } from './case.ts';
import { type Change, valuesOf } from './compare.ts';
import type { MeasuredGroup, Record } from './record.ts';
import { type Summary, summaryOf } from './statistics.ts';

export function headText({ machine, commit, date, size, objectCount, rounds }: Record): string {
  const { cpu, cores, memoryBytes, system, node, openssl } = machine;
  return [
    `${cpu}, ${cores} cores, ${formatSize(memoryBytes)}, ${system}, Node ${node}, OpenSSL ${openssl}.`,
    `Commit ${commit}, ${date}, n = ${rounds} rounds, ${formatSize(size)}, ${objectCount} small objects.`,
    'Medians, and in brackets the quartiles.',
  ].join('\n');
}

/** A group's cases, one a line, and a column for each figure that any of them has. */
export function groupText({ name, about, noise, cases }: MeasuredGroup): string {
  const figures = (Object.keys(FIGURES) as Figure[]).filter((figure) =>
    cases.some(({ samples }) => valuesOf(samples, figure).length > 0),
  );
  const there = cases.filter(({ samples }) => samples.length > 0);
  const rows = there.map(({ name, samples }) => [name, ...figures.map((figure) => cellOf(valuesOf(samples, figure)))]);
  const absent = cases.filter((one) => !there.includes(one)).map((one) => `Not on this machine: ${one.name}.`);
  const steal = noise.stealShare === null ? 'unknown' : `${(noise.stealShare * 100).toFixed(1)} %`;
  const table = tableText([['', ...figures.map((figure) => FIGURES[figure].title)], ...rows]);
  return [`## ${name}`, '', `${about}. Steal ${steal}, load ${noise.load.toFixed(1)}.`, ...absent, '', table].join(
    '\n',
  );
}

function cellOf(values: readonly number[]): string {
  return values.length === 0 ? '' : summaryText(summaryOf(values));
}

function summaryText({ count, median, lowerQuartile, upperQuartile }: Summary): string {
  if (count === 1) return numberText(median);
  return `${numberText(median)} [${numberText(lowerQuartile)} ${numberText(upperQuartile)}]`;
}

/** Three digits that count, and no more zeros than are true. */
function numberText(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Number.isInteger(value) ? 0 : Math.min(digits, 4));
}

/** Rows of as many cells each, the first of them the head. */
function tableText([head, ...rows]: [string[], ...string[][]]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}

export function verdictsText(verdicts: readonly Verdict[], amounts: Pick<Record, 'size' | 'objectCount'>): string {
  const rows = verdicts.map(({ says, limit, value, holds }) => [
    says,
    limit,
    summaryText(value),
    holds ? 'holds' : 'BROKEN',
  ]);
  return `## What is promised\n\n${tooSmallText(amounts)}${tableText([['', 'limit', 'measured', ''], ...rows])}`;
}

/** Nothing where the run was as large as what is promised. */
function tooSmallText({ size, objectCount }: Pick<Record, 'size' | 'objectCount'>): string {
  if (size >= LEAST_SIZE && objectCount >= LEAST_OBJECT_COUNT) return '';
  return `Promised of ${formatSize(LEAST_SIZE)} and ${LEAST_OBJECT_COUNT} small objects or more; here it was ${formatSize(size)} and ${objectCount}.\n\n`;
}

export function changesText(before: Record, differences: readonly string[], changes: readonly Change[]): string {
  const rows = changes.map(({ name, figure, before, now, isWorse }) => [
    name,
    FIGURES[figure].title,
    summaryText(before),
    summaryText(now),
    isWorse ? 'WORSE' : 'better',
  ]);
  return [
    `## Since commit ${before.commit}, ${before.date}`,
    '',
    ...differences.map((difference) => `Compare with care: ${difference}.`),
    rows.length === 0 ? 'Nothing changed beyond the noise.' : tableText([['', '', 'before', 'now', ''], ...rows]),
  ].join('\n');
}
