/**
 * What a command says, and where. With `--json` machines read JSON lines on standard output; people read standard
 * error. What a person asked to see (`inspect`, `jobs`) goes to standard output where no machine has it.
 */
import { createRequire } from 'node:module';
import type { createLogUpdate } from 'log-update';
import { SealiftError } from '../errors.ts';

export interface OutputFlags {
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
}

/** Where a terminal does not say. */
const DEFAULT_WIDTH = 80;
/** With less room for values than this, they stand below their names. */
const LEAST_VALUE_WIDTH = 24;

export class Output {
  flags: OutputFlags;
  /** The one line at the bottom of a terminal that changes in place. */
  #status: ReturnType<typeof createLogUpdate> | undefined;
  #hasStatus = false;
  /** Why standard output did not take all that was written to it. */
  #lost: NodeJS.ErrnoException | undefined;

  constructor(flags: OutputFlags) {
    this.flags = flags;
    // A job's work matters more than its reader. Where `head` has closed the pipe, or the terminal is gone, the rest
    // goes unread; a full disk is told at the end.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.#lost ??= error;
    });
    process.stderr.on('error', () => {});
  }

  /** Whether there is a line that can change in place. A dumb terminal has no way to. */
  get hasStatusLine(): boolean {
    return process.stderr.isTTY === true && process.env.TERM !== 'dumb' && !this.flags.quiet;
  }

  /** How long that line may be. Where a terminal is full to its last column, some begin another line. */
  get statusWidth(): number {
    return (process.stderr.columns || DEFAULT_WIDTH) - 1;
  }

  /** A line for machines. Nothing without `--json`. */
  json(line: Readonly<Record<string, unknown>>): void {
    if (this.flags.json) process.stdout.write(`${JSON.stringify(line)}\n`);
  }

  /** What was asked for, for people. Nothing with `--json`. What of it is foreign must have been made `visible`. */
  print(text: string): void {
    if (!this.flags.json) process.stdout.write(`${text}\n`);
  }

  /** What happened, for people who want to know. */
  say(text: string): void {
    if (!this.flags.quiet) this.#write(text);
  }

  /** As `say`, but only with `-v`. */
  detail(text: string): void {
    if (this.flags.verbose) this.say(text);
  }

  /** As `say`, but `-q` does not silence it. */
  warn(text: string): void {
    this.#write(`Warning: ${text}`);
  }

  /** Changes the status line. */
  status(text: string): void {
    this.#status ??= openStatus();
    this.#status(text);
    this.#hasStatus = true;
  }

  clearStatus(): void {
    if (this.#hasStatus) this.#status?.clear();
    this.#hasStatus = false;
  }

  /** Resolves once standard output has what was written to it. Throws where it could not take it. */
  async delivered(): Promise<void> {
    await new Promise((resolve) => process.stdout.write('', resolve));
    if (!this.#lost) return;
    const { code, message } = this.#lost;
    throw new SealiftError(code === 'ENOSPC' ? 'disk-full' : 'target-unwritable', `Standard output: ${message}`, {
      hint: 'What was to be done is done; what there is to read about it is not complete.',
      cause: this.#lost,
    });
  }

  /** Reports a failure. `about` names the job where a command runs several. */
  fail(thrown: unknown, about: { job?: string } = {}): SealiftError {
    const error = SealiftError.from(thrown);
    this.json({ type: 'error', ...about, ...error.toJSON() });
    const name = about.job === undefined ? 'sealift' : `sealift: ${about.job}`;
    this.#write(`${name}: ${error.message} (${error.code})`);
    if (error.hint !== '') this.#write(error.hint);
    if (error.requestId !== undefined) this.detail(`AWS request id: ${error.requestId}`);
    if (this.flags.verbose) this.#write(stackOf(error));
    return error;
  }

  #write(text: string): void {
    this.clearStatus();
    process.stderr.write(`${visible(text)}\n`);
  }
}

/** The stack of an error and of what caused it, and so on down. */
function stackOf(error: Error): string {
  const stack = error.stack ?? String(error);
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}

/**
 * Text as it may be shown on a terminal: an object's context or a store's message may hold sequences that move the
 * cursor, set the title, or turn the line around. Line breaks stay.
 */
export function visible(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * Lines of `name  value`, the values under one another and each on one line, whatever is in it. On a terminal too narrow
 * for that each stands below its name. A value is never cut or broken: it is there to be copied.
 */
export function columns(
  rows: readonly (readonly [name: string, value: string])[],
  width = process.stdout.columns || Number.POSITIVE_INFINITY,
): string {
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const isNarrow = width < nameWidth + 2 + LEAST_VALUE_WIDTH;
  const between = (name: string) => (isNarrow ? '\n  ' : ' '.repeat(nameWidth - name.length + 2));
  return rows.map(([name, value]) => `${name}${between(name)}${visible(value).replaceAll('\n', '\\n')}`).join('\n');
}

/** `1 part`, `32 parts`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Loaded where there is such a line: its tables of characters take 20 ms, and many commands show none. */
function openStatus(): ReturnType<typeof createLogUpdate> {
  const load = createRequire(import.meta.url);
  return load('log-update').createLogUpdate(process.stderr, { showCursor: true });
}
