/**
 * Which objects a migration takes, by name, size and time. The rules for names are rclone's: they are tried in order, the
 * first that means the name decides, and what none means is taken. The name alone decides: that a folder which can hold
 * nothing wanted is not walked changes nothing of what is taken.
 */
import { SealiftError } from '../errors.ts';
import { type Glob, parseGlob } from './glob.ts';
import type { SourceObject } from './source.ts';

/** Plain JSON, so that a job takes the same objects whenever it goes on. */
export interface FilterRequest {
  /** Patterns: only what one of them means. Together with `exclude` or `rules` the order would be nobody's choice. */
  include?: readonly string[] | undefined;
  /** Patterns: all but what one of them means. */
  exclude?: readonly string[] | undefined;
  /** Lines of a file of rules: `+ PATTERN`, `- PATTERN`, `!` to forget those before, `#` or `;` for a comment. */
  rules?: readonly string[] | undefined;
  /** Bytes, both included. */
  minSize?: number | undefined;
  maxSize?: number | undefined;
  /** Milliseconds since it was last written, both included. */
  minAgeMs?: number | undefined;
  maxAgeMs?: number | undefined;
}

interface Rule extends Glob {
  takes: boolean;
}

export class Filter {
  readonly #rules: readonly Rule[];
  readonly #request: FilterRequest;
  readonly #nowMs: number;
  readonly #leftOut: string | undefined;

  /**
   * Ages are those at `nowMs`. Whatever the rules say, nothing in the folder `leftOut` is taken, which is named with a slash at
   * its end. Throws `bad-option`.
   */
  constructor(request: FilterRequest = {}, nowMs = Date.now(), leftOut?: string) {
    this.#request = request;
    this.#nowMs = nowMs;
    this.#leftOut = leftOut;
    this.#rules = rulesOf(request);
  }

  /** Whether times decide, so that a source must know them. */
  get needsTimes(): boolean {
    return this.#request.minAgeMs !== undefined || this.#request.maxAgeMs !== undefined;
  }

  takesName(name: string): boolean {
    if (this.#isLeftOut(name)) return false;
    return this.#rules.find((rule) => rule.matches(name))?.takes ?? true;
  }

  /** By size and time, of which nothing is known where an object is refused: that is told in any case. */
  takes({ size, mtimeNs, lastModified, refusal }: Omit<SourceObject, 'name'>): boolean {
    const { minSize = 0, maxSize = Infinity, minAgeMs = -Infinity, maxAgeMs = Infinity } = this.#request;
    if (refusal) return true;
    if (size < minSize || size > maxSize) return false;
    const writtenMs = mtimeNs === undefined ? lastModified?.getTime() : Number(BigInt(mtimeNs) / 1_000_000n);
    if (writtenMs === undefined) return !this.needsTimes;
    const ageMs = this.#nowMs - writtenMs;
    return ageMs >= minAgeMs && ageMs <= maxAgeMs;
  }

  /** Whether anything in a folder may be taken. It is named with a slash at its end. */
  enters(folder: string): boolean {
    if (this.#isLeftOut(folder)) return false;
    const decisive = this.#rules.find((rule) => (rule.takes ? rule.reaches(folder) : rule.covers(folder)));
    return decisive?.takes ?? true;
  }

  #isLeftOut(name: string): boolean {
    return this.#leftOut !== undefined && name.startsWith(this.#leftOut);
  }
}

/** Before there is a job that goes by it. Throws `bad-option`. */
export function checkFilter(request: FilterRequest = {}): void {
  rulesOf(request);
}

function rulesOf({ include = [], exclude = [], rules = [] }: FilterRequest): Rule[] {
  if ([include, exclude, rules].filter(({ length }) => length > 0).length > 1) {
    throw new SealiftError('bad-option', 'Of include, exclude and a file of rules only one kind can be given', {
      hint: 'Put all of them into one --filter-from file, "+ PATTERN" and "- PATTERN", in the order they are to be tried.',
    });
  }
  const folder = include.find((pattern) => pattern.endsWith('/'));
  if (folder !== undefined) {
    throw new SealiftError('bad-option', `--include ${folder} names a folder, and only objects are taken`, {
      hint: `Write --include '${folder}**' for all that is in it.`,
    });
  }
  if (include.length > 0) return [...include.map((pattern) => ruleOf(pattern, true)), ruleOf('**', false)];
  if (exclude.length > 0) return exclude.map((pattern) => ruleOf(pattern, false));
  return readRules(rules);
}

function readRules(lines: readonly string[]): Rule[] {
  let rules: Rule[] = [];
  for (const [index, line] of lines.entries()) {
    const text = line.trim();
    if (text === '' || /^[#;]/.test(text)) continue;
    const [, sign, pattern] = /^([+-]) (.+)$/s.exec(text) ?? [];
    if (text === '!') rules = [];
    else if (pattern !== undefined) rules.push(ruleOf(pattern, sign === '+'));
    else {
      throw new SealiftError('bad-option', `Line ${index + 1} of the rules is none: ${JSON.stringify(text)}`, {
        hint: 'A rule is "+ PATTERN" to take or "- PATTERN" to leave out. "!" alone forgets those before; "#" begins a comment.',
      });
    }
  }
  return rules;
}

/** To leave out a folder is to leave out all that is in it. */
function ruleOf(pattern: string, takes: boolean): Rule {
  return { takes, ...parseGlob(pattern.endsWith('/') && !takes ? `${pattern}**` : pattern) };
}
