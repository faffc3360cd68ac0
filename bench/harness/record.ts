/** A run of the benchmarks as it is kept: every sample, and what they were taken on. JSON, for `--show` and `--compare`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Measured } from './case.ts';
import type { Machine, Noise } from './machine.ts';

export interface Record {
  machine: Machine;
  commit: string;
  /** When it began, ISO 8601. */
  date: string;
  size: number;
  objectCount: number;
  rounds: number;
  groups: MeasuredGroup[];
}

export interface MeasuredGroup {
  name: string;
  about: string;
  /** While its cases ran. */
  noise: Noise;
  cases: Measured[];
}

export function writeRecord(path: string, record: Record): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(record, undefined, 1)}\n`);
}

export function readRecord(path: string): Record {
  return JSON.parse(readFileSync(path, 'utf8')) as Record;
}

export function casesOf({ groups }: Record): Measured[] {
  return groups.flatMap(({ cases }) => cases);
}

/** What has to be alike, so that two records can be compared at all: the differences, in words. */
export function differencesBetween(before: Record, now: Record): string[] {
  const facts = ({ machine, size, objectCount }: Record) => ({ ...machine, size, objectCount });
  const [old, fresh] = [facts(before), facts(now)];
  return (Object.keys(fresh) as (keyof typeof fresh)[])
    .filter((fact) => old[fact] !== fresh[fact])
    .map((fact) => `${fact} was ${old[fact]}, is ${fresh[fact]}`);
}
