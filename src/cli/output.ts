/**
 * What a command says, and where. With `--json` machines read JSON lines on standard output; people read standard
 * error. What a person asked to see (`inspect`, `jobs`) goes to standard output where no machine has it.
 */
import { createLogUpdate } from 'log-update';
import { SealiftError } from '../errors.ts';

export interface OutputFlags {
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
}

export class Output {
  flags: OutputFlags;
  /** The one line at the bottom of a terminal that changes in place. */
  readonly #status = createLogUpdate(process.stderr, { showCursor: true });
  #hasStatus = false;

  constructor(flags: OutputFlags) {
    this.flags = flags;
    // A job's work matters more than its reader: where `head` has closed the pipe, the rest goes unread. Whoever must
    // know whether a write arrived asks for its callback.
    process.stdout.on('error', () => {});
  }

  get isTerminal(): boolean {
    return process.stderr.isTTY === true && !this.flags.quiet;
  }

  /** A line for machines. Nothing without `--json`. */
  json(line: Readonly<Record<string, unknown>>): void {
    if (this.flags.json) process.stdout.write(`${JSON.stringify(line)}\n`);
  }

  /** What was asked for, for people. Nothing with `--json`. */
  print(text: string): void {
    if (!this.flags.json) process.stdout.write(`${text}\n`);
  }

  /** What happened, for people who want to know. */
  say(text: string): void {
    if (!this.flags.quiet) this.#write(text);
  }

  /** As `say`, but `-q` does not silence it. */
  warn(text: string): void {
    this.#write(`Warning: ${text}`);
  }

  /** Changes the status line. */
  status(text: string): void {
    this.#status(text);
    this.#hasStatus = true;
  }

  clearStatus(): void {
    if (this.#hasStatus) this.#status.clear();
    this.#hasStatus = false;
  }

  /** Reports a failure. `about` names the job where a command runs several. */
  fail(thrown: unknown, about: { job?: string } = {}): SealiftError {
    const error = SealiftError.from(thrown);
    this.json({ type: 'error', ...about, ...error.toJSON() });
    const name = about.job === undefined ? 'sealift' : `sealift: ${about.job}`;
    this.#write(`${name}: ${error.message} (${error.code})`);
    if (error.hint !== '') this.#write(error.hint);
    if (this.flags.verbose) this.#write(stackOf(error));
    return error;
  }

  #write(text: string): void {
    this.clearStatus();
    process.stderr.write(`${text}\n`);
  }
}

/** The stack of an error and of what caused it, and so on down. */
function stackOf(error: Error): string {
  const stack = error.stack ?? String(error);
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}

/** Lines of `name  value`, the values under one another. */
export function columns(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** `1 part`, `32 parts`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
