/** A run of the benchmarks as it is kept: every sample, and what they were taken on. JSON, for `--show` and `--compare`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SealiftError } from '../../src/errors.ts';
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

/** Throws `bad-option` where there is none. */
export function readRecord(path: string): Record {
  const value = parsed(textOf(path));
  if (!isRecord(value)) throw new SealiftError('bad-option', `${path} is not what a run of the benchmarks keeps`);
  return value;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SealiftError('bad-option', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Undefined where it is not JSON. What JSON.parse says of that has lines of the file in it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Fields = { readonly [name: string]: unknown };

const RECORD = { commit: 'string', date: 'string', size: 'number', objectCount: 'number', rounds: 'number' };
const MACHINE = {
  cpu: 'string',
  cores: 'number',
  memoryBytes: 'number',
  system: 'string',
  node: 'string',
  openssl: 'string',
};

function isRecord(value: unknown): value is Record {
  return has(value, RECORD) && has(value.machine, MACHINE) && isListOf(value.groups, isGroup);
}

function isGroup(value: unknown): boolean {
  if (!has(value, { name: 'string', about: 'string' }) || !has(value.noise, { load: 'number' })) return false;
  const { stealShare } = value.noise;
  return (stealShare === null || typeof stealShare === 'number') && isListOf(value.cases, isCase);
}

function isCase(value: unknown): boolean {
  return has(value, { name: 'string' }) && isListOf(value.samples, isSample);
}

function isSample(value: unknown): boolean {
  return has(value, {}) && Object.values(value).every((figure) => typeof figure === 'number');
}

/** Whether it is an object whose fields have these types. */
function has(value: unknown, types: { readonly [name: string]: string }): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(types).every(([name, type]) => typeof (value as Fields)[name] === type);
}

function isListOf(value: unknown, isOne: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne);
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
