/** The flags that choose what a migration takes: rules for names, sizes, ages, a list of names. */
import { createReadStream, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { FilterRequest, NameList } from '../index.ts';
import { list, size } from './flag-values.ts';
import { flag } from './options.ts';
import { standardInput } from './pipe.ts';

export interface ChoiceFlags {
  include?: string[] | undefined;
  exclude?: string[] | undefined;
  /** Its lines: a job keeps the rules, and not where they were. */
  filterFrom?: string[] | undefined;
  minSize?: number | undefined;
  maxSize?: number | undefined;
  /** In milliseconds. */
  minAge?: number | undefined;
  maxAge?: number | undefined;
  /** A path, or `-`. */
  filesFrom0?: string | undefined;
}

export function choiceOptions(command: Command): Command {
  return command
    .optionsGroup('Choice:')
    .addOption(flag('--include <pattern>', 'only what a pattern means, such as "*.jpg"; may be repeated', list))
    .addOption(flag('--exclude <pattern>', 'all but what a pattern means, such as "tmp/**"; may be repeated', list))
    .addOption(
      flag('--filter-from <file>', 'rules, a line each: + PATTERN or - PATTERN; the first that fits counts', rules),
    )
    .addOption(flag('--min-size <size>', 'nothing smaller', size))
    .addOption(flag('--max-size <size>', 'nothing larger', size))
    .addOption(flag('--min-age <age>', 'nothing written more recently, for example 30m, 12h, 7d', age))
    .addOption(flag('--max-age <age>', 'nothing written longer ago', age))
    .addOption(
      flag('--files-from0 <file>', 'these names in SOURCE, a NUL behind each; - for standard input', listFile),
    );
}

export function filterOf(flags: ChoiceFlags): FilterRequest {
  const { include, exclude, filterFrom, minSize, maxSize, minAge, maxAge } = flags;
  return { include, exclude, rules: filterFrom, minSize, maxSize, minAgeMs: minAge, maxAgeMs: maxAge };
}

/** Undefined where there is none. */
export function namesOf({ filesFrom0 }: ChoiceFlags): NameList | undefined {
  if (filesFrom0 === undefined) return undefined;
  return filesFrom0 === '-' ? standardInput : () => createReadStream(filesFrom0);
}

function rules(path: string, name: string, before: string[] = []): string[] {
  return [...before, ...readLines(path, name)];
}

function readLines(path: string, name: string): string[] {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)).split('\n');
  } catch (error) {
    throw new SealiftError('bad-option', `${name}: ${path} cannot be read: ${(error as Error).message}`, {
      hint: 'It must be a file of text in UTF-8, with a rule in each line.',
      cause: error,
    });
  }
}

function listFile(text: string): string {
  return text === '-' ? text : resolve(text);
}

const UNITS: Record<string, number> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 7 * 86_400,
  M: 30 * 86_400,
  y: 365 * 86_400,
};

/** As rclone writes ages, where `m` is a minute and `M` thirty days. */
function age(text: string, name: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([smhdwMy])$/.exec(text) ?? [];
  if (number !== undefined) return Math.round(Number(number) * UNITS[unit]! * 1000);
  throw new SealiftError('bad-option', `${name}: ${JSON.stringify(text)} is no age`, {
    hint: 'Write it with a unit: 30s, 15m, 12h, 7d, 2w, 6M (of 30 days) or 1y.',
  });
}
