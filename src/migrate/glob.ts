/**
 * A pattern for names as rclone writes them, turned into regular expressions: which names it means, which folders can hold
 * one of them, and which it means all of.
 *
 *   *   ?   [a-z]     anything but a slash: many, one, one of these
 *   **                anything, slashes too
 *   {a,b}  {{regexp}} one of these; what JavaScript's regular expression means
 *   \c                c itself, or a class of characters: \d \s \w \D \S \W
 *
 * With a slash in front the pattern begins where the source does, else at any part of the name. A folder is a name that
 * ends in a slash.
 */
import { SealiftError } from '../errors.ts';

export interface Glob {
  matches(name: string): boolean;
  /** Whether the folder can hold what it means. Never false where it does hold it. */
  reaches(folder: string): boolean;
  /** Whether it means all that is in the folder, at any depth. Never true where it does not. */
  covers(folder: string): boolean;
}

/** A piece of a pattern as a regular expression, and what of a name it can be. */
interface Piece {
  source: string;
  kind: 'within a part' | 'slash' | 'across parts';
}

const ANYTHING = '[\\s\\S]*';

/** Throws `bad-option`. */
export function parseGlob(pattern: string): Glob {
  const isAnchored = pattern.startsWith('/');
  const reader = { pattern, rest: isAnchored ? pattern.slice(1) : pattern };
  const pieces = readPieces(reader, { isInBraces: false });
  const start = isAnchored ? '^' : '(?:^|/)';
  // A star that stands alone means the last part of a name, which every name has.
  const isEverything = pattern === '*';
  const source = isEverything ? ANYTHING : pieces.map(({ source }) => source).join('');
  const names = compile(pattern, `${start}${source}$`);
  const holders = isAnchored ? compile(pattern, holdersOf(pieces)) : undefined;
  const isOpenEnded = isEverything || pieces.at(-1)?.source === ANYTHING;
  return {
    matches: (name) => names.test(name),
    reaches: (folder) => holders?.test(folder) ?? true,
    covers: (folder) => isOpenEnded && names.test(folder),
  };
}

/** The folders on the way to what an anchored pattern means: as far as its slashes tell, and all behind that. */
function holdersOf(pieces: readonly Piece[]): string {
  const folders: string[] = [];
  let before = '';
  for (const { source, kind } of pieces) {
    if (kind === 'slash') folders.push(`${before}/`);
    if (kind === 'across parts') {
      folders.push(`${before}${ANYTHING}/`);
      break;
    }
    before += source;
  }
  return `^(?:${folders.join('|') || '(?!)'})$`;
}

interface Reader {
  readonly pattern: string;
  rest: string;
}

const TOKEN =
  /^(?:(?<stars>\*+)|(?<regexp>\{\{.*?\}\}(?!\}))|\\(?<escaped>.)|\[(?<members>(?:\\.|\[:\w+:\]|[^\]\\])+)\]|(?<letter>.))/su;

/** Takes pieces off the reader, up to its end, or in braces to the comma or brace that ends them. */
function readPieces(reader: Reader, { isInBraces }: { isInBraces: boolean }): Piece[] {
  const pieces: Piece[] = [];
  while (reader.rest !== '' && !(isInBraces && /^[,}]/.test(reader.rest))) {
    const { 0: token, groups = {} } = TOKEN.exec(reader.rest)!;
    reader.rest = reader.rest.slice(token.length);
    pieces.push(token === '{' ? readBraces(reader) : readToken(reader.pattern, groups));
  }
  return pieces;
}

function readBraces(reader: Reader): Piece {
  const choices: Piece[][] = [];
  let end: string;
  do {
    choices.push(readPieces(reader, { isInBraces: true }));
    end = reader.rest.slice(0, 1);
    reader.rest = reader.rest.slice(1);
  } while (end === ',');
  if (end === '') throw badGlob(reader.pattern, 'a { is not closed');
  const isWithin = choices.flat().every(({ kind }) => kind === 'within a part');
  const sources = choices.map((pieces) => pieces.map(({ source }) => source).join(''));
  return { source: `(?:${sources.join('|')})`, kind: isWithin ? 'within a part' : 'across parts' };
}

function readToken(
  pattern: string,
  { stars, regexp, escaped, members, letter }: Record<string, string | undefined>,
): Piece {
  if (stars === '*') return { source: '[^/]*', kind: 'within a part' };
  if (stars === '**') return { source: ANYTHING, kind: 'across parts' };
  if (stars !== undefined) throw badGlob(pattern, 'there are no more than two stars in a row');
  if (regexp !== undefined) return { source: expressionIn(pattern, regexp), kind: 'across parts' };
  if (members !== undefined) return { source: classOf(pattern, members), kind: 'within a part' };
  if (escaped !== undefined && /[dDsSwW]/.test(escaped)) {
    return { source: `(?!/)\\${escaped}`, kind: 'within a part' };
  }
  if (escaped !== undefined && !/[!-/:-@[-`{-~ ]/.test(escaped)) throw badGlob(pattern, `\\${escaped} means nothing`);
  if (letter === '?') return { source: '[^/]', kind: 'within a part' };
  if (letter !== undefined && '[]}'.includes(letter)) throw badGlob(pattern, `a ${letter} has no partner`);
  const itself = escaped ?? letter!;
  return { source: itself.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&'), kind: itself === '/' ? 'slash' : 'within a part' };
}

/** `{{(?i)jpe?g}}` with Go's flags at the beginning, which JavaScript writes another way. */
function expressionIn(pattern: string, token: string): string {
  const [, flags, rest] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(token.slice(2, -2))!;
  const source = `(?${flags ?? ''}:${rest})`;
  // By itself first: it must not close a bracket that is not its own.
  compile(pattern, rest!);
  return source;
}

/** Those of POSIX, in ASCII as in Go. */
const NAMED_CLASSES: Record<string, string> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

/** What stands in brackets. It never means a slash, whatever it leaves out. */
function classOf(pattern: string, members: string): string {
  if (members.startsWith('!')) {
    throw badGlob(
      pattern,
      "[!…] is another thing in rclone's manual than in rclone: write [^…], or [\\!…] for the sign",
    );
  }
  const source = members.replace(/\[:(\w+):\]|\\(.)|[[/]/gsu, (token, name?: string, escaped?: string) => {
    if (name !== undefined) return NAMED_CLASSES[name] ?? token;
    return escaped !== undefined && /[\w]/.test(escaped) ? token : `\\${escaped ?? token}`;
  });
  return `(?!/)[${source}]`;
}

function compile(pattern: string, source: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch (error) {
    throw badGlob(pattern, `it is no regular expression: ${(error as Error).message}`);
  }
}

function badGlob(pattern: string, why: string): SealiftError {
  return new SealiftError('bad-option', `Not a pattern for names: ${JSON.stringify(pattern)}: ${why}`, {
    hint: 'A backslash before a sign takes its meaning away: \\[ is a bracket.',
  });
}
